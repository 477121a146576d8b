"""Figures of policies: which clips each takes of the same saliencies, and what that is worth."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from scslib.report.fonts import drawn
from scslib.report.plots import INK, MUTED, TRUE

LINES = ("#8250df", "#0969da", "#cf222e", "#bf8700", "#3f8fa8", "#e85aad")


def picks_by_policy(
    times: np.ndarray,
    saliency: np.ndarray,
    picks: Mapping[str, np.ndarray],
    segments: np.ndarray,
    *,
    title: str = "",
) -> Figure:
    """One saliency curve, and below it a row of ticks for each policy: the clips that it takes.

    times: (N, 2) seconds; saliency: (N,); picks: policy to clip numbers; segments: (S, 2), in green.
    """
    height = 1.9 + 0.24 * len(picks)
    figure, (curve, rows) = plt.subplots(
        2, 1, figsize=(10, height), sharex=True, height_ratios=[1.6, 0.24 * len(picks)]
    )
    middle = times.mean(1)
    curve.plot(middle, saliency, color=INK, linewidth=1.2)
    curve.set(ylabel="saliency", yticks=[])
    for number, clips in enumerate(picks.values()):
        rows.plot(middle[clips], np.full(len(clips), -number), "|", color=LINES[0], markersize=11, mew=2)
    for start, end in segments:
        for axis in (curve, rows):
            axis.axvspan(start, end, color=TRUE, alpha=0.15, linewidth=0)
    rows.set(yticks=-np.arange(len(picks)), yticklabels=list(picks), xlabel="seconds")
    rows.set_ylim(-len(picks) + 0.4, 0.6)
    rows.tick_params(axis="y", length=0)
    rows.spines["left"].set_visible(False)
    (title,), how = drawn(title)
    curve.set_title(title, loc="left", **how)
    curve.set_xlim(times[0, 0], times[-1, 1])
    return figure


def gain_over_k(table: pd.DataFrame, *, of: str) -> Figure:
    """The gain of a policy over top K of the same saliencies.

    It is in points, over K, with intervals. table: rows `policy, k, difference, low, high`, differences
    in 0..1; of: the sampler.
    """
    figure, axis = plt.subplots(figsize=(8, 3.4))
    names = list(dict.fromkeys(table["policy"]))
    ks = sorted(table["k"].unique())
    for number, name in enumerate(names):
        rows = table[table["policy"] == name].set_index("k").reindex(ks)
        place = np.arange(len(ks)) + 0.12 * (number - (len(names) - 1) / 2)
        middle, colour = 100 * rows["difference"], LINES[number % len(LINES)]
        reach = [middle - 100 * rows["low"], 100 * rows["high"] - middle]
        axis.errorbar(place, middle, reach, fmt="o", color=colour, markersize=4, lw=1.2, label=name)
    axis.axhline(0, color=MUTED, linewidth=1)
    axis.set_xticks(range(len(ks)), [str(k) for k in ks])
    axis.set(xlabel="K, clips that f sees", ylabel="points against top K")
    axis.set_title(f"the saliencies of {of}", loc="left", fontsize=10)
    figure.legend(ncols=6, loc="outside lower center", frameon=False, fontsize=9)
    return figure
