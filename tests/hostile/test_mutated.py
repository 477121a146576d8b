"""Files that were broken on purpose, by the thousand: a status each, and nothing else happens.

A failing one can be made again: python tests/support/mutate.py SEED NUMBER OUT
"""

import itertools
import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from scslib.jobs.child import Limits
from scslib.jobs.engines import Engine
from scslib.jobs.shards import Read, run_shards
from scslib.samplers.features import FeatureSpec, read_features
from scslib.video.audio import iter_logmel
from scslib.video.clips import index_clips
from scslib.video.container import VideoError
from scslib.video.frames import decode_clips, iter_clips
from scslib.video.recode import cut
from tests.support import mutate

SEED = int(os.environ.get("SCS_MUTATE_SEED", "0"))
STATUSES = {"ok", "partial", "failed", "timeout"}
LIMITS = Limits(seconds=10, memory_gb=2)


@pytest.fixture(scope="module", autouse=True)
def compiled(tmp_path_factory):
    """Numba compiles at its first use; that is no video's time."""
    for name in ("h264.mp4", "vp9.webm"):
        path = tmp_path_factory.mktemp("good") / name
        path.write_bytes(mutate.good()[name])
        for accumulate in (False, True):
            read_features(path, asdict(FeatureSpec(clip_len=4, accumulate=accumulate)))


def through(work, folder: Path, numbers: range, *, seed: int = SEED, workers: int = 1, **spec):
    """The status rows of these files, by number, each read with `work`."""
    files = {}
    for number in numbers:
        name, content = mutate.mutated(seed, number)
        files[f"{number:05d}"] = folder / name
        files[f"{number:05d}"].write_bytes(content)
    shards = run_shards(
        work,
        list(files.items()),
        folder / "step",
        params=asdict(FeatureSpec(clip_len=4, **spec)),
        workers=workers,
        title="mutated",
        engine=Engine(limits=LIMITS),
    )
    rows = shards.status
    assert list(rows["video_id"]) == list(files)
    for row in rows.itertuples():
        again = (
            f"python tests/support/mutate.py {seed} {int(row.video_id)} OUT: {row.status}, {row.reason}"
        )
        assert row.status in STATUSES, again
        assert (row.status == "ok") == (row.reason == ""), again
        assert "\n" not in row.reason and len(row.reason) < 500, again
        named = files[row.video_id].name in row.reason
        assert named or row.status in ("ok", "partial"), again
    return rows


def quiet(capfd) -> None:
    """Nothing but progress was written, by this process, its children or native code."""
    said = capfd.readouterr()
    assert "Traceback" not in said.err + said.out and len(said.err) < 2000, said.err[-2000:]


def test_a_thousand_files_get_a_status_each(tmp_path, capfd):
    rows = through(read_features, tmp_path, range(1000))
    quiet(capfd)
    counts = Counter(rows["status"])
    assert counts["ok"] > 300 and counts["partial"] > 100 and counts["failed"] > 200, counts
    assert rows["seconds"].sum() < 120  # usually 20; a child that hangs is killed after 10
    kinds = {path.name.partition("-")[2].partition(".")[0] for path in tmp_path.glob("*.*")}
    assert {f.__name__.strip("_") for f in mutate.FOREIGN} <= kinds


def everything(path: Path, params: dict) -> Read:
    """What else reads a file: pictures for f, sound, one clip by itself, and cutting it out."""
    index = index_clips(path, clip_len=params["clip_len"])
    clips = sum(1 for _ in iter_clips(index, size=(32, 48)))
    heard = sum(1 for _ in itertools.islice(iter_logmel(path, index.clips), len(index)))
    for clip in {0, len(index) - 1}:
        try:
            decode_clips(index, [clip], size=(32, 48))
            cut(index, path.with_suffix(".cut"), index.clips[clip][1:])
        except VideoError:
            continue
    return Read({"x": np.zeros((clips, heard))}, clips, len(index))


def test_all_readers(tmp_path, capfd):
    rows = through(everything, tmp_path, range(1000, 1150))
    quiet(capfd)
    assert Counter(rows["status"])["ok"] > 30
    assert not list(tmp_path.glob("*.part*"))


def test_scs_sample_goes_on_to_the_last_file(tmp_path, tiny_run):
    folder, lines = tmp_path / "videos", tmp_path / "out.jsonl"
    folder.mkdir()
    files = mutate.write_mutated(folder, SEED, 45)
    good = folder / "z.mp4"
    good.write_bytes(mutate.good()["mpeg4.mp4"])
    command = [sys.executable, "-m", "scslib.cli", "sample", str(folder), "--run", str(tiny_run)]
    command += ["-k", "2", "--json", str(lines)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr, done.stderr
    read = {json.loads(line)["video"] for line in lines.read_text().splitlines()}
    assert str(good) in read
    said = done.stderr.splitlines()
    for file in files:
        assert str(file) in read or any(str(file) in line for line in said), file.name
    assert len(said) < 3 * len(files)


@pytest.mark.soak
@pytest.mark.parametrize("part", range(10))
def test_ten_thousand_files(part, tmp_path, capfd):
    """Ten seeds; each also with another way to read: accumulated, by the second, of another size."""
    specs = [{}, {"accumulate": True}, {"frame_rate": 9.0, "pictures": 2}, {"iframe_size": 32}]
    sizes = {"height": 64, "width": 64} if part % 2 else {}
    rows = through(
        read_features,
        tmp_path,
        range(1000),
        seed=1000 + SEED + part,
        workers=0,
        **specs[part % 4] | sizes,
    )
    quiet(capfd)
    with capfd.disabled():
        print(f"seed {1000 + SEED + part}: {dict(Counter(rows['status']))}")


def test_a_file_is_always_the_same(tmp_path):
    script = Path(mutate.__file__)
    for number in (3, 14, 71):
        name, content = mutate.mutated(5, number)
        subprocess.run([sys.executable, script, "5", str(number), tmp_path], check=True)
        assert (tmp_path / name).read_bytes() == content
    assert len({mutate.mutated(seed, 3)[1] for seed in range(5)}) == 5


def test_each_mutation_changes_its_file():
    for make in mutate.MUTATIONS:
        changed = 0
        for name, content in mutate.good().items():
            rng = np.random.default_rng([1, len(name)])
            changed += make(content, rng) != content
        assert changed >= len(mutate.good()) - 3, make.__name__
