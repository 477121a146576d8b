"""Figures of cost: seconds by stage, and accuracy against cost."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from scslib.report.plots import COLOURS, INK, MUTED, colour_of

STAGE_COLOURS = {
    "read_s": "#54aeff",
    "sampler_s": "#8250df",
    "decode_s": "#d4a72c",
    "classifier_s": "#57606a",
}
COSTS = {"seconds_per_video": "seconds per video", "gmacs": "10⁹ multiply-adds per video"}


def accuracy_against_time(table: pd.DataFrame) -> Figure:
    """One line a classifier, from uniform over salient to dense clips: accuracy over seconds a video.

    table: rows `classifier, clips, accuracy, accuracy_low, accuracy_high, seconds_per_video`.
    """
    figure, axis = plt.subplots(figsize=(8, 4))
    marks = {"uniform": "o", "salient": "*", "dense": "s"}
    for number, (name, rows) in enumerate(table.groupby("classifier", sort=False)):
        colour, rows = plt.get_cmap("tab10")(number), rows.set_index("clips")
        line = rows.loc[["uniform", "salient", "dense"]]
        axis.plot(line["seconds_per_video"], 100 * line["accuracy"], color=colour, alpha=0.4, label=name)
        for kind, mark in marks.items():
            row = rows.loc[kind]
            low, high = 100 * row["accuracy_low"], 100 * row["accuracy_high"]
            axis.vlines(row["seconds_per_video"], low, high, color=colour, linewidth=1, alpha=0.5)
            size = 14 if mark == "*" else 7
            axis.plot(
                row["seconds_per_video"], 100 * row["accuracy"], mark, color=colour, markersize=size
            )
    for kind, mark in marks.items():
        axis.plot([], [], mark, color=MUTED, label=f"{kind} clips")
    axis.set(xscale="log", xlabel="seconds per video", ylabel="accuracy, %", ylim=(0, 103))
    figure.legend(ncols=4, loc="outside lower center", frameon=False, fontsize=9)
    return figure


def cost_bars(costs: pd.DataFrame) -> Figure:
    """Seconds per video of each method, stage by stage (`timing.time_methods`)."""
    figure, axis = plt.subplots(figsize=(8, 0.42 * len(costs) + 1.3))
    position, left = np.arange(len(costs))[::-1], np.zeros(len(costs))
    for stage, colour in STAGE_COLOURS.items():
        axis.barh(position, costs[stage], left=left, color=colour, label=stage[:-2], height=0.66)
        left += costs[stage].to_numpy()
    for y, total in zip(position, left, strict=True):
        axis.text(total + left.max() * 0.01, y, f"{total:.2f}", va="center", fontsize=9)
    axis.set_yticks(position, costs["method"])
    axis.set(xlabel="seconds per video")
    axis.legend(frameon=False, ncols=4, loc="lower left", bbox_to_anchor=(0, 1), fontsize=9)
    return figure


def overhead_over_speed(
    curves: dict[str, np.ndarray],
    speeds: np.ndarray,
    *,
    marks: dict[str, float],
    slides: dict[str, float],
) -> Figure:
    """Time as a multiple of Uniform's, over the classifier's speed.

    The speed is the seconds (S,) that it needs for a clip. curves: for each method (S,). marks:
    classifiers, and their seconds for a clip. slides: the paper's multiple of a method, drawn as a
    short line at the right.
    """
    figure, axis = plt.subplots(figsize=(8, 4))
    for method, values in curves.items():
        axis.plot(speeds, values, color=COLOURS.get(method, MUTED), label=method)
    for method, value in slides.items():
        axis.axhline(value, 0.94, 1, color=COLOURS[method], linewidth=3)
    for number, (name, speed) in enumerate(marks.items()):
        axis.axvline(speed, color=MUTED, linewidth=0.8, linestyle=":")
        axis.annotate(
            name,
            (speed, 1 - 0.07 * number),
            (4, -4),
            xycoords=axis.get_xaxis_transform(),
            textcoords="offset points",
            va="top",
            fontsize=8,
            color=INK,
        )
    axis.axhline(1, color=MUTED, linewidth=0.8)
    axis.set(xscale="log", yscale="log", xlabel="seconds that the classifier needs for a clip")
    axis.set_ylabel("time, multiple of Uniform's")
    axis.invert_xaxis()
    _plain(axis.xaxis, axis.yaxis)
    figure.legend(ncols=6, loc="outside lower center", frameon=False, fontsize=9)
    return figure


def cost_over_length(table: pd.DataFrame) -> Figure:
    """Seconds for one video over its length; rows `method, video_s, seconds`."""
    figure, axis = plt.subplots(figsize=(8, 3.6))
    for method, rows in table.groupby("method", sort=False):
        colour = COLOURS.get(method, MUTED)
        axis.plot(rows["video_s"], rows["seconds"], marker="o", color=colour, label=method)
    axis.set(xlabel="length of the video, s", ylabel="seconds to label it", xscale="log", yscale="log")
    _plain(axis.xaxis, axis.yaxis)
    axis.set_xticks(sorted(table["video_s"].unique()), minor=False)
    figure.legend(ncols=6, loc="outside lower center", frameon=False, fontsize=9)
    return figure


def pareto_front(costs: Sequence[float], accuracies: Sequence[float]) -> np.ndarray:
    """The methods of M that no other beats, (M,) bool: for less cost, or at no more cost."""
    cost, accuracy = np.asarray(costs, float), np.asarray(accuracies, float)
    no_dearer = cost[None] <= cost[:, None]
    no_worse = accuracy[None] >= accuracy[:, None]
    better = (cost[None] < cost[:, None]) | (accuracy[None] > accuracy[:, None])
    return ~np.any(no_dearer & no_worse & better, axis=1)


def pareto(
    table: pd.DataFrame,
    *,
    costs: Sequence[str] = tuple(COSTS),
    no_methods: Sequence[str] = ("oracle", "shuffled"),
) -> Figure:
    """Accuracy over each of `costs` (names in `COSTS`): a point with its interval for each row.

    table: rows `method, accuracy, accuracy_low, accuracy_high` and the costs; `label`, if it is not the
    method. The line joins the points that no other beats; `no_methods` cannot be on it.
    """
    figure, axes = plt.subplots(1, len(costs), figsize=(9, 4.8), sharey=True, squeeze=False)
    axes, labels = axes[0], table["label"] if "label" in table else table["method"]
    for axis, cost in zip(axes, costs, strict=True):
        fair = table[~table["method"].isin(no_methods)]
        front = fair[pareto_front(fair[cost], fair["accuracy"])].sort_values(cost)
        axis.step(front[cost], 100 * front["accuracy"], where="post", color=MUTED, linewidth=1)
        for method, rows in table.groupby("method", sort=False):
            style = _style(method, hollow=method in no_methods)
            limits = 100 * rows["accuracy_low"], 100 * rows["accuracy_high"]
            axis.vlines(rows[cost], *limits, color=style["color"], linewidth=1.5, alpha=0.3)
            axis.plot(rows[cost], 100 * rows["accuracy"], color=style["color"], alpha=0.4)
            axis.plot(rows[cost], 100 * rows["accuracy"], label=method, **style)
        named = -1.0
        for index, row in front.iterrows():
            if row["accuracy"] - named >= 0.025:  # else the names lie upon each other
                named = row["accuracy"]
                axis.annotate(
                    labels[index],
                    (row[cost], 100 * named),
                    (-3, 2),
                    textcoords="offset points",
                    ha="right",  # above and left of them nothing can be
                    va="bottom",
                    fontsize=8,
                )
        axis.set(xscale="log", xlabel=COSTS[cost], ylim=(0, 103), xlim=(table[cost].min() / 2.5, None))
        _plain(axis.xaxis)
    axes[0].set_ylabel("accuracy, %")
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, ncols=6, loc="outside lower center", frameon=False, fontsize=9)
    return figure


def _style(method: str, *, hollow: bool) -> dict:
    """A method's mark: its colour, a square for the other objective, hollow for what is no method."""
    colour, other = colour_of(method), method.endswith(("-ac", "-rank"))
    face = "white" if hollow else colour
    return {"color": colour, "marker": "s" if other else "o", "markerfacecolor": face, "linestyle": ""}


def _plain(*axes: Axis) -> None:
    """1, 2, 5, 10 instead of powers of ten on logarithmic axes."""
    for axis in axes:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_locator(NullLocator())
