"""Opening a video file safely, and saying what is in it without decoding it.

Every file that the kit reads is opened by `open_video`. Files come from users, so the container
formats are a whitelist, the only protocol is `file`, and a path is always made absolute: a text file
named `clip.mp4` that is really a playlist or a concat script is refused, not followed.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import av
import av.logging
import numpy as np

av.logging.set_level(av.logging.PANIC)  # libav prints to stderr; we raise or record instead

FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,ogg"

# What a file may claim before memory is set aside for it
MOST_PIXELS = 8192 * 8192  # of a picture, as it is stored and as it is shown
MOST_FRAMES = 24 * 3600 * 120  # of a file: a day at 120 a second
MOST_RATE = 1000  # frames a second
LIMITED = {"max_pixels": str(MOST_PIXELS)}  # for decoders, also where a stream changes its size


DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}  # no fault of a video's


class VideoError(ValueError):
    """A file that cannot be used; the message names the file and what is wrong with it, in one line.

    File names come from strangers, too: what is not printable in them is written as `\\x..`.
    """

    def __init__(self, message: str):
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in message))


class Clip(NamedTuple):
    """A run of consecutive frames: the half-open interval [start_s, end_s) of presentation time."""

    index: int
    start_s: float
    end_s: float


@dataclass(frozen=True)
class VideoInfo:
    """What the container declares. Times in seconds, sizes in bytes and pixels.

    width, height: of the picture as it is shown, upright and with square pixels. coded_width,
    coded_height: as it is stored. rotation: degrees, anticlockwise, from the stored to the shown one.
    reordered: frames may be stored in another order than they are shown in (B-frames).
    """

    path: Path
    container: str
    codec: str
    width: int
    height: int
    frame_rate: float
    duration_s: float
    audio_codec: str | None
    size_bytes: int
    coded_width: int
    coded_height: int
    rotation: int = 0
    reordered: bool = False

    @property
    def as_stored(self) -> bool:
        """Whether the picture is shown as it is stored: upright, with square pixels."""
        return self.rotation == 0 and self.width == self.coded_width

    @property
    def has_audio(self) -> bool:
        return self.audio_codec is not None


@contextlib.contextmanager
def open_video(path: str | Path) -> Iterator[av.container.InputContainer]:
    """Open `path` for reading; any error of libav inside the block becomes a `VideoError`.

    Raises `VideoError` when the file is missing, empty, not a known container, or broken. Errors of
    arithmetic are the file's, too: of sizes and times that cannot be.
    """
    path = _local(path)
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"} | LIMITED
    try:
        with av.open(str(path), options=options, metadata_errors="replace") as container:
            yield container
    except av.FFmpegError as error:
        if error.errno in DISK:  # of what is written meanwhile
            raise OSError(error.errno, os.strerror(error.errno)) from error
        raise VideoError(f"{path}: not a readable video ({error.strerror})") from error
    except (ArithmeticError, UnicodeError) as error:
        raise VideoError(f"{path}: not a readable video ({error})") from error


def _local(path: str | Path) -> Path:
    """The absolute path of a regular file that is not empty, or a `VideoError`."""
    if "://" in str(path):
        raise VideoError(f"{path}: a URL, and only local files are read")
    try:
        path = Path(path).resolve()
        if not path.is_file():
            raise VideoError(f"{path}: no such file")
        if path.stat().st_size == 0:
            raise VideoError(f"{path}: the file is empty")
    except VideoError:
        raise
    except OSError as error:  # too long a name, a folder that may not be looked into
        raise VideoError(f"{path}: {error.strerror}") from error
    except (RuntimeError, ValueError) as error:  # links that lead in a circle, no name of a file
        raise VideoError(f"{path}: not the path of a file") from error
    return path


def video_stream(container: av.container.InputContainer) -> av.VideoStream:
    """The first real video stream (cover pictures do not count), single-threaded.

    One thread for each file: the kit is parallel over files, and frame threads have deadlocked.
    Its decoder refuses pictures of more than `MOST_PIXELS`.
    """
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            if stream.codec_context is None:
                raise VideoError(f"{container.name}: the video stream is in no format known here")
            check_size(container.name, stream.width, stream.height)
            stream.thread_count = 1
            stream.codec_context.options = dict(LIMITED)
            return stream
    raise VideoError(f"{container.name}: no video stream")


def check_size(name: str, width: int, height: int) -> None:
    """Raises `VideoError` for a picture of more than `MOST_PIXELS`."""
    if width * height > MOST_PIXELS:
        wanted = f"pictures of {width} x {height} pixels"
        raise VideoError(f"{name}: {wanted}, more than {MOST_PIXELS // 1_000_000} million are refused")


def _frame_rate(container: av.container.InputContainer, stream: av.VideoStream) -> float:
    """Frames a second as declared, 0 where nothing is. Raises `VideoError` for what cannot be."""
    rate = float(stream.average_rate or stream.guessed_rate or 0)
    if not 0 <= rate <= MOST_RATE:
        raise VideoError(f"{container.name}: {rate:g} frames a second, must be 0 to {MOST_RATE}")
    return rate


def audio_stream(container: av.container.InputContainer) -> av.AudioStream | None:
    """The first audio stream that can be decoded, or None."""
    return next((s for s in container.streams.audio if s.codec_context is not None), None)


def probe(path: str | Path) -> VideoInfo:
    """Read the headers of `path`. Raises `VideoError` where there is no usable video stream."""
    with open_video(path) as container:
        stream = video_stream(container)
        rate = _frame_rate(container, stream)
        if not (stream.width and stream.height):
            most = f"or has pictures of more than {MOST_PIXELS // 1_000_000} million pixels"
            raise VideoError(f"{container.name}: the video stream declares no size, {most}")
        if not rate:
            raise VideoError(f"{container.name}: the video stream declares no frame rate")
        audio = audio_stream(container)
        rotation = _rotation(container, stream)
        aspect = float(stream.sample_aspect_ratio or 1)
        if not 1 / 16 <= aspect <= 16:  # nonsense in the header
            aspect = 1.0
        width, height = round(stream.width * aspect), stream.height
        check_size(container.name, width, height)
        if rotation % 180:
            width, height = height, width
        return VideoInfo(
            path=Path(container.name),
            container=container.format.name,
            codec=stream.codec_context.name,
            width=width,
            height=height,
            frame_rate=rate,
            duration_s=_duration(container, stream)[0],
            audio_codec=audio.codec_context.name if audio else None,
            size_bytes=Path(container.name).stat().st_size,
            coded_width=stream.width,
            coded_height=stream.height,
            rotation=rotation,
            reordered=bool(stream.codec_context.has_b_frames),
        )


def _duration(container: av.container.InputContainer, stream: av.VideoStream) -> tuple[float, bool]:
    """Seconds that the header promises, and whether of the pictures alone (else of sound, too)."""
    if stream.duration is not None:
        exact = bool({"mp4", "avi"} & set(container.format.name.split(",")))
        return float(stream.duration * stream.time_base), exact
    seconds = (container.duration or 0) / av.time_base
    if "matroska" in container.format.name:  # says when it ends
        seconds -= (container.start_time or 0) / av.time_base
    return max(0.0, seconds), False


def _rotation(container: av.container.InputContainer, stream: av.VideoStream) -> int:
    """0, 90, 180 or 270; the first picture says it, and only these containers can carry it."""
    if not {"mp4", "matroska"} & set(container.format.name.split(",")):
        return 0
    try:
        frame = next(container.decode(stream), None)
    except (av.FFmpegError, IndexError):
        return 0
    return round(frame.rotation / 90) * 90 % 360 if frame is not None else 0


@dataclass(frozen=True, eq=False)
class ClipIndex:
    """Which frames make which clip, from the packets' time stamps alone (no frame is decoded).

    pts: (F,) int64, presentation times of all F frames in order, in units of `time_base` seconds.
    key: (F,) bool, where a decoder can start.
    size: (F,) int64, compressed bytes of each frame.
    declared: how many frames the file's header promises; more than F where it was cut short.

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
        rows, begun, end = [], False, 0
        for packet in _packets(container, stream):
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
        own_rate = _frame_rate(container, stream) or 25.0
        pace = own_rate / frame_rate if frame_rate else 1.0
        return ClipIndex(
            path=Path(container.name),
            pts=table[:, 0],
            key=table[:, 1].astype(bool),
            size=table[:, 2],
            time_base=float(stream.time_base),
            frame_s=1 / own_rate,
            declared=_declared(container, stream, table[:, 0], end),
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
    promised_s, exact = _duration(container, stream)
    found_s = float(max(end - pts[0], end) * stream.time_base)
    slack = 1.02 if exact else 1.15
    enough = found_s <= 0 or promised_s <= slack * found_s + 2 * found_s / len(pts)
    return len(pts) if enough else min(MOST_FRAMES, round(len(pts) * promised_s / found_s))


def expected_clips(index: ClipIndex) -> int:
    """How many clips the header of the file promises; more than `len(index)` where it was cut short."""
    return 1 + max(0, index.declared - index.clip_len) // index.clip_stride
