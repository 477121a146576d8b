"""Figures of trainings: losses by step, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from scslib.report.fonts import drawn
from scslib.report.plots import INK, MUTED

if TYPE_CHECKING:
    from scslib.training.schedule import Curve


def losses(curves: dict[str, np.ndarray], *, chance: float | None = None, axis=None) -> Figure:
    """Training losses over steps, smoothed over a twentieth of their length."""
    if axis is None:
        _, axis = plt.subplots(figsize=(7, 3.2))
    for name, values in curves.items():
        window = max(1, len(values) // 20)
        smooth = np.convolve(values, np.ones(window) / window, mode="valid")
        axis.plot(np.linspace(0, 1, len(smooth)), smooth, label=name, linewidth=1.8)
    if chance is not None:
        axis.axhline(chance, color=MUTED, linestyle="--", linewidth=1, label="knows nothing")
    axis.set(xlabel="share of the training", ylabel="loss")
    axis.legend(frameon=False, fontsize=9)
    return axis.figure


def trainings(curves: dict[str, Curve], *, chance: float | None = None, axis=None) -> Figure:
    """Losses over steps: thin of the training clips, smoothed; thick of the validation clips.

    A dot is the look that the weights are of, hollow where the training ended at its last step.
    """
    if axis is None:
        _, axis = plt.subplots(figsize=(7, 3.6))
    for name, curve in curves.items():
        window = max(1, len(curve.losses) // 20)
        smooth = np.convolve(curve.losses, np.ones(window) / window, mode="valid")
        thin = len(curve.looks) > 0
        (line,) = axis.plot(
            np.arange(len(smooth)) + (window + 1) / 2,
            smooth,
            label=None if thin else name,
            linewidth=0.7 if thin else 1.8,
            alpha=0.6 if thin else 1.0,
        )
        if thin:
            steps, seen = curve.looks.T
            axis.plot(steps, seen, label=name, linewidth=1.8, color=line.get_color())
            face = line.get_color() if curve.plateau else "white"
            axis.plot(steps[seen.argmin()], seen.min(), "o", color=line.get_color(), mfc=face)
    if chance is not None:
        axis.axhline(chance, color=MUTED, linestyle="--", linewidth=1, label="knows nothing")
    axis.set(xlabel="steps", ylabel="loss")
    # below the axes, for the curves leave no corner free
    axis.legend(frameon=False, fontsize=9, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    return axis.figure


def confusion(matrix: np.ndarray, classes: Sequence[str]) -> Figure:
    """Counts (C, C) of true (rows) against predicted (columns) classes."""
    figure, axis = plt.subplots(figsize=(1.6 + 0.55 * len(classes), 1.2 + 0.5 * len(classes)))
    share = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(matrix):
        if value:
            colour = "white" if share[row, column] > 0.5 else INK
            axis.text(column, row, str(int(value)), ha="center", va="center", color=colour, fontsize=9)
    names, how = drawn(*classes)
    axis.set_xticks(range(len(classes)), names, rotation=40, ha="right", **how)
    axis.set_yticks(range(len(classes)), names, **how)
    axis.set(xlabel="predicted", ylabel="true class")
    return figure
