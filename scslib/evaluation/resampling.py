"""Bootstrap over sources and their videos, for intervals of a mean.

Videos cut from one recording are alike: thirty of them out of ten recordings are ten looks at the world
rather than thirty. So an interval draws the recordings first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

DRAWS = 2000


def units_of(predictions: pd.DataFrame, video_ids: pd.Index) -> pd.DataFrame:
    """`source` and `video_id` of these videos, in their order; untold, each is its own source."""
    source = predictions["source" if "source" in predictions else "video_id"]
    of_video = source.groupby(predictions["video_id"]).first()
    return pd.DataFrame({"source": of_video.loc[video_ids].to_numpy(), "video_id": video_ids})


def draw_again(units: pd.DataFrame, levels: Sequence[str], *, draws: int = DRAWS) -> np.ndarray:
    """Bootstrap counts, (draws, N) int: how often each of the N rows of `units` is in each of `draws`
    samples.

    levels: columns from the coarsest to the finest, such as `source`, `video_id`; the rows of a unit of
    the last one go together. Of each level as many units are drawn, with replacement, as there are: of
    each source, every time that it is drawn, as many videos as it has. The same rows, the same draws.
    """
    rng = np.random.default_rng(0)
    counts = np.zeros((draws, len(units)), int)

    def spread(rows: np.ndarray, times: np.ndarray, remaining: Sequence[str]) -> None:
        """Give each of `rows` its counts, where the unit that they are of comes `times` (draws,)."""
        if not remaining:
            counts[:, rows] = times[:, None]
            return
        codes, names = pd.factorize(units[remaining[0]].to_numpy()[rows])
        if len(names) == 1:
            return spread(rows, times, remaining[1:])
        each = rng.multinomial(times * len(names), np.full(len(names), 1 / len(names)))
        for number in range(len(names)):
            spread(rows[codes == number], each[:, number], remaining[1:])

    spread(np.arange(len(units)), np.ones(draws, int), list(levels))
    return counts


def mean_interval(values: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of the mean of `values` (N,) over samples.

    The samples are the `counts` of `draw_again`. NaN in `values` is not counted; the interval is NaN
    where nothing else is there.
    """
    known = ~np.isnan(values)
    if not known.any():
        return float("nan"), float("nan")
    size = counts @ known
    drawn = (counts @ np.where(known, values, 0))[size > 0] / size[size > 0]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)
