"""Whether a step on very many videos stays as quick and as small as it began.

The manifest repeats a few tiny files, one of which is no video. It is read by `shards.run_shards`, as
every long step is, in a process of its own that is looked at from outside.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

from scs_bench.process import command_of, memory_mb, plain_environment
from scs_bench.videos import encoded
from scslib.jobs.shards import VIDEOS_PER_SHARD, Video, run_shards
from scslib.video.write import Encoding

ENCODING = Encoding(64, 48, 12, 12, "mpeg4", 5)
FRAMES = (16, 24, 32)
LOOK_S = 0.5  # between two looks at the memory
PARTS = 10  # of the run, for each of which there is a row

SHOWN = ["part", "videos", "workers", "begun_s", "videos_per_s_and_worker", "parent_mb", "child_mb"]


def bench_manifest(
    folder: Path, *, rows: int = 100_000, workers: int = 2, quick: bool = False
) -> pd.DataFrame:
    """A row for each tenth of a manifest of `rows` videos; the files are kept in `folder`.

    begun_s: from the step's beginning to its first finished shard, seconds. videos_per_s_and_worker:
    in this tenth. parent_mb, child_mb: the most memory in it, of the process that keeps the books and of
    the largest that reads, in MB of 1e6 bytes. again_s: how long the finished step takes when it is
    asked for again. failed: videos without arrays, all of them rows of the file that is no video.
    """
    if rows < PARTS * VIDEOS_PER_SHARD:
        raise ValueError(f"rows ({rows}) must be >= {PARTS * VIDEOS_PER_SHARD}")
    rows = 800 if quick else rows
    files = [encoded(folder, ENCODING, frames, sound=True) for frames in FRAMES]
    text = folder / "no-video.mp4"
    text.write_text("no video")
    with tempfile.TemporaryDirectory(dir=folder) as kept:
        command = command_of(__name__, kept, rows, workers, *files, text)
        process = subprocess.Popen(command, env=plain_environment())
        looks = _watch(process)
        if process.returncode:
            raise ValueError(f"{__name__}: exit status {process.returncode}")
        done = json.loads((Path(kept) / "done.json").read_text())
        ends = [path.stat().st_mtime for path in Path(kept).glob("step-*/[0-9]*.json")]
    ends = np.sort(ends)
    begin, table = done["begin"], []
    for part, shards in enumerate(np.array_split(np.arange(len(ends)), PARTS)):
        start = ends[shards[0] - 1] if part else begin
        seen = looks[(looks["time"] > start) & (looks["time"] <= ends[shards[-1]] + LOOK_S)]
        videos = min(rows, (shards[-1] + 1) * VIDEOS_PER_SHARD) - shards[0] * VIDEOS_PER_SHARD
        row = {"part": part + 1, "videos": videos, "workers": workers, "begun_s": ends[0] - begin}
        row["videos_per_s_and_worker"] = videos / (ends[shards[-1]] - start) / workers
        row |= {"parent_mb": seen["parent_mb"].max(), "child_mb": seen["child_mb"].max()}
        table.append(row | {"again_s": done["again_s"], "failed": done["failed"]})
    return pd.DataFrame(table)


def _watch(process: subprocess.Popen) -> pd.DataFrame:
    """The memory of a process and of the largest below it, until it ends."""
    looks, parent = [], psutil.Process(process.pid)
    while process.poll() is None:
        with contextlib.suppress(psutil.Error):  # it has just ended
            looks.append((time.time(), *memory_mb(parent)))
        time.sleep(LOOK_S)
    return pd.DataFrame(looks, columns=["time", "parent_mb", "child_mb"])


def main(kept: str, rows: str, workers: str, files: Sequence[str]) -> None:
    """The step, twice: the second time there is nothing left to do."""
    from scslib.samplers.features import FeatureSpec, read_features

    videos = [Video(f"v{n:07d}", Path(files[n % len(files)])) for n in range(int(rows))]
    options = {"params": asdict(FeatureSpec()), "workers": int(workers), "title": "manifest"}
    begin = time.time()
    failed = len(run_shards(read_features, videos, Path(kept) / "step", **options).failed)
    again = time.time()
    run_shards(read_features, videos, Path(kept) / "step", **options)
    report = {"begin": begin, "failed": failed, "again_s": time.time() - again}
    (Path(kept) / "done.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:4], sys.argv[4:])
