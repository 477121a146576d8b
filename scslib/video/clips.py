"""The clips of a video: which frames make which, and when, from the packets alone.

No frame is decoded for it. The index is the table by which everything else finds frames and clips.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

from scslib.video.container import (
    MOST_FRAMES,
    VideoError,
    declared_duration,
    open_video,
    video_stream,
)
from scslib.video.probe import FirstFrame, VideoInfo, describe


class Clip(NamedTuple):
    """A run of consecutive frames: the half-open interval [start_s, end_s) of presentation time."""

    index: int
    start_s: float
    end_s: float


@dataclass(frozen=True, eq=False)
class ClipIndex:
    """Which frames make which clip, from the packets' time stamps alone (no frame is decoded).

    pts: (F,) int64, presentation times of all F frames in order, in units of `time_base` seconds.
    key: (F,) bool, where a decoder can start.
    size: (F,) int64, compressed bytes of each frame.
    declared: how many frames the file's header promises; more than F where it was cut short.
    info: what else the file declares, from the same opening (`probe`).

    With clip_len = 4, clip_stride = 4 and F = 10 the video has two clips and two frames left over:

        frames  f f f f | f f f f | f f
        clips   0 0 0 0   1 1 1 1   - -

    A video shorter than one clip has one clip, which readers fill up by repeating its last frame.
    """

    path: Path
    pts: np.ndarray
    key: np.ndarray
    size: np.ndarray
    time_base: float
    frame_s: float
    clip_len: int
    clip_stride: int
    declared: int
    info: VideoInfo
    timed: bool = True  # False: the frames carry no presentation times (AVI with B-frames)

    def __len__(self) -> int:
        return 1 + max(0, len(self.pts) - self.clip_len) // self.clip_stride

    def frames(self, clip: int) -> range:
        """Positions (in order of presentation) of the frames of clip number `clip`."""
        start = clip * self.clip_stride
        return range(start, min(start + self.clip_len, len(self.pts)))

    @property
    def clips(self) -> list[Clip]:
        """All clips with their times: from the first frame's pts to the end of the last frame."""
        ends = np.append(self.pts[1:] * self.time_base, self.pts[-1] * self.time_base + self.frame_s)
        runs = [self.frames(i) for i in range(len(self))]
        starts = self.pts * self.time_base
        return [Clip(i, float(starts[r[0]]), float(ends[r[-1]])) for i, r in enumerate(runs)]

    @property
    def clip_bytes(self) -> np.ndarray:
        """(N,) int64: the compressed size of each clip's frames."""
        total = np.concatenate([[0], np.cumsum(self.size)])
        runs = [self.frames(i) for i in range(len(self))]
        return np.array([total[run[-1] + 1] - total[run[0]] for run in runs], np.int64)

    @property
    def missing(self) -> str:
        """What the file does not have of the frames that its header promises, in words; "" for none."""
        have = len(self.pts)
        return f"{have} of {self.declared} frames" if have < self.declared else ""

    def positions(self, frames: Iterator[av.VideoFrame]) -> Iterator[tuple[int, av.VideoFrame]]:
        """Pair decoded frames with their position in the table.

        A frame that a broken stream lost leaves a gap. Where the stamps are not presentation times
        (AVI with B-frames) the frames are counted, in the order in which the decoder gives them;
        such a stream has to be read from its beginning.
        """
        position, pts, last = -1, self.pts, len(self.pts) - 1
        for frame in frames:
            position += 1
            if frame.pts is None or not self.timed or (position <= last and pts[position] == frame.pts):
                pass  # the next one, as nearly always
            elif frame.pts < pts[0]:  # from before the first keyframe, so it cannot be right
                position -= 1
                continue
            else:
                position = max(position, int(pts.searchsorted(frame.pts)))
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
    """Read the packets of `path` (demux only, about 4 ms for 1,000 frames) and lay out its clips.

    `clip_stride` frames lie between the starts of two clips; by default clips do not overlap.
    With `frame_rate` > 0 both lengths count pictures at that rate: clip_len = 16 at 15 a second are
    32 frames of a video that has 30 a second. 0 takes every frame as it comes.
    Raises `ValueError` for lengths below 1 and negative rates, `VideoError` for files without video
    packets.
    """
    clip_stride = clip_len if clip_stride is None else clip_stride
    for name, value in (("clip_len", clip_len), ("clip_stride", clip_stride)):
        if value < 1:
            raise ValueError(f"{name} ({value}) must be > 0")
    if not 0 <= frame_rate < math.inf:
        raise ValueError(f"frame_rate ({frame_rate}) must be >= 0")
    with open_video(path) as container:
        stream = video_stream(container)
        rows, begun, end, first = [], False, 0, FirstFrame(container)
        for packet in _packets(container, stream):
            first(packet)
            if packet.is_keyframe and not begun:
                rows, begun = [], True  # what lies before the first one cannot be decoded
            stamp = packet.pts if packet.pts is not None else packet.dts
            if packet.size and stamp is not None and not packet.is_discard:
                rows.append((stamp, packet.is_keyframe, packet.size))
                end = max(end, stamp + (packet.duration or 0))
                if len(rows) > MOST_FRAMES:
                    raise VideoError(f"{container.name}: more than {MOST_FRAMES} frames")
        if not rows:
            raise VideoError(f"{container.name}: the video stream has no packets")
        table = np.array(sorted(rows), dtype=np.int64)
        info = describe(container, stream, first.frame)
        pace = info.frame_rate / frame_rate if frame_rate else 1.0
        return ClipIndex(
            path=Path(container.name),
            pts=table[:, 0],
            key=table[:, 1].astype(bool),
            size=table[:, 2],
            time_base=float(stream.time_base),
            frame_s=1 / info.frame_rate,
            declared=_declared(container, stream, table[:, 0], end),
            info=info,
            clip_len=max(1, round(clip_len * pace)),
            clip_stride=max(1, round(clip_stride * pace)),
            timed=not (container.format.name == "avi" and stream.codec_context.has_b_frames),
        )


def _packets(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.Packet]:
    try:
        yield from container.demux(stream)
    except IndexError:  # PyAV, after the last packet of a file in which another stream began later
        return


def _declared(
    container: av.container.InputContainer, stream: av.VideoStream, pts: np.ndarray, end: int
) -> int:
    """How many frames the header promises, as nearly as its duration says it.

    Some containers (Matroska) end without an error when they are truncated, so what was found has to be
    compared with what was declared. A seventh is allowed for sound that outlasts the pictures.
    """
    promised_s, exact = declared_duration(container, stream)
    found_s = float(max(end - pts[0], end) * stream.time_base)
    slack = 1.02 if exact else 1.15
    enough = found_s <= 0 or promised_s <= slack * found_s + 2 * found_s / len(pts)
    return len(pts) if enough else min(MOST_FRAMES, round(len(pts) * promised_s / found_s))


def expected_clips(index: ClipIndex) -> int:
    """How many clips the header of the file promises; more than `len(index)` where it was cut short."""
    return 1 + max(0, index.declared - index.clip_len) // index.clip_stride
