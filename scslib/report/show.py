"""Figures of clips: frames, motion, residuals, sound, contact sheets."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure

from scslib.report.fonts import drawn
from scslib.report.plots import COLOURS, INK, TRUE

_STEPS = plt.get_cmap("viridis", 24)  # few colours keep notebooks small


def picture_rows(rows: Sequence[np.ndarray], titles: Sequence[str], *, columns: int = 8) -> Figure:
    """One line of pictures per entry of `rows`, titled. `columns` of each (T, H, W, 3) are shown."""
    figure, axes = plt.subplots(len(rows), columns, figsize=(columns, 0.95 * len(rows)), squeeze=False)
    titles, how = drawn(*titles)
    for line, pictures, title in zip(axes, rows, titles, strict=True):
        chosen = np.linspace(0, len(pictures) - 1, columns).round().astype(int)
        for axis, number in zip(line, chosen, strict=True):
            axis.imshow(_coarse(pictures[number]), interpolation="nearest")
            axis.set_axis_off()
        line[-1].set_title(" ", fontsize=9)  # keeps the height; a long title must not widen a column
        text = line[0].text(0, 1.06, title, transform=line[0].transAxes, va="bottom", fontsize=9, **how)
        text.set_in_layout(False)
    return figure


def _coarse(picture: np.ndarray) -> np.ndarray:
    """Five bits a colour for uint8: the eye sees no difference, and notebooks stay half as large."""
    return (picture & 0xF8) | 4 if picture.dtype == np.uint8 else picture


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
    (answer,), how = drawn(answer)
    axis.text(clips / 2, -0.3, f"mean of the K predictions: {answer}", ha="center", **how)
    axis.text(-0.2, 4.1, "the video,\nN clips", ha="right", va="center", fontsize=9)
    axis.text(-0.2, 3.0, "sampler,\ncheap: all N", ha="right", va="center", fontsize=9)
    axis.set(xlim=(-2, clips + 0.2), ylim=(-0.5, 3.9 + tall), aspect="equal")
    axis.set_axis_off()
    return figure


def panels(pictures: Sequence[np.ndarray], titles: Sequence[str], *, block: int = 0) -> Figure:
    """Pictures side by side; `block` > 0 draws the grid of blocks of so many pixels over the first."""
    height, width = pictures[0].shape[:2]
    size = (10, 10 / len(pictures) * height / width + 0.35)
    figure, axes = plt.subplots(1, len(pictures), figsize=size, squeeze=False)
    titles, how = drawn(*titles)
    for axis, picture, title in zip(axes[0], pictures, titles, strict=True):
        axis.imshow(_coarse(picture), extent=(0, width, height, 0), interpolation="nearest")
        axis.set_title(title, loc="left", fontsize=9, **how)
        axis.set_axis_off()
    if block:
        axes[0, 0].vlines(np.arange(0, width + 1, block), 0, height, color="white", linewidth=0.6)
        axes[0, 0].hlines(np.arange(0, height + 1, block), 0, width, color="white", linewidth=0.6)
    return figure


def motion_field(picture: np.ndarray, motion: np.ndarray, *, axis=None) -> Figure:
    """Motion displacement (h, w, 2), in pixels, as arrows over its picture. The picture is (H, W, 3);
    20 arrows are abreast.
    """
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
    axis.imshow(
        logmel.T,
        cmap=_STEPS,
        aspect="auto",
        interpolation="nearest",
        vmin=-6,
        vmax=4,
        origin="lower",
        extent=(0, seconds, 0, logmel.shape[1]),
    )
    axis.set(xlabel="seconds in the window", ylabel="mel band")
    return axis.figure


def sheet_with_curve(
    pictures: np.ndarray,
    captions: Sequence[str],
    times: np.ndarray,
    saliency: np.ndarray,
    chosen,
    *,
    title: str,
) -> Figure:
    """The saliency (N,) of a whole video over time, with chosen clips.

    One picture of each lies below it. pictures (K, T, H, W, 3) and captions belong to the clip numbers
    `chosen`, best first.
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
    axis.margins(y=0.15)  # the ranks stand above their points
    axis.set(xlabel="seconds", ylabel="saliency", xlim=(times[0, 0], times[-1, 1]))
    axis.ticklabel_format(axis="x", style="plain", useOffset=False)
    (title,), how = drawn(title)
    axis.set_title(title, loc="left", **how)
    for number, (clip, caption) in enumerate(zip(pictures, captions, strict=True)):
        axis = figure.add_subplot(grid[1 + number // columns, number % columns])
        axis.imshow(clip[len(clip) // 2])
        axis.set_title(caption, fontsize=9)
        axis.set_axis_off()
    return figure


def chosen_against_all(
    pictures: np.ndarray,
    times: np.ndarray,
    saliency: np.ndarray,
    chosen: np.ndarray,
    segments: np.ndarray,
    *,
    answers: tuple[str, str],
    title: str,
) -> Figure:
    """A video's saliency curve, its K chosen clips, and f's answers.

    f answers on all clips and on the chosen ones. pictures (K, T, H, W, 3), best first, of the clip
    numbers `chosen` (K,); times (N, 2) seconds; segments (S, 2): where the action is, in green.
    answers: of all clips, which is wrong, and of the chosen ones, which is right.
    """
    captions = [f"{start:.0f}–{end:.0f} s" for start, end in times[chosen]]
    figure = sheet_with_curve(pictures, captions, times, saliency, chosen, title=title)
    for start, end in segments:
        figure.axes[0].axvspan(start, end, color=TRUE, alpha=0.15, linewidth=0)
    (wrong, right), how = drawn(*answers)
    k, clips = len(chosen), len(times)
    texts = [f"f on all {clips} clips: {wrong}  ✗", f"f on the {k} chosen clips: {right}  ✓"]
    for place, text, colour in zip((0.02, 0.52), texts, ("#cf222e", "#1a7f37"), strict=True):
        figure.text(place, -0.02, text, color=colour, fontsize=13, va="top", weight="bold", **how)
    return figure
