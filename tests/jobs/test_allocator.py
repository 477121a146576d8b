"""Memory that PyTorch frees stays with the process: the system is not asked for it again."""

import os
import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")

FAULTS = """
import resource, torch
import scslib.jobs.devices
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(16 * 2**20 // 4)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print([faults() for _ in range(20)][-1])
"""


def faults_of(**environment) -> int:
    """How often the system had to hand out a page for the twentieth tensor of 16 MB."""
    others = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    command = [sys.executable, "-c", FAULTS]
    done = subprocess.run(command, env=others | environment, capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_a_tensor_takes_the_place_of_one_that_was_freed():
    assert faults_of() < 100


def test_who_has_set_the_c_library_decides_himself():
    assert faults_of(MALLOC_MMAP_THRESHOLD_="1000000") > 1_000
