"""What `python benchmarks scale` measures, each in a process of its own:

    python -m scs_bench.jobs stream VIDEO                     one video, read and dropped
    python -m scs_bench.jobs shards VIDEO VIDEOS WORKERS DIR  a data set, kept in DIR

Each prints {"clips", "wall_s", "cpu_s", "start_mb", "peak_mb"} as JSON. One clip is read before the
clock starts: imports and compiled code that is loaded from numba's cache do not count, and what is
held then is `start_mb`. A data set is read in processes below this one: their start counts, `cpu_s` is
not known (0), `peak_mb` is of the largest process, and `first_s` is when the first shard was written.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict

import psutil

from scs_bench.process import peak_mb, stopwatch, use_one_core, watched_below
from scslib.jobs.shards import run_shards
from scslib.models.modalities import MODALITIES
from scslib.samplers.features import FeatureSpec, VideoFeatures, map_chunks, read_features, read_video

SPEC = FeatureSpec()  # as in the paper: every P-frame, I-frames at full size


def stream(path: str) -> dict:
    """Everything that samplers see of one video, in chunks, on one core."""
    use_one_core()
    start = _warm_up(path)
    with stopwatch() as report:
        clips = sum(map_chunks(_clips, SPEC.index(path), SPEC, MODALITIES))
    return {"clips": clips, **report, "start_mb": start, "peak_mb": peak_mb()}


def shards(path: str, videos: str, workers: str, folder: str) -> dict:
    """So many times the same video, as if they were many, by so many processes.

    The start of the processes is part of the cost.
    """
    import pandas  # noqa: F401 - as every notebook has when a step begins

    start, begin = _warm_up(path), time.time()
    rows = [(f"v{number:04d}", path) for number in range(int(videos))]
    with watched_below() as below, stopwatch() as report:
        done = run_shards(
            read_features, rows, folder, params=asdict(SPEC), workers=int(workers), title="reading"
        )
    bad = done.status[done.status["status"] != "ok"]
    if len(bad):
        raise ValueError(bad["reason"].iloc[0])
    clips = int(done.status["clips"].sum())
    first = min(report.stat().st_mtime for report in done.folder.glob("[0-9]*.json")) - begin
    most = max(peak_mb(), below["below_mb"])
    return {"clips": clips, **report, "cpu_s": 0, "start_mb": start, "peak_mb": most, "first_s": first}


def _warm_up(path: str) -> float:
    read_video(SPEC.index(path), SPEC, MODALITIES, [0])
    return psutil.Process().memory_info().rss / 1e6


def _clips(part: VideoFeatures) -> int:
    return len(part.arrays["times"])


if __name__ == "__main__":
    print(json.dumps({"stream": stream, "shards": shards}[sys.argv[1]](*sys.argv[2:])))
