"""Decode clips for the classifier: all of them, or K by seeking."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from scslib.video import colour
from scslib.video.clips import ClipIndex
from scslib.video.container import VideoError, decoded, open_video, video_stream
from scslib.video.display import Display


def iter_clips(
    index: ClipIndex, *, size: tuple[int, int], frames: int | None = None
) -> Iterator[np.ndarray]:
    """Decode the whole video and give each clip in order.

    A clip is uint8 RGB (clip_len, H, W, 3). `size` is (H, W) in pixels. frames: only so many of each
    clip, see `spread`. One clip is held in memory at a time; nothing is decoded twice. A broken stream
    gives fewer clips than `len(index)`: `numbered_clips` says which.
    """
    for _, pixels in numbered_clips(index, size=size, frames=frames):
        yield pixels


def numbered_clips(
    index: ClipIndex, *, size: tuple[int, int], frames: int | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """The clips of `iter_clips`, each with its number before it."""
    yield from _decode(index, range(len(index)), size, frames or index.clip_len)


def decode_clips(
    index: ClipIndex, clips: Sequence[int], *, size: tuple[int, int], frames: int | None = None
) -> np.ndarray:
    """Decode only the clips of the given numbers, in the order given: (K, clip_len, H, W, 3) uint8.

    frames: only so many of each clip, see `spread`. Seeks to the keyframe before each clip, and reads on
    where the next clip is nearer than its keyframe. Raises `ValueError` for a clip number outside
    0..N-1, `VideoError` where the stream breaks off before a clip.
    """
    for clip in clips:
        if not 0 <= clip < len(index):
            raise ValueError(f"clip ({clip}) must be in 0..{len(index) - 1}")
    wanted = sorted(set(int(c) for c in clips))
    frames = frames or index.clip_len
    out = np.zeros((len(wanted), frames, *size, 3), np.uint8)
    done: list[int] = []
    for clip, pixels in _decode(index, wanted, size, frames):
        out[len(done)] = pixels
        done.append(clip)
    lost = sorted(set(wanted) - set(done))
    if lost:
        broken = "breaks off before" if not done or lost[0] > done[-1] else "is damaged in"
        raise VideoError(f"{index.path}: the stream {broken} clip {lost[0]}")
    return out[[wanted.index(c) for c in clips]]


def short_side(width: int, height: int, pixels: int) -> tuple[int, int]:
    """The size (H, W) of a picture with a short side of `pixels`. Both are even."""
    scale = pixels / min(width, height)
    height, width = (max(2, round(side * scale / 2) * 2) for side in (height, width))
    return height, width


def spread(shown: int, frames: int) -> list[int]:
    """The frames in the middle of `frames` equal parts of `shown`; some twice if there are less.

    shown = 8, frames = 4:  .x.x.x.x
    """
    return [(2 * i + 1) * shown // (2 * frames) for i in range(frames)]


def _decode(
    index: ClipIndex, wanted: Sequence[int], size: tuple[int, int], frames: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Give `frames` frames of each of the clips `wanted`, ascending: (number, (frames, H, W, 3)).

    A clip of which frames are lost or damaged is passed over, but for those filled up at the end. What
    is not shown is decoded, but not turned into RGB.
    """
    lost: set[int] = set()
    some = spread(index.clip_len, frames)
    shown = {clip: np.array(index.shown(clip))[some].tolist() for clip in wanted}
    needed = {p for positions in shown.values() for p in positions}
    with open_video(index.path) as container:
        stream = video_stream(container)
        to_rgb = RgbConverter(index.info.display, size)
        visited = visit(index, container, stream, map(index.frames, wanted), lost=lost)
        kept: dict[int, np.ndarray] = {}
        not_shown = np.zeros(0, np.uint8)  # in the place of its picture
        reached = -1  # position of the last frame that was decoded
        for clip in wanted:
            run = index.frames(clip)
            kept = {p: pixels for p, pixels in kept.items() if p >= run[0]}
            while reached < run[-1]:
                reached, frame = next(visited, (len(index.pts), None))
                if frame is not None and reached >= run[0]:
                    seen = reached in needed or not index.timed
                    kept[reached] = to_rgb(frame) if seen else not_shown
            if all(p in kept for p in run) and lost.isdisjoint(run):
                yield clip, np.stack([kept[p] for p in shown[clip]])
            elif kept and not index.timed:  # counted: some of its packets may hold no picture
                found = [pixels for p, pixels in sorted(kept.items()) if p in run]
                filled = found + found[-1:] * (index.clip_len - len(found))
                yield clip, np.stack([filled[i] for i in some])


Frames = Iterator[av.VideoFrame]


def visit(
    index: ClipIndex,
    container: av.container.InputContainer,
    stream: av.VideoStream,
    runs: Iterable[range],
    *,
    through: Callable[[Frames], Frames] = iter,
    lost: set[int] | None = None,
) -> Iterator[tuple[int, av.VideoFrame]]:
    """Decode what ascending runs of positions need: (position, frame), no frame twice.

    Seeks to the keyframe before a run where that is further on than reading has come, so that runs
    which lie near each other are read in one go. The frames from the keyframe on are among those
    given. A run is asked for when all frames before it were given. Where a seek misses its keyframe,
    the rest is read without seeking. `through` may put something between decoder and reader. The
    positions of frames that cannot be decoded go into `lost`. Ends where the picture changes its size:
    what follows is another video.
    """
    keys, reached, seeks = np.flatnonzero(index.key), -1, index.seekable
    damage = _Damage(index, lost)

    def reader_from_here() -> Iterator[tuple[int, av.VideoFrame]]:
        return index.positions(through(decoded(container, stream, damage)))

    reader = reader_from_here()
    for run in runs:
        before = np.searchsorted(keys, run[0], side="right")
        key = keys[before - 1] if before else 0
        if seeks and key > reached + 1:
            reader, first = _seek(index, container, stream, key, reader_from_here)
            seeks = first > reached
        while reached < run[-1]:
            step = next(reader, None)
            if step is None:
                return
            position, frame = step
            if index.shape not in (None, (frame.width, frame.height)):
                return
            if position > reached:  # else it is read again, after a seek that missed
                reached = position
                yield step


def _seek(
    index: ClipIndex,
    container: av.container.InputContainer,
    stream: av.VideoStream,
    key: int,
    reader_from_here: Callable[[], Iterator[tuple[int, av.VideoFrame]]],
) -> tuple[Iterator[tuple[int, av.VideoFrame]], int]:
    """`index.positions` from the keyframe at position `key`, or from the beginning, and where that is.

    MPEG-TS and MPEG-PS have no table of keyframes: a seek may land behind the one that was asked for,
    and a decoder that begins anywhere may guess a frame's stamp.
    """
    container.seek(int(index.pts[key]), stream=stream)
    reader = reader_from_here()
    first = next(reader, None)
    if first is not None and first[0] <= key:
        at, frame = first
        if frame.key_frame and index.key[at] and index.table.stamps[at] == frame.pts:
            return itertools.chain([first], reader), at
    try:
        container.seek(int(index.pts[0]) - round(1 / index.time_base), stream=stream)
    except av.FFmpegError:  # FLV goes to no time before its first
        container.seek(int(index.pts[0]), stream=stream)
    return reader_from_here(), -1


class _Damage(set):
    """Takes the stamps of packets that cannot be decoded, and puts their positions into `lost`."""

    def __init__(self, index: ClipIndex, lost: set[int] | None):
        super().__init__()
        self.index, self.lost = index, lost

    def add(self, stamp: int) -> None:
        if self.lost is not None:
            self.lost |= self.index.positions_at(stamp)


class RgbConverter:
    """A converter of decoded frames to uint8 RGB (H, W, 3). The frames are as they are shown, and
    scaled in the same step.

    `size` is (H, W) as shown. One converter serves a whole video: setting libswscale up costs more than
    using it.
    """

    def __init__(self, display: Display, size: tuple[int, int]):
        self.display = display
        self.height, self.width = display.scaled(*size)
        self.scaler = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        picture = self.scaler.reformat(
            frame,
            self.width,
            self.height,
            "rgb24",
            src_colorspace=colour.read_as(frame),
            interpolation=Interpolation.BILINEAR,
        )
        return self.display.turn(picture.to_ndarray())
