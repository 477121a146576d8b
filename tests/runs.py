"""A run's folder with what a report needs and nothing else: three methods, one figure, a gallery."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from scslib.gallery import make_entry, save_gallery
from scslib.workspace import Run

HOSTILE = "</script><script>document.title='hacked'</script><img src=x onerror=alert(1)>\"'&amp;"
ANSWERS = [("sway", "sway"), ("sway", "hop"), ("hop", "hop"), (HOSTILE, HOSTILE), (HOSTILE, "sway")]
TIMES = [[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]]


def example_run(folder: Path, movie: Path, answers=ANSWERS) -> Run:
    """A run whose gallery has a video for each of the (label, predicted), all made of one `movie`."""
    run = Run(folder)
    row = {"clips": 2, "covered": 0.5, "in_segments": 0.4, "seconds_per_video": 0.1}
    row |= {"speedup_vs_dense": 2.0, "overhead_vs_uniform": 1.5, "seeds": 1, "accuracy": 0.7}
    row |= {"accuracy_low": 0.5, "accuracy_high": 0.9}
    names = ["uniform", "dense", "audio-visual"]
    run.save_table("summary", pd.DataFrame([{"method": name} | row for name in names]))
    run.save_table("methods", pd.DataFrame([{"videos": 5, "videos_failed": 0, "k": 2, "clips_of": 3}]))
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
