"""`scs regress`: compare a run with benchmarks/expected/PRESET.csv.

Other threads round otherwise and train another f, so that a figure itself does not come again. Two runs
agree on it where the 95 % interval of their difference holds zero: Newcombe's, of shares of as many
videos as the method has answers. Each run is off by chance, so that this is wider than either's own
interval. A few videos give wide ranges that catch little.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from scslib.evaluation.statistics import newcombe
from scslib.experiments.notebooks import PRESETS, RunError
from scslib.jobs.run_folder import root

FIGURES = ["accuracy", "in_segments"]  # what f makes of the clips, and where they lie
COMPARED = ["method", "figure", "value", "low", "high", "seeds", "videos", "k"]


def expected_path(preset: str) -> Path:
    """benchmarks/expected/PRESET.csv. Raises `RunError` for what is no preset's name."""
    if preset not in PRESETS:
        raise RunError(f"preset ({preset}) must be one of {', '.join(PRESETS)}")
    return root() / "benchmarks" / "expected" / f"{preset}.csv"


def expectation(methods: pd.DataFrame) -> pd.DataFrame:
    """What to expect of runs like this one, from its results/methods.csv: the columns `COMPARED`.

    A row for each method and figure, with the `agreeing` values from `low` to `high`. `value`: a share,
    0..1: of right answers, or of the chosen clips that lie in the action (not there where no video says
    when it happens; a video's clips count as one draw). `videos`: those with an answer.
    """
    groups = methods.groupby("method", sort=False)
    about = groups.agg(seeds=("seed", "nunique"), videos=("videos", "max"), k=("k", "max"))
    rows = []
    for figure in FIGURES:
        for method, value in groups[figure].mean().items():
            seeds, videos, k = about.loc[method]
            low, high = agreeing(value, videos)
            rows.append((method, figure, value, low, high, seeds, videos, k))
    table = pd.DataFrame(rows, columns=COMPARED)
    return table[table["value"].notna() | (table["figure"] == "accuracy")].reset_index(drop=True)


def agreeing(value: float, videos: int) -> tuple[float, float]:
    """The lowest and the highest share that agree with `value`, in steps of 0.001.

    Both are shares of so many `videos`.
    """
    if np.isnan(value):
        return np.nan, np.nan
    shares = [*np.linspace(0, 1, 1001), value]
    agree = [share for share in shares if np.prod(newcombe(value, share, videos)) <= 0]
    return float(min(agree)), float(max(agree))


def differences(methods: pd.DataFrame, expected: pd.DataFrame) -> list[str]:
    """One line for each way in which results/methods.csv is not as expected; none: all is well.

    A method is missing, or a figure of it does not agree (see `agreeing`); the line names the methods
    with which it changed places, whose ranges do not overlap with its own. (Of two such methods one is
    outside, so that no order is lost without a line.) Raises `RunError` where the two tables cannot be
    compared.
    """
    if missing := set(COMPARED) - set(expected):
        columns = ", ".join(sorted(missing))
        raise RunError(f"expected results have no column {columns}: --update makes them anew")
    keys = ["method", "figure"]
    found, wanted = expectation(methods).set_index(keys), expected.set_index(keys)
    gone = wanted.index.difference(found.index, sort=False)
    lines = [f"{method}: no {figure} in the run" for method, figure in gone]
    wanted = wanted.drop(index=gone)
    found = found.loc[wanted.index]
    for name in ("k", "videos", "seeds"):
        for key in wanted.index[found[name] != wanted[name]][:1]:
            raise RunError(
                f"{name} ({found.loc[key, name]} for {key[0]}) is not that of the expected results "
                f"({wanted.loc[key, name]})"
            )
    for figure, rows in wanted.groupby("figure", sort=False):
        rows, values = rows.droplevel("figure"), found["value"].xs(figure, level="figure")
        for method, row in rows.iterrows():
            # the CSV holds six digits
            if not row["low"] - 1e-6 <= values[method] <= row["high"] + 1e-6:
                line = f"{method}: {figure} {values[method]:.3f} is outside {row['low']:.3f} to "
                line += f"{row['high']:.3f} (was {row['value']:.3f})"
                below = rows.index[(rows["high"] < row["low"]) & (values > values[method])]
                above = rows.index[(rows["low"] > row["high"]) & (values < values[method])]
                if swapped := [*below, *above]:
                    line += f"; changed places with {', '.join(swapped)}"
                lines.append(line)
    return lines
