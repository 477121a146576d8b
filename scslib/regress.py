"""`scs regress`: does a preset still give what it gave? Held against benchmarks/expected/PRESET.csv.

A method's interval is Wilson's, of its mean over seeds and for as many videos as it has answers: other
threads round otherwise and train another f, so that the accuracy itself does not come again, and only
what leaves the interval means something. A few videos give wide intervals that catch little.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from scslib.evaluation import wilson
from scslib.run import PRESETS, RunError
from scslib.workspace import root

COLUMNS = ["method", "accuracy", "low", "high", "seeds", "videos", "k"]


def expected_path(preset: str) -> Path:
    """benchmarks/expected/PRESET.csv. Raises `RunError` for what is no preset's name."""
    if preset not in PRESETS:
        raise RunError(f"preset ({preset}) must be one of {', '.join(PRESETS)}")
    return root() / "benchmarks" / "expected" / f"{preset}.csv"


def expectation(methods: pd.DataFrame) -> pd.DataFrame:
    """What to expect of runs like this one, from its results/methods.csv: the columns `COLUMNS`.

    Accuracies are shares, 0..1; `videos` those with an answer.
    """
    groups = methods.groupby("method", sort=False)
    table = groups.agg(
        accuracy=("accuracy", "mean"),
        seeds=("seed", "nunique"),
        videos=("videos", "max"),
        k=("k", "max"),
    )
    pairs = zip(table["accuracy"], table["videos"], strict=True)
    table[["low", "high"]] = [wilson(share * videos, videos) for share, videos in pairs]
    return table.reset_index()[COLUMNS]


def differences(methods: pd.DataFrame, expected: pd.DataFrame) -> list[str]:
    """One line for each way in which results/methods.csv is not as expected; none: all is well.

    A method is missing, or outside its interval; its line names those with which it changed places,
    of which the interval does not overlap with its own. (Of two such methods one is outside, so that
    no order is lost without a line.) Raises `RunError` where the two tables cannot be compared.
    """
    found, wanted = expectation(methods).set_index("method"), expected.set_index("method")
    missing = [method for method in wanted.index if method not in found.index]
    lines = [f"{method}: not in the run" for method in missing]
    wanted = wanted.drop(index=missing)
    found = found.loc[wanted.index]
    for name in ("k", "videos", "seeds"):
        for method in wanted.index[found[name] != wanted[name]][:1]:
            raise RunError(
                f"{name} ({found[name][method]} for {method}) is not that of the expected results "
                f"({wanted[name][method]})"
            )
    accuracy = found["accuracy"]
    for method, row in wanted.iterrows():
        # the CSV holds six digits
        if not row["low"] - 1e-6 <= accuracy[method] <= row["high"] + 1e-6:
            line = f"{method}: accuracy {accuracy[method]:.3f} is outside {row['low']:.3f} to "
            line += f"{row['high']:.3f} (was {row['accuracy']:.3f})"
            below = wanted.index[(wanted["high"] < row["low"]) & (accuracy > accuracy[method])]
            above = wanted.index[(wanted["low"] > row["high"]) & (accuracy < accuracy[method])]
            if swapped := [*below, *above]:
                line += f"; changed places with {', '.join(swapped)}"
            lines.append(line)
    return lines
