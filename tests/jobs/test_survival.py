"""Runs that are killed, and disks that are full: the same command goes on, to the same bytes.

Moments are drawn at random; `make soak` draws twenty of each kind. SCS_SEED makes it draw others.
"""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from scslib.jobs.child import TRIES
from tests.support.streams import panning, tone, write

PLAIN = {"x264-params": "crf=16:keyint=12:min-keyint=12:scenecut=0:bframes=0"}
RNG = np.random.default_rng(int(os.environ.get("SCS_SEED", "0")))
FEW = pytest.param(2, id="few")
TWENTY = pytest.param(20, id="twenty", marks=pytest.mark.soak)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """80 files, which are four over and over; one of them is no video."""
    folder = tmp_path_factory.mktemp("videos")
    first = write(folder / "0.mp4", panning(96, 64), "libx264", PLAIN, sounds=[(tone(), 0.0)])
    write(folder / "1.mkv", panning(96, 64), "libx264", PLAIN)
    (folder / "2.mp4").write_text("no video")
    write(folder / "3.avi", panning(96, 64)[:20], "mpeg4", {"g": "12"})
    kinds = sorted(folder.iterdir())
    many = first.parent / "many"
    many.mkdir()
    for number in range(80):
        kind = kinds[number % 4]
        os.link(kind, many / f"{number:03d}{kind.suffix}")
    return many


def command(videos: Path, run: Path, keep: Path) -> list[str]:
    words = ["sample", videos, "--run", run, "-k", 2, "--keep", keep, "--workers", 2]
    return [sys.executable, "-m", "scslib.cli", *map(str, [*words, "--csv", os.devnull])]


def finish(videos, run, keep) -> subprocess.CompletedProcess:
    """The command to its end: the files that are no videos make it exit with 1."""
    done = subprocess.run(command(videos, run, keep), capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert done.stderr.splitlines()[-1] == "20 of 80 videos could not be read"
    return done


def shards(keep: Path) -> dict[str, tuple]:
    """Of each finished shard: its bytes, its report without seconds, and when it was written."""
    found = {}
    for path in keep.glob("picked-*/[0-9]*.json"):
        report = json.loads(path.read_text())
        rows = [{k: v for k, v in row.items() if k != "seconds"} for row in report.pop("videos")]
        del report["seconds"]
        content = path.with_suffix(".safetensors").read_bytes()
        found[path.stem] = content, rows, report, path.stat().st_mtime_ns
    return found


def alike(some: dict, others: dict) -> bool:
    return {k: v[:3] for k, v in some.items()} == {k: v[:3] for k, v in others.items()}


def leftovers(keep: Path) -> list[Path]:
    return [path for path in keep.rglob("*") if path.is_file() and "part" in path.name]


@pytest.fixture(scope="module")
def undisturbed(videos, tiny_run, tmp_path_factory):
    keep = tmp_path_factory.mktemp("undisturbed")
    finish(videos, tiny_run, keep)
    found = shards(keep)
    assert len(found) == 10 and not leftovers(keep)
    return found


def goes_on(videos, run, keep, before: dict, undisturbed: dict) -> None:
    """To its end: what was finished `before` is not touched, and all is as if nothing had happened."""
    finish(videos, run, keep)
    now = shards(keep)
    assert {k: now[k] for k in before} == before
    assert alike(now, undisturbed) and not leftovers(keep)


@contextlib.contextmanager
def begun(videos, run, keep, more: int):
    """The command, from the moment that it has finished `more` shards; what it says is in `keep`.said.

    Whatever then still runs is killed, and gone when this ends. No pipes: one would stay open, and be
    waited for, as long as any of the processes lives.
    """
    before = len(shards(keep))
    with open(f"{keep}.said", "w") as said:
        process = subprocess.Popen(command(videos, run, keep), stdout=said, stderr=said)
    try:
        while len(list(keep.glob("picked-*/*.json"))) < before + more and process.poll() is None:
            time.sleep(0.01)
        yield process
    finally:
        family = []
        with contextlib.suppress(psutil.Error):
            family = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        psutil.wait_procs(family, timeout=30)


def workers_of(pid: int) -> list[psutil.Process]:
    """The processes that read: children of the one that only makes them."""
    return [p for child in psutil.Process(pid).children() for p in child.children()]


@pytest.mark.parametrize("times", [FEW, TWENTY])
def test_the_whole_run_is_killed(videos, tiny_run, undisturbed, tmp_path, times):
    done, keep = {}, tmp_path / "keep"
    for _ in range(times):
        with begun(videos, tiny_run, keep, more=0 if times > 2 else 2) as process:
            time.sleep(RNG.uniform(0, 0.5) if times == 2 else RNG.uniform(2, 6))
            family = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(signal.SIGKILL)
            process.wait()
        _, alive = psutil.wait_procs(family, timeout=10)
        assert not alive  # nobody reads on for one who is gone
        now = shards(keep)
        assert {k: now[k] for k in done} == done  # what was finished was not done again
        done = now
    goes_on(videos, tiny_run, keep, done, undisturbed)


@pytest.mark.parametrize("times", [FEW, TWENTY])
def test_workers_are_killed(videos, tiny_run, undisturbed, tmp_path, times):
    """Two a run, because a video that three died of is taken for the cause."""
    killed, runs = 0, itertools.count()
    while killed < times:
        keep, here = tmp_path / str(next(runs)), killed
        with begun(videos, tiny_run, keep, more=int(RNG.integers(1, 4))) as process:
            while killed < here + TRIES - 1 and process.poll() is None:
                time.sleep(RNG.uniform(0.0, 0.5))
                with contextlib.suppress(psutil.Error, IndexError, ValueError):
                    RNG.choice(workers_of(process.pid)).kill()
                    killed += 1
            process.wait()
        said = Path(f"{keep}.said").read_text()
        assert said.splitlines()[-1] == "20 of 80 videos could not be read", said
        assert alike(shards(keep), undisturbed) and not leftovers(keep)


@pytest.fixture
def disk(tmp_path):
    """A disk of its own: `disk(options)` mounts it, or mounts it otherwise."""
    folder, mounted = tmp_path / "disk", []
    folder.mkdir()

    def mount(options: str) -> Path:
        again = "remount," if mounted else ""
        words = ["mount", "-t", "tmpfs", "-o", again + options, "scs-test", str(folder)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            assert not mounted, done.stderr
            pytest.skip(f"no right to mount a small disk here ({done.stderr.strip()})")
        mounted.append(options)
        return folder

    yield mount
    if mounted:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def refused(videos, run, keep, why: str) -> None:
    done = subprocess.run(command(videos, run, keep), capture_output=True, text=True, check=False)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1 and line.startswith("Error: ") and why in line, done.stderr


def test_a_full_disk(videos, tiny_run, undisturbed, disk):
    keep = disk("size=32k")
    refused(videos, tiny_run, keep, "No space left on device")
    before = shards(keep)
    assert 0 < len(before) < 10 and not leftovers(keep)
    assert all(before[k][:3] == undisturbed[k][:3] for k in before)
    disk("size=8m")
    goes_on(videos, tiny_run, keep, before, undisturbed)


def test_a_disk_that_must_not_be_written(videos, tiny_run, undisturbed, disk):
    keep = disk("size=8m")
    with begun(videos, tiny_run, keep, more=1):
        pass
    before = shards(keep)
    disk("size=8m,ro")
    refused(videos, tiny_run, keep, "Read-only file system")
    assert shards(keep) == before
    disk("size=8m,rw")
    goes_on(videos, tiny_run, keep, before, undisturbed)


def test_what_is_cut_out_of_a_video_onto_a_full_disk(videos, tiny_run, disk, tmp_path):
    """The disk's fault is no video's: it ends the run, and no video is called broken."""
    clips = disk("size=16k")
    words = [*command(videos, tiny_run, tmp_path / "keep"), "--clips", str(clips)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1 and "No space left on device" in line, done.stderr
    assert not list(clips.glob("*.part*"))
