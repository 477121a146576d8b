"""Intervals of accuracies, and a test whether f does better than guessing."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from scslib.evaluation.resampling import DRAWS, draw_again, mean_interval, units_of


def wilson(correct: float, videos: int) -> tuple[float, float]:
    """95 % confidence interval of a share of `correct` among `videos` (Wilson, 1927)."""
    if videos == 0:
        return float("nan"), float("nan")
    z = 1.959964
    share = correct / videos
    middle = (share + z**2 / (2 * videos)) / (1 + z**2 / videos)
    half = z / (1 + z**2 / videos) * np.sqrt(share * (1 - share) / videos + z**2 / (4 * videos**2))
    return middle - half, middle + half


def newcombe(first: float, second: float, videos: int) -> tuple[float, float]:
    """The 95 % interval of the difference of two shares.

    Both are of so many `videos` (Newcombe, 1998, method 10).
    """
    (low_1, high_1), (low_2, high_2) = (wilson(share * videos, videos) for share in (first, second))
    below = math.hypot(first - low_1, high_2 - second)
    above = math.hypot(high_1 - first, second - low_2)
    return first - second - below, first - second + above


def intervals(predictions: pd.DataFrame, *, videos: int, draws: int = DRAWS) -> pd.DataFrame:
    """One row per method, in order: accuracy, the mean over seeds, and a 95 % interval over videos.

    `accuracy_low` and `accuracy_high` come from sources and their videos drawn with replacement (see
    `resampling`), the same ones for every method, so that the intervals can be compared; without a
    column `source` each video is its own. Where all videos are right, or all wrong, every draw says the
    same, and the interval is Wilson's for as many answers as there are sources. `spread_over_seeds` is
    the best seed less the worst.
    `coverage` is the mean of `read` over seeds and the `videos` that the test split has.
    """
    right = predictions.pivot_table(index="video_id", columns="method", values="correct", aggfunc="mean")
    units = units_of(predictions, right.index)
    counts = draw_again(units, ["source", "video_id"], draws=draws)
    by_seed = predictions.groupby(["method", "seed"])[["correct", "read"]]
    accuracy, read = by_seed.mean()["correct"], by_seed.sum()["read"]
    rows = []
    for method in predictions["method"].unique():
        # NaN where the method has no prediction
        low, high = mean_interval(right[method].to_numpy(float), counts)
        if low == high:
            sources = units["source"][right[method].notna().to_numpy()].nunique()
            low, high = wilson(low * sources, sources)
        of_seed = accuracy[method]
        row = {"method": method, "seeds": len(of_seed), "accuracy": of_seed.mean()}
        row |= {"accuracy_low": low, "accuracy_high": high, "spread_over_seeds": np.ptp(of_seed)}
        rows.append(row | {"coverage": read[method].mean() / videos})
    return pd.DataFrame(rows)


def p_of_guessing(answers: pd.DataFrame) -> float:
    """The p-value, 0..1, of f being no better than guessing. Guessing gives the most frequent class for
    each.

    answers: rows `video_id, label, answer`, one for each clip, classes as numbers. A one-sided t-test
    over the shares of right clips of the videos, since the clips of one video are much alike; NaN for
    fewer than two videos. Where all videos have the same share: 0 if it is the higher one, else 1.
    """
    from scipy import stats  # takes half a second to import

    right = (answers["label"] == answers["answer"]).groupby(answers["video_id"]).mean()
    if len(right) < 2:
        return math.nan
    most = answers.groupby("video_id")["label"].first().value_counts(normalize=True).max()
    if np.ptp(right) == 0:
        return float(right.iloc[0] <= most)
    return float(stats.ttest_1samp(right, most, alternative="greater").pvalue)
