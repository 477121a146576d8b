"""Rows of the table for samplers of your own. They come from what a run has kept: no network is run
again.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from scslib.datasets.manifest import Dataset
from scslib.evaluation.methods import Method
from scslib.evaluation.table import evaluate, saliency_table
from scslib.jobs.run_folder import Run
from scslib.samplers.base import Sampler


def rows_of(
    run: Run,
    dataset: Dataset,
    samplers: Sequence[Sampler],
    *,
    k: int,
    beside: Sequence[str] = (),
    also: Sequence[Method] = (),
) -> pd.DataFrame:
    """Each method's answer for each test video, for the run's first seed.

    The answers are as notebook 06 makes them.
    beside: methods of notebook 06 whose answers are wanted, too, such as "audio-visual"; those that
    need no sampler, such as "uniform", are always there. also: see `evaluate`. Raises `WorkspaceError`
    where notebooks 04 and 06 have not been run.
    """
    dense = run.kept("dense-test", notebook="04", of=run.checkpoint("classifier"))
    features = run.kept("features-test", notebook="06")
    videos, seed = dataset.split("test"), run.notes()["seeds"][0]
    readable = [v for v in videos["video_id"] if v in features]
    theirs = run.load_table("saliency")
    theirs = theirs[theirs["method"].isin(beside) & (theirs["seed"] == seed)]
    saliency = pd.concat([theirs, saliency_table(samplers, features, readable, seed)])
    return evaluate(
        dataset,
        videos,
        dense,
        features,
        saliency,
        k=k,
        seeds=[seed],
        also=also,
        samplers={seed: samplers},
    )
