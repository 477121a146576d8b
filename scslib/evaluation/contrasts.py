"""Paired differences between methods over the runs of a sweep, with intervals.

Each run is a block: other videos, another f, other samplers. Within a block two methods answer the same
videos, so their difference is taken video by video; how sure its mean is depends first on how many
blocks there are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from scslib.evaluation.resampling import DRAWS, draw_again, mean_interval, units_of
from scslib.jobs.run_folder import Run

Pair = tuple[str, str]


def pair_of(text: str) -> Pair:
    """The methods of "visual - dense". Raises `ValueError` for anything else."""
    first, minus, second = text.partition(" - ")
    if not (first and minus and second) or first == second:
        raise ValueError(f"contrast ({text!r}) must be two methods, such as 'visual - dense'")
    return first.strip(), second.strip()


def contrasts(
    predictions: dict[str, pd.DataFrame], pairs: Sequence[Pair], *, draws: int = DRAWS
) -> pd.DataFrame:
    """A row for each pair of methods: the mean difference of their accuracies, 0..1.

    predictions: of each block the table of `table.evaluate`. The mean over seeds is taken first,
    then over videos, then over blocks. `low` and `high`: 95 %, from blocks, then their sources, then
    their videos drawn with replacement. `t_low` and `t_high`: 95 % by Student's t from the blocks' means
    alone, which for few blocks is the wider and the safer one. `of_blocks`: these means. Raises
    `ValueError` for a method that is in no block.
    """
    rows = []
    for first, second in pairs:
        gaps, units = [], []
        for block, table in predictions.items():
            right = table.pivot_table(index="video_id", columns="method", values="correct")
            for name in (first, second):
                if name not in right:
                    raise ValueError(f"contrast: {name!r} is not a method of {block}")
            gap = (right[first] - right[second]).dropna()
            gaps.append(gap.to_numpy(float))
            units.append(units_of(table, gap.index).assign(block=block))
        row = {"contrast": f"{first} - {second}"}
        rows.append(row | _mean(gaps, pd.concat(units), draws))
    return pd.DataFrame(rows)


def block_accuracies(predictions: dict[str, pd.DataFrame], *, draws: int = DRAWS) -> pd.DataFrame:
    """A row for each method that all blocks have: its accuracy, 0..1, with intervals as `contrasts` has.

    predictions: of each block the table of `table.evaluate`. Columns `method, accuracy, low, high,
    t_low, t_high, blocks, videos, of_blocks`.
    """
    tables = {
        block: table.pivot_table(index="video_id", columns="method", values="correct")
        for block, table in predictions.items()
    }
    first = next(iter(predictions.values()))["method"].unique()
    rows = []
    for method in first:
        if not all(method in right for right in tables.values()):
            continue
        answers, units = [], []
        for block, right in tables.items():
            own = right[method].dropna()
            answers.append(own.to_numpy(float))
            units.append(units_of(predictions[block], own.index).assign(block=block))
        found = _mean(answers, pd.concat(units), draws)
        rows.append({"method": method, "accuracy": found.pop("difference")} | found)
    return pd.DataFrame(rows)


def _mean(gaps: list[np.ndarray], units: pd.DataFrame, draws: int) -> dict:
    from scipy import stats

    means, everything = np.array([gap.mean() for gap in gaps]), np.concatenate(gaps)
    counts = draw_again(units, ["block", "source", "video_id"], draws=draws)
    low, high = mean_interval(everything, counts)
    half = np.nan
    if len(means) > 1:
        half = stats.t.ppf(0.975, len(means) - 1) * stats.sem(means)
    row = {"difference": means.mean(), "low": low, "high": high}
    row |= {"t_low": means.mean() - half, "t_high": means.mean() + half}
    row |= {"blocks": len(means), "videos": len(everything)}
    return row | {"of_blocks": json.dumps([round(float(mean), 4) for mean in means])}


def by_setting(
    blocks: Mapping[str, Sequence[str]],
    predictions: dict[str, pd.DataFrame],
    measure: Callable[[dict[str, pd.DataFrame]], pd.DataFrame],
) -> pd.DataFrame:
    """What `measure` makes of the blocks of each setting, one below the other.

    blocks: the names of the runs of each setting; predictions: those of the runs that are finished. A
    column `setting` comes first where there are several.
    """
    tables = []
    for setting, names in blocks.items():
        if own := {name: predictions[name] for name in names if name in predictions}:
            tables.append(measure(own))
            if len(blocks) > 1:
                tables[-1].insert(0, "setting", setting)
    return pd.concat(tables, ignore_index=True)


def predictions_of(folder: Path) -> dict[str, pd.DataFrame]:
    """The predictions of a sweep's finished runs, by the run's name.

    Those of notebook 06. Where notebook 14 was executed, the methods that only it has stand beside them.
    """
    about = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))
    names = [run["name"] for run in about["runs"] if run["status"] == "done"]
    return {name: _all_methods(Run(folder / "runs" / name)) for name in names}


def _all_methods(run: Run) -> pd.DataFrame:
    predictions = run.load_table("predictions")
    if not run.inside("results", "came_after_predictions.csv").is_file():
        return predictions
    later = run.load_table("came_after_predictions")
    others = later[~later["method"].isin(predictions["method"])]
    return pd.concat([predictions, others], ignore_index=True)


def in_words(table: pd.DataFrame) -> list[str]:
    """A line for each row of `contrasts`, in percentage points. It says if zero is in the interval.

    A column `setting`, if there is one, begins the line.
    """
    lines = []
    for row in table.itertuples():
        low, high = min(row.low, row.t_low), max(row.high, row.t_high)
        if np.isnan(row.t_low):
            said = "one block: how much another training of f would change is not known"
        elif low <= 0 <= high:
            said = "no difference is shown"
        else:
            said = f"{row.contrast.split(' - ')[row.difference < 0]} is better"
        drawn = f"{100 * row.low:+.1f} to {100 * row.high:+.1f}"
        by_blocks = f"{100 * row.t_low:+.1f} to {100 * row.t_high:+.1f}"
        points = f"{100 * row.difference:+.1f} points ({drawn}; by blocks {by_blocks})"
        setting = f"{row.setting}: " if "setting" in table else ""
        lines.append(f"{setting}{row.contrast}: {points}: {said}")
    return lines
