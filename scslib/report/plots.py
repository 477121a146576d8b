"""Figures of results: accuracies, choices, saliency curves, timelines.

Figures of time are in `plots_cost`, of pictures in `show`; the methods' colours are here for all.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from scslib.report.fonts import drawn

INK, MUTED, TRUE = "#24292f", "#8c959f", "#2da44e"
COLOURS = {
    "random": "#b6bdc5",
    "uniform": "#8c959f",
    "dense": "#57606a",
    "empirical": "#a8b1ba",
    "packet-size": "#7d8590",
    "motion-energy": "#6e7781",
    "local-motion": "#8a7f76",
    "moving-area": "#9c928a",
    "still-contrast": "#aea59e",
    "loudest-band": "#c0b9b3",
    "audio": "#bf8700",
    "visual": "#0969da",
    "mean-of-four": "#3f8fa8",
    "audio-visual": "#8250df",
    "cascade": "#cf222e",
    "focus": "#d4572a",
    "ocsampler": "#1b7f5c",
    "adafocus": "#5aa02c",
    "learned-exit": "#f2a7cf",
    "adaptive": "#e85aad",
    "shuffled": "#d8dee4",
    "oracle": TRUE,
}

# of names that are not above, those of plugins
OTHERS = ("#0b8a83", "#b0306a", "#7a5c00", "#4a3aff", "#a65e2e", "#2f6f2f", "#00729c")

plt.rcParams.update(
    {
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": MUTED,
        "axes.labelcolor": INK,
        "text.color": INK,
        "figure.dpi": 100,
        "figure.constrained_layout.use": True,
    }
)


def colour_of(method: str) -> str:
    """A method's colour; a sampler has one for both objectives, one of a plugin its own by its name."""
    known = method.removesuffix("-ac").removesuffix("-rank")
    other = OTHERS[zlib.crc32(known.encode()) % len(OTHERS)]
    return COLOURS.get(method, COLOURS.get(known, other))


def timeline(shots: Sequence, *, picks: dict[str, np.ndarray] | None = None, title: str = "") -> Figure:
    """The shots of a synthetic video (`synthetic.plan.Shot`) as coloured bars over time.

    picks: name to (K, 2) seconds, each drawn as a line of marks above the shots.
    """
    kinds = ["action", "decoy", "stroll", "pan", "cuts", "still"]
    colours = dict(
        zip(kinds, [TRUE, "#cf222e", "#d4a72c", "#54aeff", "#8c959f", "#d0d7de"], strict=True)
    )
    picks = picks or {}
    figure, axis = plt.subplots(figsize=(10, 1.8 + 0.3 * len(picks)))
    for shot in shots:
        axis.barh(0, shot.end_s - shot.start_s, left=shot.start_s, color=colours[shot.kind], height=0.8)
        if shot.sound:
            axis.text((shot.start_s + shot.end_s) / 2, 0, "♪", ha="center", va="center", color="white")
    for kind in kinds:
        axis.barh(0, 0, color=colours[kind], label=kind)
    for line, times in enumerate(picks.values(), 1):
        axis.barh(
            0.2 + line * 0.6,
            times[:, 1] - times[:, 0],
            left=times[:, 0],
            height=0.34,
            color=INK,
            edgecolor="white",
        )
    ticks = [0.2 + line * 0.6 for line in range(1, len(picks) + 1)]
    axis.set_yticks(ticks, list(picks))
    axis.tick_params(axis="y", length=0)
    axis.set(xlabel="seconds", title=title, ylim=(-0.5, 0.5 + 0.6 * len(picks)))
    axis.set_xlim(0, shots[-1].end_s)
    figure.legend(ncols=6, loc="outside lower center", frameon=False)
    return figure


def hits(counts: dict[str, np.ndarray], k: int) -> Figure:
    """How many of the K picked clips show the action: the share of `counts` (draws,), name by name."""
    figure, axes = plt.subplots(
        len(counts), 1, figsize=(7, 1.05 * len(counts) + 0.5), sharex=True, sharey=True, squeeze=False
    )
    for axis, (name, values) in zip(axes[:, 0], counts.items(), strict=True):
        share = np.bincount(values, minlength=k + 1) / len(values)
        axis.bar(range(k + 1), 100 * share, color=COLOURS.get(name, TRUE), width=0.7)
        axis.axvline(values.mean(), color=INK, linewidth=1, linestyle="--")
        axis.set_title(f"{name}: {values.mean():.1f} on average", loc="left", fontsize=9)
        axis.set(yticks=[0, 50, 100], ylim=(0, 105))
    axes[len(axes) // 2, 0].set_ylabel("% of videos")
    axis.set(xlabel=f"clips in the action, of K = {k}", xticks=range(k + 1))
    return figure


def shares(values: np.ndarray, *, xlabel: str) -> Figure:
    """A histogram of shares, 0..1, with their mean."""
    figure, axis = plt.subplots(figsize=(7, 2.4))
    axis.hist(100 * np.asarray(values), bins=range(-2, 103, 4), color=TRUE, rwidth=0.92)
    mean = 100 * float(np.mean(values))
    axis.axvline(mean, color=INK, linestyle="--", linewidth=1)
    axis.text(mean + 2.5, axis.get_ylim()[1] * 0.9, f"mean {mean:.0f} %", fontsize=9)
    axis.set(xlabel=xlabel, ylabel="videos", xlim=(0, 100))
    return figure


def by_class(table: pd.DataFrame, columns: dict[str, str]) -> Figure:
    """One dot a video, one line a class (`table["label"]`). There is one panel for each of `columns`:
    title.
    """
    classes = sorted(table["label"].unique())[::-1]
    size = (3.4 * len(columns), 0.8 + 0.32 * len(classes))
    figure, axes = plt.subplots(1, len(columns), figsize=size, sharey=True, squeeze=False)
    for axis, (column, title) in zip(axes[0], columns.items(), strict=True):
        for line, name in enumerate(classes):
            values = table.loc[table["label"] == name, column].dropna()
            axis.plot(values, np.full(len(values), line), "o", color=COLOURS["visual"], alpha=0.35)
            axis.plot(values.median(), line, "|", color=INK, markersize=16, markeredgewidth=2)
        axis.set(xlabel=title, ylim=(-0.6, len(classes) - 0.4))
    names, how = drawn(*classes)
    axes[0, 0].set_yticks(range(len(classes)), names, **how)
    return figure


def frame_sizes(size: np.ndarray, key: np.ndarray, *, title: str = "") -> Figure:
    """Compressed bytes (F,) of consecutive frames as bars; keyframes, `key` (F,), stand out."""
    figure, axis = plt.subplots(figsize=(10, 2.4))
    position = np.arange(len(size))
    for flag, colour, label in ((True, "#0969da", "I-frame"), (False, "#bf8700", "P- or B-frame")):
        axis.bar(position[key == flag], size[key == flag], color=colour, label=label, width=0.8)
    axis.set(xlabel="frame", ylabel="bytes", title=title, xlim=(-0.6, len(size) - 0.4))
    axis.legend(frameon=False, ncols=2, loc="upper right", bbox_to_anchor=(1, 1.2), fontsize=9)
    return figure


def saliency_curve(
    times: np.ndarray,
    curves: dict[str, np.ndarray],
    segments: np.ndarray,
    *,
    picks: dict[str, np.ndarray] | None = None,
    title: str = "",
) -> Figure:
    """Saliency over time, scaled to 0..1 each, with picks as dots.

    The true segments are below in green. times (N, 2) seconds; curves: name to (N,); segments (S, 2);
    picks: name to clip numbers.
    """
    figure, axis = plt.subplots(figsize=(10, 2.6))
    middle = times.mean(1)
    for name, values in curves.items():
        spread = np.ptp(values)
        scaled = (values - values.min()) / (spread if spread else 1)
        line = axis.plot(middle, scaled, label=name, color=COLOURS.get(name), linewidth=1.3)[0]
        for clip in (picks or {}).get(name, ()):
            axis.plot(middle[clip], scaled[clip], "o", color=line.get_color(), markersize=5)
    for start, end in segments:
        axis.axvspan(start, end, ymin=0, ymax=0.06, color=TRUE, linewidth=0)
    axis.set(xlabel="seconds", ylabel="saliency (scaled)", ylim=(-0.12, 1.08), yticks=[0, 1])
    (title,), how = drawn(title)
    axis.set_title(title, **how)
    axis.set_xlim(times[0, 0], times[-1, 1])
    axis.ticklabel_format(axis="x", style="plain", useOffset=False)
    axis.legend(frameon=False, ncols=4, loc="upper right", bbox_to_anchor=(1, 1.2), fontsize=9)
    return figure


def accuracy_bars(summary: pd.DataFrame, *, chance: float, title: str = "") -> Figure:
    """Accuracy of each method with its interval (`table.over_seeds`)."""
    figure, axis = plt.subplots(figsize=(8, 0.42 * len(summary) + 1.1))
    names, values = summary["method"], 100 * summary["accuracy"]
    low, high = values - 100 * summary["accuracy_low"], 100 * summary["accuracy_high"] - values
    colours = [colour_of(name) for name in names]
    position = np.arange(len(names))[::-1]
    axis.barh(position, values, color=colours, height=0.66)
    spread = np.clip([low, high], 0, None)
    axis.errorbar(values, position, xerr=spread, fmt="none", ecolor=INK, elinewidth=1, capsize=2)
    for y, value, top in zip(position, values, values + spread[1], strict=True):
        axis.text(top + 1.5, y, f"{value:.1f}", va="center", fontsize=9)
    axis.axvline(100 * chance, color=MUTED, linestyle="--", linewidth=1)
    axis.text(100 * chance, len(names) - 0.4, " chance", color=MUTED, fontsize=8, va="bottom")
    axis.set_yticks(position, names)
    axis.set(xlim=(0, 112), xlabel="accuracy, %", title=title)
    return figure


def choices(groups: dict[str, pd.DataFrame], *, lines: dict[str, float]) -> Figure:
    """Design choices against each other: one panel for each of `groups`, one dot a variant.

    groups: title to a table of `table.intervals`. lines: accuracies, 0..1, through all panels.
    """
    heights = [len(table) + 0.6 for table in groups.values()]
    figure, axes = plt.subplots(
        len(groups),
        1,
        figsize=(8, 0.34 * sum(heights) + 1.0),
        sharex=True,
        squeeze=False,
        height_ratios=heights,
    )
    for axis, (title, table) in zip(axes[:, 0], groups.items(), strict=True):
        position, middle = np.arange(len(table))[::-1], 100 * table["accuracy"].to_numpy()
        low, high = (100 * table[f"accuracy_{end}"].to_numpy() for end in ("low", "high"))
        axis.hlines(position, low, high, color=COLOURS["visual"], linewidth=1.4, alpha=0.5)
        axis.plot(middle, position, "o", color=COLOURS["visual"])
        for y, value in zip(position, middle, strict=True):
            axis.annotate(
                f"{value:.1f}", (value, y), (0, 5), textcoords="offset points", ha="center", fontsize=8
            )
        for value in lines.values():
            axis.axvline(100 * value, color=MUTED, linestyle="--", linewidth=1)
        axis.set_yticks(position, table["method"])
        axis.set(ylim=(-0.6, len(table) - 0.2), xlim=(0, 103))
        axis.set_title(title, loc="left", fontsize=10)
    for number, (name, value) in enumerate(lines.items()):
        axes[0, 0].annotate(
            name,
            (100 * value, axes[0, 0].get_ylim()[1]),
            (3, -9 * number - 3),
            textcoords="offset points",
            va="top",
            fontsize=8,
            color=MUTED,
        )
    axes[-1, 0].set_xlabel("accuracy, %")
    return figure


def accuracy_over_k(table: pd.DataFrame, *, clips: float) -> Figure:
    """Accuracy over K on a logarithmic axis: rows `method, k, accuracy, accuracy_low, accuracy_high`.

    `clips` is the mean N of the videos, where every method becomes dense.
    """
    figure, axis = plt.subplots(figsize=(8, 3.6))
    for method, rows in table.groupby("method", sort=False):
        colour = COLOURS.get(method, INK)
        axis.plot(rows["k"], 100 * rows["accuracy"], "o-", color=colour, label=method, markersize=4)
        axis.fill_between(
            rows["k"], 100 * rows["accuracy_low"], 100 * rows["accuracy_high"], color=colour, alpha=0.08
        )
    axis.axvline(clips, color=MUTED, linestyle="--", linewidth=1)
    axis.annotate("all clips ", (clips, 2), ha="right", color=MUTED, fontsize=8)
    ks = sorted(table["k"].unique())
    axis.set_xscale("log")
    axis.set_xticks(ks, [str(k) for k in ks])
    axis.minorticks_off()
    axis.set(xlabel="K, clips that f sees", ylabel="accuracy, %", ylim=(0, 103))
    figure.legend(ncols=7, loc="outside lower center", frameon=False, fontsize=9)
    return figure
