"""Lay out clips over frames and times; leave out those whose times are broken.

Clips are counted in frames. Where a rate is wanted and the video's own one is not constant they are made
by time, so that each lasts equally long. A clip that is left out costs no other: those that remain are
numbered on, and what is missing is said in words.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

PAUSE_S, PAUSE = 60.0, 100  # a gap longer than this, and than so many usual ones, is a pause
STILL_S, STILL = 2.5e-3, 20  # frames nearer than this, and than such a part of the usual, stand still
LONGEST_CLIP_S = 1800.0  # of a clip with sound, which is heard over twice its length
AGREES = 0.02  # a declared rate so near to the measured one is the more exact one
MOST_STILL = 16  # clips by time for each frame at most: of slides those are counted
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
    def pauses(self) -> list[tuple[float, float]]:
        """The (start, end) of each pause in seconds; the frame before it is shown as long as usual."""
        before = np.flatnonzero(self.pause)
        ends = self.seconds[before + 1].tolist()
        return list(zip((self.seconds[before] + self.frame_s).tolist(), ends, strict=True))

    @property
    def lasts_s(self) -> float:
        """How long all frames last, without pauses."""
        return float(self.apart[~self.pause].sum() + self.frame_s)

    @property
    def end_s(self) -> float:
        return float(self.seconds[-1] + self.frame_s)


def pace_of(seconds: np.ndarray, declared: float) -> Pace:
    """The pace of frames that are shown at `seconds` (F,); `declared` frames a second, 0: not known."""
    apart = np.diff(seconds)
    usual = float(np.median(apart[apart > 0])) if (apart > 0).any() else 1 / (declared or 25)
    pause = apart > max(PAUSE_S, PAUSE * usual)
    still = apart < min(STILL_S, _longest_half(apart[~pause]) / STILL)
    moving = apart[~pause & ~still]
    mean = float(moving.mean()) if len(moving) else 0.0
    rate = declared or (1 / mean if mean else 25.0)
    line = seconds[0] + np.arange(len(seconds)) * (seconds[-1] - seconds[0]) / max(1, len(apart))
    constant = bool(np.abs(seconds - line).max() <= 0.5 * usual)
    frame_s = 1 / rate
    if mean and abs(rate * mean - 1) > AGREES:
        rate, frame_s = 1 / mean, mean if constant else usual
    return Pace(seconds, apart, pause, still, rate, frame_s, constant)


def _longest_half(apart: np.ndarray) -> float:
    """The distance that the longer ones, which make half of the time, have at least.

    Not the median: half of the frames may stand still.
    """
    longest = np.sort(apart)[::-1]
    total = np.cumsum(longest)
    return float(longest[np.searchsorted(total, total[-1] / 2)]) if len(apart) else 0.0


@dataclass(frozen=True, eq=False)
class Layout:
    """N clips: runs (N, 2), the positions of the first frame and after the last; times (N, 2), seconds.

    clip_len: frames of a clip, where they are counted; at most, where clips are made by time. laid: how
    many there were before some were left out. pauses: (start, end), seconds. left_out: why, in words.
    """

    runs: np.ndarray
    times: np.ndarray
    clip_len: int
    clip_stride: int
    laid: int
    by_time: bool
    pauses: tuple[tuple[float, float], ...] = ()
    left_out: tuple[str, ...] = ()


def lay_out(pace: Pace, clip_len: int, clip_stride: int, frame_rate: float, *, heard: bool) -> Layout:
    """The clips of `clip_len` frames, `clip_stride` apart, counted at `frame_rate` (0: as they come).

    `heard` says that there is sound to hear of each.
    """
    by_time = frame_rate and not pace.constant
    if by_time and pace.lasts_s * frame_rate <= MOST_STILL * len(pace.seconds) * clip_stride:
        layout = _by_time(pace, clip_len, clip_len / frame_rate, clip_stride / frame_rate)
    else:
        ratio = pace.rate / frame_rate if frame_rate else 1.0
        layout = _by_count(pace, max(1, round(clip_len * ratio)), max(1, round(clip_stride * ratio)))
    return _without_odd_ones(replace(layout, pauses=tuple(pace.pauses)), pace, heard)


def in_the_middle(count: int, parts: int, at: float = 0.5) -> np.ndarray:
    """The middle thing of each of `parts` equal parts: (parts,) int, of `count` things.

    at: where in its part, 0..1.
    """
    return np.floor((np.arange(parts) + at) * count / parts).astype(int)


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


def _by_time(pace: Pace, wanted: int, length_s: float, stride_s: float) -> Layout:
    """The same by time, from the first frame on and again from the first one after each pause.

    `wanted` frames, or twice as many as there usually are, are the most that a clip is held to have.
    """
    cuts = np.flatnonzero(pace.pause) + 1
    begins, stops = [0, *cuts.tolist()], [*cuts.tolist(), len(pace.seconds)]
    parts = [_stretch(pace, *ends, length_s, stride_s) for ends in zip(begins, stops, strict=True)]
    runs, starts = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    usual = max(1, round(length_s * pace.rate))
    clip_len = min(int(np.ptp(runs, axis=1).max()), max(wanted, FULLEST * usual))
    times, stride = np.stack([starts, starts + length_s], 1), max(1, round(stride_s * pace.rate))
    return Layout(runs, times, clip_len, stride, len(runs), by_time=True)


def _stretch(
    pace: Pace, begin: int, stop: int, length_s: float, stride_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """(runs, starts) of the clips of frames begin..stop - 1, between which there is no pause."""
    seconds = pace.seconds[begin:stop]
    lasts_s = float(seconds[-1] - seconds[0]) + pace.frame_s
    count = math.floor((lasts_s - length_s + 0.25 / pace.rate) / stride_s) + 1
    if count < 1 and begin > 0:  # too short for a clip; a whole video has one at least
        return np.zeros((0, 2), int), np.zeros(0)
    starts = seconds[0] + np.arange(max(1, count)) * stride_s
    first = np.searchsorted(seconds, starts + 1e-6) - 1  # what is on the screen then
    after = np.searchsorted(seconds, starts + length_s - 1e-6)
    return begin + np.stack([first, after], 1), starts


def _without_odd_ones(layout: Layout, pace: Pace, heard: bool) -> Layout:
    """The layout without the clips across a pause, in no time, or too long to be heard."""
    first, stop = layout.runs.T
    start_s, end_s = layout.times.T
    inside = np.maximum(stop - 1, first)  # distances first..stop - 1 lie between frames of the clip
    pauses, stills = (np.concatenate([[0], np.cumsum(what)]) for what in (pace.pause, pace.still))
    paused = pauses[inside] > pauses[first]
    distances = np.minimum(stop, len(pace.apart)) - first  # that to the next clip's frame, too
    standing = stills[np.minimum(stop, len(pace.apart))] - stills[first] > np.maximum(distances, 0) / 4
    endless = ~paused & (end_s - start_s > LONGEST_CLIP_S) & heard
    why = [
        (paused, "across a pause"),
        (standing & ~paused, "where time stands still"),
        (endless, f"longer than {LONGEST_CLIP_S / 60:.0f} minutes"),
    ]
    said = tuple(_said(layout.times[odd], reason) for odd, reason in why if odd.any())
    if not said:
        return layout
    good = ~(paused | standing | endless)
    return replace(layout, runs=layout.runs[good], times=layout.times[good], left_out=said)


def _said(times: np.ndarray, reason: str) -> str:
    clips = f"{len(times)} clips" if len(times) > 1 else "a clip"
    return f"without {clips} between {times[0, 0]:.2f} and {times[-1, 1]:.2f} s, {reason}"
