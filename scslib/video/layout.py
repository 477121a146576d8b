"""Which frames make which clip, when each clip is, and which are left out because their times cannot be.

Clips are counted in frames. Where a rate is wanted and the video's own one is not constant they are made
by time, so that each lasts equally long. A clip that is left out costs no other: those that remain are
numbered on, and what is missing is said in words.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

PAUSE_S, PAUSE = 60.0, 100  # a gap longer than this, and than so many usual ones, is a pause
STILL_S, STILL = 1e-3, 20  # frames nearer than this, and than a part of the usual distance, stand still
LONGEST_S = 1800.0  # of a clip with sound, which is heard over twice its length
AGREES = 0.02  # a declared rate so near to the measured one is the more exact one
FULLEST = 2  # a clip by time holds so many times the usual number of frames at most


@dataclass(frozen=True, eq=False)
class Pace:
    """How frames follow each other: seconds (F,) and what lies between them (F - 1,).

    rate: frames a second; the declared one where the times agree with it, else the mean of those
    distances that are neither a pause nor no time at all. frame_s: how long a frame lasts after which
    none follows. constant: the times lie on a line.
    """

    seconds: np.ndarray
    apart: np.ndarray
    pause: np.ndarray
    still: np.ndarray
    rate: float
    frame_s: float
    constant: bool

    @property
    def end_s(self) -> float:
        return float(self.seconds[-1] + self.frame_s)


def pace_of(seconds: np.ndarray, declared: float) -> Pace:
    """The pace of frames that are shown at `seconds` (F,); `declared` frames a second, 0: not known."""
    apart = np.diff(seconds)
    usual = float(np.median(apart[apart > 0])) if (apart > 0).any() else 1 / (declared or 25)
    pause = apart > max(PAUSE_S, PAUSE * usual)
    still = apart < min(STILL_S, usual / STILL)
    moving = apart[~pause & ~still]
    mean = float(moving.mean()) if len(moving) else 0.0
    rate = declared or (1 / mean if mean else 25.0)
    line = seconds[0] + np.arange(len(seconds)) * (seconds[-1] - seconds[0]) / max(1, len(apart))
    constant = bool(np.abs(seconds - line).max() <= 0.5 * usual)
    frame_s = 1 / rate
    if mean and abs(rate * mean - 1) > AGREES:
        rate, frame_s = 1 / mean, mean if constant else usual
    return Pace(seconds, apart, pause, still, rate, frame_s, constant)


@dataclass(frozen=True, eq=False)
class Layout:
    """N clips: runs (N, 2), the positions of the first frame and after the last; times (N, 2), seconds.

    clip_len: frames of a clip, where they are counted; at most, where clips are made by time. laid: how
    many there were before some were left out, with the reasons.
    """

    runs: np.ndarray
    times: np.ndarray
    clip_len: int
    clip_stride: int
    laid: int
    by_time: bool
    left_out: tuple[str, ...] = ()


def lay_out(pace: Pace, clip_len: int, clip_stride: int, frame_rate: float, *, heard: bool) -> Layout:
    """The clips of `clip_len` frames, `clip_stride` apart, counted at `frame_rate` (0: as they come).

    `heard` says that there is sound to hear of each.
    """
    if frame_rate and not pace.constant:
        layout = _by_time(pace, clip_len / frame_rate, clip_stride / frame_rate)
    else:
        ratio = pace.rate / frame_rate if frame_rate else 1.0
        layout = _by_count(pace, max(1, round(clip_len * ratio)), max(1, round(clip_stride * ratio)))
    return _without_odd_ones(layout, pace, heard)


def clips_in(frames: int, clip_len: int, clip_stride: int) -> int:
    """How many clips so many frames make; at least one."""
    return 1 + max(0, frames - clip_len) // clip_stride


def _by_count(pace: Pace, clip_len: int, clip_stride: int) -> Layout:
    frames = len(pace.seconds)
    first = np.arange(clips_in(frames, clip_len, clip_stride)) * clip_stride
    stop = np.minimum(first + clip_len, frames)
    # a frame ends where the next one begins, but before a pause
    ends = np.where(pace.pause, pace.seconds[:-1] + pace.frame_s, pace.seconds[1:])
    ends = np.append(ends, pace.end_s)
    runs = np.stack([first, stop], 1)
    times = np.stack([pace.seconds[first], ends[stop - 1]], 1)
    return Layout(runs, times, clip_len, clip_stride, len(runs), by_time=False)


def _by_time(pace: Pace, length_s: float, stride_s: float) -> Layout:
    begin, slack = float(pace.seconds[0]), 0.25 / pace.rate
    count = 1 + max(0, math.floor((pace.end_s - begin - length_s + slack) / stride_s))
    starts = begin + np.arange(count) * stride_s
    first = np.searchsorted(pace.seconds, starts - 1e-6)
    stop = np.searchsorted(pace.seconds, starts + length_s - 1e-6)
    empty = stop <= first  # what is shown then is the frame before
    stop = np.where(empty, first, stop)
    first = np.where(empty, first - 1, first)
    usual = max(1, round(length_s * pace.rate))
    clip_len = min(int((stop - first).max()), FULLEST * usual)
    runs, times = np.stack([first, stop], 1), np.stack([starts, starts + length_s], 1)
    stride = max(1, round(stride_s * pace.rate))
    return Layout(runs, times, clip_len, stride, count, by_time=True)


def _without_odd_ones(layout: Layout, pace: Pace, heard: bool) -> Layout:
    """The layout without the clips across a pause, in no time, or too long to be heard."""
    first, stop = layout.runs.T
    start_s, end_s = layout.times.T
    inside = np.maximum(stop - 1, first)  # distances first..stop - 1 lie between frames of the clip
    pauses, stills = (np.concatenate([[0], np.cumsum(what)]) for what in (pace.pause, pace.still))
    paused = pauses[inside] > pauses[first]
    if layout.by_time:  # it shows nothing but the frame before the pause
        still = (start_s > pace.seconds[first]) & (stop == first + 1)
        paused |= still & np.append(pace.pause, False)[first]
    distances = np.minimum(stop, len(pace.apart)) - first  # that to the next clip's frame, too
    standing = stills[np.minimum(stop, len(pace.apart))] - stills[first] > np.maximum(distances, 0) / 4
    endless = ~paused & (end_s - start_s > LONGEST_S) & heard
    why = [
        (paused, "across a pause"),
        (standing & ~paused, "where time stands still"),
        (endless, f"longer than {LONGEST_S / 60:.0f} minutes"),
    ]
    said = tuple(_said(layout.times[odd], reason) for odd, reason in why if odd.any())
    if not said:
        return layout
    good = ~(paused | standing | endless)
    return replace(layout, runs=layout.runs[good], times=layout.times[good], left_out=said)


def _said(times: np.ndarray, reason: str) -> str:
    clips = f"{len(times)} clips" if len(times) > 1 else "a clip"
    return f"without {clips} between {times[0, 0]:.2f} and {times[-1, 1]:.2f} s, {reason}"
