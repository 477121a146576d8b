"""Index a video's clips from its packets, without decoding.

No frame of an ordinary file is decoded for it (`stamps` says which are not). The index is the table by
which everything else finds frames and clips.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

from scslib.video.container import (
    MOST_FRAMES,
    VideoError,
    check_rate,
    declared_duration,
    open_video,
    tick_of,
    video_stream,
)
from scslib.video.layout import Layout, clips_in, lay_out, pace_of
from scslib.video.probe import FirstFrame, VideoInfo, declared_info
from scslib.video.stamps import FrameTable, Join, frame_table
from scslib.video.whole import is_whole

SAID = 3  # places that a note names


class Clip(NamedTuple):
    """A run of consecutive frames: the half-open interval [start_s, end_s) of presentation time."""

    index: int  # type: ignore[assignment]  # hides `tuple.index`, which nobody wants of a clip
    start_s: float
    end_s: float


@dataclass(frozen=True, eq=False)
class ClipIndex:
    """The frames of each clip, from the packets' time stamps.

    pts: (F,) int64, presentation times of all F frames in order, in units of `time_base` seconds.
    key: (F,) bool, where a decoder can start.
    size: (F,) int64, compressed bytes of each frame.
    declared: how many frames the file's header promises; more than F where it was cut short.
    info: what else the file declares, from the same opening; its duration and rate are those of the
        pictures, measured.
    table: the frames as they are stored. layout: which of them make which clip.

    With clip_len = 4, clip_stride = 4 and F = 10 the video has two clips and two frames left over:

        frames  f f f f | f f f f | f f
        clips   0 0 0 0   1 1 1 1   - -

    A video shorter than one clip has one clip, which readers fill up by repeating its last frame.
    """

    path: Path
    time_base: float
    frame_s: float
    declared: int
    info: VideoInfo
    table: FrameTable
    layout: Layout
    shape: tuple[int, int] | None = None  # (W, H) of the pictures as they are stored, where one was seen
    timed: bool = True  # False: not all frames carry presentation times (AVI with B-frames)

    pts = property(lambda self: self.table.pts)
    key = property(lambda self: self.table.key)
    size = property(lambda self: self.table.size)
    clip_len = property(lambda self: self.layout.clip_len)
    clip_stride = property(lambda self: self.layout.clip_stride)

    def __len__(self) -> int:
        return len(self.layout.runs)

    @property
    def seekable(self) -> bool:
        """Tell whether a frame can be found by its time: else the file has to be read from its
        beginning.
        """
        return self.timed and not self.table.joins

    @property
    def joins(self) -> tuple[Join, ...]:
        """The places where the file's clock begins anew, for those who read its sound."""
        return self.table.joins

    def frames(self, clip: int) -> range:
        """Positions (in order of presentation) of the frames of clip number `clip`."""
        return range(*self.layout.runs[clip].tolist())

    def shown(self, clip: int) -> list[int]:
        """The `clip_len` positions of a clip's shown frames. They lie at equal distances of time.

        Where clips are counted in frames these are its frames; the last one fills up a short video.
        """
        run = self.frames(clip)
        if not self.layout.by_time:
            return [*run, *[run[-1]] * (self.clip_len - len(run))]
        start, end = self.layout.times[clip]
        moments = start + (np.arange(self.clip_len) + 0.5) * (end - start) / self.clip_len
        at = np.searchsorted(self.pts * self.time_base, moments, side="right") - 1
        return np.clip(at, run[0], run[-1]).tolist()

    @property
    def clips(self) -> list[Clip]:
        """All clips with their times: from the first frame's pts to the end of the last frame."""
        return [Clip(i, *times) for i, times in enumerate(self.layout.times.tolist())]

    @property
    def clip_bytes(self) -> np.ndarray:
        """The compressed size of each clip's frames: (N,) int64."""
        total = np.concatenate([[0], np.cumsum(self.size)])
        first, stop = self.layout.runs.T
        return total[stop] - total[first]

    @property
    def missing(self) -> str:
        """What cannot be read of what the file's header promises, in words; "" if nothing is missing."""
        have = len(self.pts)
        said = [f"{have} of {self.declared} frames"] if have < self.declared else []
        return ", ".join([*said, *filter(None, [self.table.ended]), *self.layout.left_out])

    @property
    def note(self) -> str:
        """A note on a file that is read as a whole; "" for an ordinary one."""
        said = [self.info.note] if self.info.note else []
        at = [f"{self.pts[p] * self.time_base:.2f} s" for p in self.table.parts[1:]]
        if at:
            more = f" and {len(at) - SAID} more times" if len(at) > SAID else ""
            said.append(f"the clock goes back at {', '.join(at[:SAID])}{more}; times go on from there")
        pauses = [f"{start:.2f} to {end:.2f} s" for start, end in self.layout.pauses[:SAID]]
        if pauses:
            others = len(self.layout.pauses) - len(pauses)
            said.append("a pause from " + ", ".join(pauses) + (f" and {others} more" if others else ""))
        return "; ".join(said)

    def positions_at(self, stamp: int) -> set[int]:
        """The positions of the frame with this packet's stamp. A joined stream has one in each part."""
        bounds = [*self.table.parts, len(self.pts)]
        found = set()
        for begin, end in itertools.pairwise(bounds):
            at = int(self.table.stamps[begin:end].searchsorted(stamp, side="right")) - 1
            found |= {begin + at} if at >= 0 else set()
        return found

    def positions(self, frames: Iterator[av.VideoFrame]) -> Iterator[tuple[int, av.VideoFrame]]:
        """Pair decoded frames with their position in the table.

        A frame that a broken stream lost leaves a gap. Where the stamps are not presentation times
        (AVI with B-frames) the frames are counted, in the order in which the decoder gives them;
        such a stream has to be read from its beginning, and so has one whose clock begins anew.
        """
        stamps, last = self.table.stamps, len(self.pts) - 1
        bounds, part, position = [*self.table.parts, last + 1], 0, -1
        for frame in frames:
            position += 1
            follows = position <= last and stamps[position] == frame.pts
            if follows or frame.pts is None or not self.timed:
                pass  # the next one, as nearly always
            elif frame.pts < stamps[0] and (position == 0 or len(bounds) == 2):
                position -= 1  # from before the first keyframe, so it cannot be right
                continue
            else:
                if frame.pts < stamps[position - 1] and 0 < position and part + 2 < len(bounds):
                    part += 1  # the clock goes back
                begin, end = bounds[part : part + 2]
                position = max(position, begin + int(stamps[begin:end].searchsorted(frame.pts)))
            while part + 2 < len(bounds) and position >= bounds[part + 1]:
                part += 1
            if position > last:
                return
            yield position, frame


def index_clips(
    path: str | Path,
    *,
    clip_len: int = 16,
    clip_stride: int | None = None,
    frame_rate: float = 0.0,
) -> ClipIndex:
    """Read the packets of `path` and lay out its clips. It demuxes only, about 4 ms for 1,000 frames.

    `clip_stride` frames lie between the starts of two clips; by default clips do not overlap.
    With `frame_rate` > 0 both lengths count pictures at that rate: clip_len = 16 at 15 a second are
    32 frames of a video that has 30 a second, and 1.07 s of one with a variable rate. 0 takes every
    frame as it comes. Raises `ValueError` for lengths below 1 and negative rates, `VideoError` for files
    without video packets, and where not one clip has times that can be.
    """
    clip_stride = clip_len if clip_stride is None else clip_stride
    for name, value in (("clip_len", clip_len), ("clip_stride", clip_stride)):
        if value < 1:
            raise ValueError(f"{name} ({value}) must be > 0")
    if not 0 <= frame_rate < math.inf:
        raise ValueError(f"frame_rate ({frame_rate}) must be >= 0")
    with open_video(path) as container:
        stream, first = video_stream(container), FirstFrame()
        table = frame_table(container, stream, first)
        info = declared_info(container, stream, first.frame)
        tick = float(tick_of(stream))
        seconds = table.pts * tick
        pace = pace_of(seconds, info.frame_rate)
        check_rate(container.name, pace.rate)
        layout = lay_out(pace, clip_len, clip_stride, frame_rate, heard=info.has_audio)
        if not len(layout.runs):
            raise VideoError(f"{container.name}: no clip can be read, {', '.join(layout.left_out)}")
        return ClipIndex(
            path=Path(container.name),
            time_base=tick,
            frame_s=pace.frame_s,
            declared=_declared(container, stream, table),
            info=replace(info, frame_rate=pace.rate, duration_s=pace.end_s - float(seconds[0])),
            table=table,
            layout=layout,
            shape=None if first.frame is None else (first.frame.width, first.frame.height),
            timed=table.stamped
            and not (container.format.name == "avi" and stream.codec_context.has_b_frames),
        )


def _declared(container: av.container.InputContainer, stream: av.VideoStream, table: FrameTable) -> int:
    """How many frames the header promises, as nearly as its duration says it.

    Some containers (Matroska) end without an error when they are truncated, so what was found has to be
    compared with what was declared. A seventh is allowed for sound that outlasts the pictures, and more
    where the file is there to its end.
    """
    promised_s, exact = declared_duration(container, stream)
    found_s = float(max(table.end - table.pts[0], table.end) * tick_of(stream))
    slack = 1.02 if exact else 1.15
    enough = found_s <= 0 or promised_s <= slack * found_s + 2 * found_s / len(table.pts)
    if enough or table.found > len(table.pts) or (not exact and is_whole(container, promised_s)):
        return table.found
    return min(MOST_FRAMES, round(table.found * promised_s / found_s))


def expected_clips(index: ClipIndex) -> int:
    """How many clips the file promises; more than `len(index)` where it is cut short or some are odd."""
    if index.declared <= len(index.pts):
        return index.layout.laid
    if index.layout.by_time:
        return max(index.layout.laid, round(index.layout.laid * index.declared / len(index.pts)))
    return clips_in(index.declared, index.clip_len, index.clip_stride)
