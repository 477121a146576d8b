"""Figures: each function takes arrays and tables, draws one figure that stands alone, and returns it."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure

INK, MUTED, TRUE = "#24292f", "#8c959f", "#2da44e"
COLOURS = {
    "random": "#b6bdc5",
    "uniform": "#8c959f",
    "dense": "#57606a",
    "empirical": "#a8b1ba",
    "packet-size": "#7d8590",
    "motion-energy": "#6e7781",
    "audio": "#bf8700",
    "visual": "#0969da",
    "audio-visual": "#8250df",
    "shuffled": "#d8dee4",
    "oracle": TRUE,
}
STAGE_COLOURS = {
    "read_s": "#54aeff",
    "sampler_s": "#8250df",
    "decode_s": "#d4a72c",
    "classifier_s": "#57606a",
}

_STEPS = plt.get_cmap("viridis", 24)  # few colours keep notebooks small

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


def picture_rows(rows: Sequence[np.ndarray], titles: Sequence[str], *, columns: int = 8) -> Figure:
    """One line of pictures per entry of `rows` (T, H, W, 3), `columns` of each, titled."""
    figure, axes = plt.subplots(len(rows), columns, figsize=(columns, 0.95 * len(rows)), squeeze=False)
    for line, pictures, title in zip(axes, rows, titles, strict=True):
        chosen = np.linspace(0, len(pictures) - 1, columns).round().astype(int)
        for axis, number in zip(line, chosen, strict=True):
            axis.imshow(_coarse(pictures[number]), interpolation="nearest")
            axis.set_axis_off()
        line[-1].set_title(" ", fontsize=9)  # keeps the height; a long title must not widen a column
        where = {"transform": line[0].transAxes, "va": "bottom", "fontsize": 9}
        line[0].text(0, 1.06, title, **where).set_in_layout(False)
    return figure


def _coarse(picture: np.ndarray) -> np.ndarray:
    """Five bits a colour for uint8: the eye sees no difference, and notebooks stay half as large."""
    return (picture & 0xF8) | 4 if picture.dtype == np.uint8 else picture


def timeline(shots: Sequence, *, picks: dict[str, np.ndarray] | None = None, title: str = "") -> Figure:
    """The shots of a synthetic video (`datasets.synthetic.Shot`) as coloured bars over time.

    picks: name to (K, 2) seconds, each drawn as a line of marks above the shots.
    """
    kinds = ["action", "decoy", "crowd", "pan", "cuts", "still"]
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
        lengths, style = times[:, 1] - times[:, 0], {"color": INK, "edgecolor": "white"}
        axis.barh(0.2 + line * 0.6, lengths, left=times[:, 0], height=0.34, **style)
    ticks = [0.2 + line * 0.6 for line in range(1, len(picks) + 1)]
    axis.set_yticks(ticks, list(picks))
    axis.tick_params(axis="y", length=0)
    axis.set(xlabel="seconds", title=title, ylim=(-0.5, 0.5 + 0.6 * len(picks)))
    axis.set_xlim(0, shots[-1].end_s)
    figure.legend(ncols=6, loc="outside lower center", frameon=False)
    return figure


def the_idea(
    pictures: np.ndarray, saliency: np.ndarray, chosen: np.ndarray, *, answer: str = "label"
) -> Figure:
    """The method in one picture: clips, a saliency for each, the chosen ones through f, their mean.

    pictures (N, H, W, 3), one for each clip; saliency (N,), 0..1; `chosen` are clip numbers.
    """
    figure, axis = plt.subplots(figsize=(10, 3.8))
    clips, (height, width) = len(pictures), pictures.shape[1:3]
    tall = height / width * 0.92
    for clip, picture in enumerate(pictures):
        picked, left = clip in chosen, clip + 0.04
        where = (left, left + 0.92, 3.8, 3.8 + tall)
        axis.imshow(_coarse(picture), extent=where, interpolation="nearest")
        bar = max(saliency[clip], 0.04)
        axis.bar(clip + 0.5, bar, bottom=2.5, width=0.7, color=TRUE if picked else "#d0d7de")
        if picked:
            axis.add_patch(plt.Rectangle((left, 3.8), 0.92, tall, fill=False, color=TRUE, lw=2.5))
            arrow = {"arrowstyle": "-|>", "color": TRUE, "shrinkB": 12}
            axis.annotate("", (clips / 2, 1.1), (clip + 0.5, 2.4), arrowprops=arrow)
    box = {"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": INK}
    axis.text(clips / 2, 1.0, "clip classifier $f$, costly: only K clips", ha="center", bbox=box)
    axis.annotate("", (clips / 2, 0.1), (clips / 2, 0.7), arrowprops={"arrowstyle": "-|>"})
    axis.text(clips / 2, -0.3, f"mean of the K predictions: {answer}", ha="center")
    axis.text(-0.2, 4.1, "the video,\nN clips", ha="right", va="center", fontsize=9)
    axis.text(-0.2, 3.0, "sampler,\ncheap: all N", ha="right", va="center", fontsize=9)
    axis.set(xlim=(-2, clips + 0.2), ylim=(-0.5, 3.9 + tall), aspect="equal")
    axis.set_axis_off()
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
    axis.hist(100 * np.asarray(values), bins=np.arange(-2, 103, 4), color=TRUE, rwidth=0.92)
    mean = 100 * float(np.mean(values))
    axis.axvline(mean, color=INK, linestyle="--", linewidth=1)
    axis.text(mean + 2.5, axis.get_ylim()[1] * 0.9, f"mean {mean:.0f} %", fontsize=9)
    axis.set(xlabel=xlabel, ylabel="videos", xlim=(0, 100))
    return figure


def by_class(table: pd.DataFrame, columns: dict[str, str]) -> Figure:
    """One dot a video, one line a class (`table["label"]`), one panel for each of `columns`: title."""
    classes = sorted(table["label"].unique())[::-1]
    size = (3.4 * len(columns), 0.8 + 0.32 * len(classes))
    figure, axes = plt.subplots(1, len(columns), figsize=size, sharey=True, squeeze=False)
    for axis, (column, title) in zip(axes[0], columns.items(), strict=True):
        for line, name in enumerate(classes):
            values = table.loc[table["label"] == name, column].dropna()
            axis.plot(values, np.full(len(values), line), "o", color=COLOURS["visual"], alpha=0.35)
            axis.plot(values.median(), line, "|", color=INK, markersize=16, markeredgewidth=2)
        axis.set(xlabel=title, ylim=(-0.6, len(classes) - 0.4))
    axes[0, 0].set_yticks(range(len(classes)), classes)
    return figure


def panels(pictures: Sequence[np.ndarray], titles: Sequence[str], *, block: int = 0) -> Figure:
    """Pictures side by side; `block` > 0 draws the grid of blocks of so many pixels over the first."""
    height, width = pictures[0].shape[:2]
    size = (10, 10 / len(pictures) * height / width + 0.35)
    figure, axes = plt.subplots(1, len(pictures), figsize=size, squeeze=False)
    for axis, picture, title in zip(axes[0], pictures, titles, strict=True):
        axis.imshow(_coarse(picture), extent=(0, width, height, 0), interpolation="nearest")
        axis.set_title(title, loc="left", fontsize=9)
        axis.set_axis_off()
    if block:
        axes[0, 0].vlines(np.arange(0, width + 1, block), 0, height, color="white", linewidth=0.6)
        axes[0, 0].hlines(np.arange(0, height + 1, block), 0, width, color="white", linewidth=0.6)
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


def motion_field(picture: np.ndarray, motion: np.ndarray, *, axis=None) -> Figure:
    """Motion displacement (h, w, 2), in pixels, as arrows over its picture (H, W, 3), 20 abreast."""
    if axis is None:
        _, axis = plt.subplots(figsize=(6, 4.5))
    height, width = picture.shape[:2]
    rows, columns = motion.shape[:2]
    x = (np.arange(columns) + 0.5) * width / columns
    y = (np.arange(rows) + 0.5) * height / rows
    step = max(1, columns // 20)
    x, y, motion = x[::step], y[::step], motion[::step, ::step]
    axis.imshow(_coarse(picture), interpolation="nearest")
    axis.quiver(
        x,
        y,
        motion[..., 0],
        motion[..., 1],
        color="#ffdf5d",
        edgecolor="black",
        linewidth=0.4,
        angles="xy",
        scale_units="xy",
        scale=0.6,
        width=0.008,
    )
    axis.set_axis_off()
    return axis.figure


def colour_motion(motion: np.ndarray) -> np.ndarray:
    """Motion (h, w, 2) as RGB in 0..1: the hue is the direction, the brightness the speed."""
    speed = np.hypot(motion[..., 0], motion[..., 1])
    hue = np.arctan2(motion[..., 1], motion[..., 0]) / (2 * np.pi) % 1
    value = np.clip(speed / max(float(speed.max()), 1.0), 0, 1)
    return hsv_to_rgb(np.stack([hue, np.ones_like(hue), value], axis=-1))


def colour_residual(residual: np.ndarray, gain: float = 3.0) -> np.ndarray:
    """Residuals (h, w, 3), -255..255, as RGB in 0..1: grey is no change."""
    return np.clip(0.5 + gain * residual / 510, 0, 1)


def spectrogram(logmel: np.ndarray, seconds: float, *, axis=None) -> Figure:
    """A log-mel picture (200, 40), time from left to right; colours compare between pictures."""
    if axis is None:
        _, axis = plt.subplots(figsize=(6, 2.4))
    scale = {"extent": (0, seconds, 0, logmel.shape[1]), "vmin": -6, "vmax": 4, "cmap": _STEPS}
    axis.imshow(logmel.T, origin="lower", aspect="auto", interpolation="nearest", **scale)
    axis.set(xlabel="seconds in the window", ylabel="mel band")
    return axis.figure


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


def confusion(matrix: np.ndarray, classes: Sequence[str]) -> Figure:
    """Counts (C, C) of true (rows) against predicted (columns) classes."""
    figure, axis = plt.subplots(figsize=(1.6 + 0.55 * len(classes), 1.2 + 0.5 * len(classes)))
    share = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(matrix):
        if value:
            colour = "white" if share[row, column] > 0.5 else INK
            axis.text(column, row, int(value), ha="center", va="center", color=colour, fontsize=9)
    axis.set_xticks(range(len(classes)), classes, rotation=40, ha="right")
    axis.set_yticks(range(len(classes)), classes)
    axis.set(xlabel="predicted", ylabel="true class")
    return figure


def saliency_curve(
    times: np.ndarray,
    curves: dict[str, np.ndarray],
    segments: np.ndarray,
    *,
    picks: dict[str, np.ndarray] | None = None,
    title: str = "",
) -> Figure:
    """Saliency over time, scaled to 0..1 each, the picks as dots, the true segments below in green.

    times (N, 2) seconds; curves: name to (N,); segments (S, 2); picks: name to clip numbers.
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
    axis.set(
        xlabel="seconds", ylabel="saliency (scaled)", title=title, ylim=(-0.12, 1.08), yticks=[0, 1]
    )
    axis.set_xlim(times[0, 0], times[-1, 1])
    axis.legend(frameon=False, ncols=4, loc="upper right", bbox_to_anchor=(1, 1.2), fontsize=9)
    return figure


def contact_sheet(
    clips: np.ndarray, captions: Sequence[str], marks: Sequence[str] | None = None, *, title: str = ""
) -> Figure:
    """Clips (K, T, H, W, 3), a column each: their first, middle and last picture, captioned.

    `marks` are the colours of the captions, e.g. green where a clip lies in a true segment.
    """
    columns, (height, width) = min(6, len(clips)), clips.shape[2:4]
    rows = -(-len(clips) // columns)
    strips = [_coarse(np.concatenate(clip[[0, len(clip) // 2, -1]], axis=0)) for clip in clips]
    size = (1.5 * columns, rows * (1.5 * 3 * height / width + 0.4) + (0.3 if title else 0))
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    marks = marks or [INK] * len(clips)
    for axis, strip, caption, mark in zip(axes.flat, strips, captions, marks, strict=False):
        axis.imshow(strip, interpolation="nearest")
        axis.set_title(caption, fontsize=8, color=mark)
    figure.suptitle(title, fontsize=11)
    return figure


def sheet_with_curve(
    pictures: np.ndarray,
    captions: Sequence[str],
    times: np.ndarray,
    saliency: np.ndarray,
    chosen,
    *,
    title: str,
) -> Figure:
    """The saliency (N,) of a whole video over time, and one picture of each chosen clip below it.

    pictures (K, T, H, W, 3) and captions belong to the clip numbers `chosen`, best first.
    """
    columns = min(5, len(pictures))
    rows = -(-len(pictures) // columns)
    height, width = pictures.shape[2:4]
    cell = 10 / columns
    figure = plt.figure(figsize=(10, 2 + rows * (cell * height / width + 0.35)))
    grid = figure.add_gridspec(rows + 1, columns, height_ratios=[1.8] + [cell * height / width] * rows)
    axis = figure.add_subplot(grid[0, :])
    middle = times.mean(1)
    axis.plot(middle, saliency, color=COLOURS["visual"], linewidth=1.3)
    axis.plot(middle[chosen], saliency[chosen], "o", color="#cf222e", markersize=5)
    for rank, clip in enumerate(chosen, 1):
        axis.annotate(
            str(rank), (middle[clip], saliency[clip]), (0, 5), textcoords="offset points", fontsize=8
        )
    axis.set(xlabel="seconds", ylabel="saliency", xlim=(times[0, 0], times[-1, 1]))
    axis.set_title(title, loc="left")
    for number, (clip, caption) in enumerate(zip(pictures, captions, strict=True)):
        axis = figure.add_subplot(grid[1 + number // columns, number % columns])
        axis.imshow(clip[len(clip) // 2])
        axis.set_title(caption, fontsize=9)
        axis.set_axis_off()
    return figure


def accuracy_bars(summary: pd.DataFrame, *, chance: float, title: str = "") -> Figure:
    """Accuracy of each method with its interval (`evaluation.over_seeds`)."""
    figure, axis = plt.subplots(figsize=(8, 0.42 * len(summary) + 1.1))
    names, values = summary["method"], 100 * summary["accuracy"]
    low, high = values - 100 * summary["accuracy_low"], 100 * summary["accuracy_high"] - values
    colours = [COLOURS.get(n, COLOURS.get(n.removesuffix("-ac"), "#57606a")) for n in names]
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

    groups: title to a table of `evaluation.intervals`. lines: accuracies, 0..1, through all panels.
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
        where = {"textcoords": "offset points", "fontsize": 8, "color": MUTED}
        axes[0, 0].annotate(
            name, (100 * value, axes[0, 0].get_ylim()[1]), (3, -9 * number - 3), va="top", **where
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
    figure.legend(ncols=6, loc="outside lower center", frameon=False, fontsize=9)
    return figure


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
    """Seconds per video of each method, stage by stage (`evaluation.time_methods`)."""
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
