"""How time and memory grow with a video's length, with videos and with processes."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from scs_bench.process import run_child
from scs_bench.tables import medians
from scs_bench.videos import encoded
from scslib.jobs.shards import VIDEOS_PER_SHARD
from scslib.video.recode import lengthened
from scslib.video.write import Encoding

ENCODING = Encoding(340, 256, 30, 12, "h264", 23)
BASE_S = 64  # the length at which pictures and sound repeat exactly: see `lengthened`
LENGTHS_S = (10, 60, 300, 1200, 5640)  # to 1 h 34 min
SHARDS = (1, 4, 16)  # so many times VIDEOS_PER_SHARD videos
VIDEO_S = 60  # the length of each of them

QUICK_ENCODING = Encoding(64, 48, 30, 12, "h264", 23)
QUICK_BASE_S, QUICK_LENGTHS_S, QUICK_SHARDS, QUICK_VIDEO_S = 3.2, (3.2, 12.8), (2,), 3.2

SHOWN = ["part", "video_s", "videos", "workers", "seconds", "cpu_s", "seconds_per_minute"]
SHOWN += ["first_s", "videos_per_s", "speedup", "start_mb", "peak_mb", "peak_ratio"]


def bench_scale(
    folder: Path, *, workers: Sequence[int] = (1, 2), rounds: int = 3, quick: bool = False
) -> pd.DataFrame:
    """Two parts in one table; figures are medians over `rounds`, and the videos are kept in `folder`.

    part `length`: one video, streamed on one core (`features.map_chunks`); peak_ratio compares with the
    middle length, 5 minutes. part `videos`: data sets of one-minute videos read into shards
    (`shards.run_shards`) by so many `workers`, each a process; peak_ratio compares with the smallest
    data set, speedup (of videos per second) with one process.
    seconds: wall clock; cpu_s: processor time (user + system), of part `length`. seconds_per_minute:
    wall clock for each minute of video. first_s: until the first shard was written, of part `videos`.
    peak_mb: the most that any one process held, in MB of 1e6 bytes; start_mb of them are imports.
    process_wall_s, process_cpu_s: from its start, imports and all.
    """
    for name, values in (("rounds", (rounds,)), ("workers", workers)):
        if min(values) < 1:
            raise ValueError(f"{name} ({min(values)}) must be > 0")
    encoding, base_s, lengths, shards, video_s = (
        (QUICK_ENCODING, QUICK_BASE_S, QUICK_LENGTHS_S, QUICK_SHARDS, QUICK_VIDEO_S)
        if quick
        else (ENCODING, BASE_S, LENGTHS_S, SHARDS, VIDEO_S)
    )
    base = encoded(folder, encoding, round(base_s * encoding.frame_rate), sound=True)
    jobs = [{"part": "length", "video_s": s, "videos": 1, "workers": 1} for s in lengths]
    for count in shards:
        for processes in sorted({1, *workers}):
            if processes <= count:  # a shard is read by one process
                videos = count * VIDEOS_PER_SHARD
                jobs.append(
                    {"part": "videos", "video_s": video_s, "videos": videos, "workers": processes}
                )
    rounds = 1 if quick else rounds
    reports: list[list[dict]] = [[] for _ in jobs]
    turns = [number for _ in range(rounds) for number in range(len(jobs))]
    for number in tqdm(turns, desc="scale", disable=None, leave=False):
        reports[number].append(_measure(lengthened(base, jobs[number]["video_s"]), jobs[number], folder))
    rows = [_row(job, medians(found), rounds) for job, found in zip(jobs, reports, strict=True)]
    table = pd.DataFrame(rows)
    table["peak_ratio"] = table["peak_mb"] / _of_reference(table, "peak_mb", lengths)
    alone = table[table["workers"] == 1].set_index(["part", "video_s", "videos"])["videos_per_s"]
    keys = pd.MultiIndex.from_frame(table[["part", "video_s", "videos"]])
    table["speedup"] = table["videos_per_s"] / alone.loc[keys].to_numpy()
    return table


def _measure(path: Path, job: dict, folder: Path) -> dict:
    if job["part"] == "length":
        report = run_child("scs_bench.jobs", "stream", path)
    else:
        with tempfile.TemporaryDirectory(dir=folder) as kept:
            arguments = path, job["videos"], job["workers"], Path(kept) / "features"
            report = run_child("scs_bench.jobs", "shards", *arguments)
    if "problem" in report:
        raise ValueError(f"{path.name}: {report['problem']}")
    return report


def _row(job: dict, middle: dict, rounds: int) -> dict:
    minutes = job["video_s"] * job["videos"] / 60
    return job | {
        "clips": int(middle["clips"]),
        "rounds": rounds,
        "seconds": middle["wall_s"],
        "cpu_s": middle["cpu_s"] if job["part"] == "length" else None,
        "seconds_per_minute": middle["wall_s"] / minutes,
        "first_s": middle.get("first_s"),
        "videos_per_s": job["videos"] / middle["wall_s"],
        "process_wall_s": middle["process_wall_s"],
        "process_cpu_s": middle["process_cpu_s"],
        "start_mb": middle["start_mb"],
        "peak_mb": middle["peak_mb"],
    }


def _of_reference(table: pd.DataFrame, column: str, lengths: Sequence[float]) -> pd.Series:
    """For each row the figure of the row that it is compared with."""
    middle = (table["part"] == "length") & (table["video_s"] == lengths[len(lengths) // 2])
    smallest = (table["part"] == "videos") & (table["workers"] == 1)
    figures = {
        "length": table.loc[middle, column].iloc[0],
        "videos": table.loc[smallest, column].iloc[0],
    }
    return table["part"].map(figures)
