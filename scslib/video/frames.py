"""Decoding pictures for the clip classifier: every clip (dense), or only the K chosen (by seeking)."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from scslib.video import colour
from scslib.video.clips import ClipIndex
from scslib.video.container import VideoError, open_video, video_stream
from scslib.video.display import Display
from scslib.video.probe import probe


def iter_clips(index: ClipIndex, *, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Decode the whole video and give each clip in order, uint8 RGB (clip_len, H, W, 3).

    `size` is (H, W) in pixels. One clip is held in memory at a time; nothing is decoded twice.
    A broken stream gives fewer clips than `len(index)`.
    """
    yield from _decode(index, range(len(index)), size)


def decode_clips(index: ClipIndex, clips: Sequence[int], *, size: tuple[int, int]) -> np.ndarray:
    """Decode only the clips of the given numbers, in the order given: (K, clip_len, H, W, 3) uint8.

    Seeks to the keyframe before each clip, and reads on where the next clip is nearer than its
    keyframe. Raises `ValueError` for a clip number outside 0..N-1, `VideoError` where the stream
    breaks off before a clip.
    """
    for clip in clips:
        if not 0 <= clip < len(index):
            raise ValueError(f"clip ({clip}) must be in 0..{len(index) - 1}")
    wanted = sorted(set(int(c) for c in clips))
    out = np.zeros((len(wanted), index.clip_len, *size, 3), np.uint8)
    done = 0
    for pixels in _decode(index, wanted, size):
        out[done] = pixels
        done += 1
    if done < len(wanted):
        raise VideoError(f"{index.path}: the stream breaks off before clip {wanted[done]}")
    return out[[wanted.index(c) for c in clips]]


def short_side(width: int, height: int, pixels: int) -> tuple[int, int]:
    """(H, W) of a picture scaled so that its short side has `pixels` pixels, both even."""
    scale = pixels / min(width, height)
    return tuple(max(2, round(side * scale / 2) * 2) for side in (height, width))


def _decode(index: ClipIndex, wanted: Sequence[int], size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Give the clips of the ascending numbers `wanted` as (clip_len, H, W, 3), filled up at the end."""
    with open_video(index.path) as container:
        stream = video_stream(container)
        to_rgb = RgbConverter(probe(index.path).display, size)
        frames = visit(index, container, stream, map(index.frames, wanted))
        kept: dict[int, np.ndarray] = {}
        reached = -1  # position of the last frame that was decoded
        for clip in wanted:
            run = index.frames(clip)
            kept = {p: pixels for p, pixels in kept.items() if p >= run[0]}
            while reached < run[-1]:
                reached, frame = next(frames, (len(index.pts), None))
                if frame is not None and reached >= run[0]:
                    kept[reached] = to_rgb(frame)
            pixels = [kept[p] for p in run if p in kept]
            if not pixels:
                return  # the stream broke off before this clip
            pixels += pixels[-1:] * (index.clip_len - len(pixels))
            yield np.stack(pixels)


Frames = Iterator[av.VideoFrame]


def visit(
    index: ClipIndex,
    container: av.container.InputContainer,
    stream: av.VideoStream,
    runs: Iterable[range],
    *,
    through: Callable[[Frames], Frames] = iter,
) -> Iterator[tuple[int, av.VideoFrame]]:
    """Decode what ascending runs of positions need: (position, frame), no frame twice.

    Seeks to the keyframe before a run where that is further on than reading has come, so that runs
    which lie near each other are read in one go. The frames from the keyframe on are among those
    given. `through` may put something between decoder and reader.
    """
    keys, reached = np.flatnonzero(index.key), -1
    reader = index.positions(through(decoded(container, stream)))
    for run in runs:
        before = np.searchsorted(keys, run[0], side="right")
        key = keys[before - 1] if before else 0
        if index.timed and key > reached + 1:
            reader = _seek(index, container, stream, key, through)
        while reached < run[-1]:
            step = next(reader, None)
            if step is None:
                return
            reached = step[0]
            yield step


def _seek(
    index: ClipIndex,
    container: av.container.InputContainer,
    stream: av.VideoStream,
    key: int,
    through: Callable[[Frames], Frames],
) -> Iterator[tuple[int, av.VideoFrame]]:
    """`index.positions` from the keyframe at position `key`, or from the beginning.

    MPEG-TS has no table of keyframes: a seek may land behind the one that was asked for.
    """
    container.seek(int(index.pts[key]), stream=stream)
    reader = index.positions(through(decoded(container, stream)))
    first = next(reader, None)
    if first is not None and first[0] <= key and first[1].key_frame:
        return itertools.chain([first], reader)
    container.seek(int(index.pts[0]) - round(1 / index.time_base), stream=stream)
    return index.positions(through(decoded(container, stream)))


def decoded(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    """Decode to the end, or to the first error after which nothing more comes.

    Errors before the first picture are no end: what they were to refer to is not in the file.
    """
    try:
        for packet in container.demux(stream):
            with contextlib.suppress(av.FFmpegError):
                if frames := packet.decode():
                    break
        else:
            return
        yield from frames
        yield from container.decode(stream)
    except (av.FFmpegError, IndexError):  # IndexError: see `clips._packets`
        return


class RgbConverter:
    """Turns decoded frames into uint8 RGB (H, W, 3) as they are shown, scaled in the same step.

    `size` is (H, W) as shown. One converter serves a whole video: setting libswscale up costs more than
    using it.
    """

    def __init__(self, display: Display, size: tuple[int, int]):
        self.display = display
        self.height, self.width = display.scaled(*size)
        self.scaler = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        how = {"interpolation": Interpolation.BILINEAR, "src_colorspace": colour.read_as(frame)}
        picture = self.scaler.reformat(frame, self.width, self.height, "rgb24", **how)
        return self.display.turn(picture.to_ndarray())
