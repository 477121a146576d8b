"""Frames of the chosen clips for another model, with their times.

These are the times at which they are shown. Video language models want a few frames, and must be told
when each is shown. Where the distance of frames is constant, that is the frame's number over the rate.
Where it is not, only seconds are true.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scslib.video.clips import ClipIndex
from scslib.video.frames import decode_clips, spread

CLOCK = 1000.0  # ticks a second, in place of a rate where there is none
SAME_S = 2e-3  # so far the times of frames may lie from a line; containers round to milliseconds


class PickedFrames(NamedTuple):
    """n frames in the order of time: pixels (n, H, W, 3) uint8 RGB, their numbers in the file (n,),
    counted in the order in which they are shown, and seconds (n,) by the file's clock."""

    pixels: np.ndarray
    numbers: np.ndarray
    seconds: np.ndarray


def frame_places(index: ClipIndex, clips: Sequence[int], n: int) -> list[tuple[int, list[int]]]:
    """The places of n frames in the clips: (clip, places among its `clip_len` frames), in the order of
    time.

    The n frames are shared out evenly over the clips, and inside each over its length; they are fewer
    where the clips have not so many. Raises `ValueError` for n below 1.
    """
    if n < 1:
        raise ValueError(f"n ({n}) must be > 0")
    clips = sorted(int(clip) for clip in clips)
    if n < len(clips):
        clips = [clips[i] for i in spread(len(clips), n)]
    shares = np.diff(np.arange(len(clips) + 1) * n // len(clips))
    seen: set[int] = set()
    found = []
    for clip, share in zip(clips, shares, strict=True):
        shown, places = index.shown(clip), []
        for place in spread(index.clip_len, min(int(share), index.clip_len)):
            if shown[place] not in seen:  # overlapping clips, and short ones, show a frame twice
                seen.add(shown[place])
                places.append(place)
        found.append((clip, places))
    return found


def numbers_and_seconds(
    index: ClipIndex, places: Sequence[tuple[int, list[int]]]
) -> tuple[np.ndarray, np.ndarray]:
    """The frames' numbers (n,) and seconds (n,), in the order of time."""
    numbers = [index.shown(clip)[place] for clip, some in places for place in some]
    ordered = np.sort(np.array(numbers, int))
    return ordered, index.pts[ordered] * index.time_base


def picked_frames(index: ClipIndex, clips: Sequence[int], n: int, size: tuple[int, int]) -> PickedFrames:
    """Decode n frames of these clips at (H, W) `size`. Raises `VideoError` where a clip is damaged."""
    places = frame_places(index, clips, n)
    numbers = np.array([index.shown(clip)[place] for clip, some in places for place in some], int)
    pixels = np.concatenate(
        [decode_clips(index, [clip], size=size)[0][some] for clip, some in places if some]
    )
    order = np.argsort(numbers, kind="stable")
    return PickedFrames(pixels[order], numbers[order], index.pts[numbers[order]] * index.time_base)


def metadata_of(index: ClipIndex, numbers: np.ndarray) -> dict[str, object]:
    """What transformers' video processors take as `video_metadata`, of the frames `numbers` (n,).

    They take `frames_indices / fps` for the seconds since the first frame. So where frames do not follow
    each other at a constant rate, `fps` is a clock of a thousand ticks a second, and the indices are
    ticks, not frame numbers.
    """
    seconds = (index.pts - index.pts[0]) * index.time_base
    length = float(seconds[-1]) + index.frame_s
    frames = len(seconds)
    rate = (frames - 1) / float(seconds[-1]) if frames > 1 and seconds[-1] > 0 else 1 / index.frame_s
    constant = bool(np.abs(seconds - np.arange(frames) / rate).max() <= SAME_S)
    indices = numbers if constant else np.round(seconds[numbers] * CLOCK).astype(int)
    width, height = index.info.width, index.info.height
    return {
        "total_num_frames": frames if constant else round(length * CLOCK),
        "fps": rate if constant else CLOCK,
        "width": width,
        "height": height,
        "duration": length,
        "video_backend": "scslib",
        "frames_indices": [int(i) for i in indices],
    }
