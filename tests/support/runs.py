"""A run's folder with what a report needs and nothing else: three methods, one figure, a gallery."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from scslib.jobs.run_folder import Run
from scslib.report.gallery import make_entry, save_gallery

HOSTILE = "</script><script>document.title='hacked'</script><img src=x onerror=alert(1)>\"'&amp;"
ANSWERS = [("sway", "sway"), ("sway", "hop"), ("hop", "hop"), (HOSTILE, HOSTILE), (HOSTILE, "sway")]
TIMES = [[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]]


def example_tables(folder: Path, *, unread=(), held_out="ok") -> Run:
    """The tables alone, of ten test videos of 8 clips and two that samplers learnt from.

    unread: (status, clips, features_status, features_clips) of the first test videos. The methods'
    coverage follows from it. held_out: the status of the first video that samplers learnt from.
    """
    run = Run(folder)
    rows = [
        *unread,
        *[("ok", 8, "ok", 8)] * (10 - len(unread)),
        (held_out, 8, "ok", 8),
        ("ok", 8, "ok", 8),
    ]
    videos = pd.DataFrame(rows, columns=["status", "clips", "features_status", "features_clips"])
    videos["video_id"] = [f"v{number}" for number in range(len(rows))]
    videos["split"] = ["test"] * 10 + ["held out"] * 2
    run.save_table("videos", videos.assign(clips_expected=8, features_clips_expected=8))
    clips = videos[["clips", "features_clips"]][:10]  # 0 of those that failed
    read = {"f": clips["clips"] / 8, "samplers": clips.min(axis=1) / 8}
    row = {"clips": 2, "covered": 0.5, "in_segments": 0.4, "seconds_per_video": 0.1}
    row |= {"speedup_vs_dense": 2.0, "overhead_vs_uniform": 1.5, "seeds": 1, "accuracy": 0.7}
    row |= {"accuracy_low": 0.5, "accuracy_high": 0.9, "videos_uniform": 0}
    names = {"uniform": "f", "dense": "f", "audio-visual": "samplers"}
    rows = [{"method": name, "coverage": read[by].mean()} | row for name, by in names.items()]
    run.save_table("summary", pd.DataFrame(rows))
    failed = int((read["f"] == 0).sum())
    counts = {"videos": 10 - failed, "videos_failed": failed, "k": 2, "clips_of": 3}
    run.save_table("methods", pd.DataFrame([counts]))
    return run


def example_run(folder: Path, movie: Path, answers=ANSWERS) -> Run:
    """A run whose gallery has a video for each of the (label, predicted), all made of one `movie`."""
    run = example_tables(folder)
    figure = Figure(figsize=(7, 2))
    figure.subplots().plot([1, 3, 2])
    for name in ("accuracy", "curve_v1"):
        run.save_figure(name, figure)
    entry = make_entry(movie, TIMES, [1, 4, 2], top=1, bottom=1, segments=[[1.5, 2.5]])
    about = [{"label": label, "predicted": predicted} for label, predicted in answers]
    entries = [dataclasses.replace(entry, video_id=f"v{n}", **a) for n, a in enumerate(about)]
    save_gallery(run.folder / "gallery", entries)
    run.note(gallery={"method": "audio-visual", "seed": 0, "of": len(answers)})
    return run


def statuses(*rows, expected=40):
    """`Shards.status` of (video_id, status, clips)."""
    table = pd.DataFrame(rows, columns=["video_id", "status", "clips"])
    return table.assign(reason="", clips_expected=expected, seconds=1.0)
