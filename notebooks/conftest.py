"""How nbval compares the notebooks: in a folder of their own, and without looking at stderr."""

import os
import tempfile

_work = tempfile.TemporaryDirectory(prefix="scs-nbval-")


def pytest_configure(config):
    os.environ.setdefault("SCS_WORK", _work.name)  # the kernels' data/ and runs/; gone at the end
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the committed outputs are those of one thread


def pytest_collectstart(collector):
    if getattr(collector, "skip_compare", None) is not None:
        collector.skip_compare += ("stderr",)
