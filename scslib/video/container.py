"""Open a video file safely, and find its streams.

Every file that the kit reads is opened by `open_video`. Files come from users, so the container
formats are a whitelist, the only protocol is `file`, and a path is always made absolute: a text file
named `clip.mp4` that is really a playlist or a concat script is refused, not followed.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TypeVar, cast

import av
import av.logging

from scslib.jobs.files import DISK, FileError

av.logging.set_level(av.logging.PANIC)  # libav prints to stderr; we raise or record instead

FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,ogg"
READABLE = "MP4, MOV, 3GP, Matroska, WebM, AVI, MPEG-TS, MPEG-PS, FLV, Ogg"  # the same, as people say it
CONVERTIBLE = {  # other formats that hold video, and in which no file can name another
    *("asf", "rm", "mxf", "mxf_opatom", "gxf", "wtv", "nut", "swf", "dv", "ivf", "gif", "apng", "y4m"),
    *("yuv4mpegpipe", "h264", "hevc", "vvc", "av1", "obu", "m4v", "mpegvideo", "vc1", "mjpeg", "h263"),
    *("cavsvideo", "dirac", "nsv", "nuv", "vivo", "roq", "smk", "bink", "film_cpk", "r3d", "pva"),
}

# What a file may claim before memory is set aside for it
MOST_PIXELS = 8192 * 8192  # of a picture, as it is stored and as it is shown
MOST_FRAMES = 24 * 3600 * 120  # of a file: a day at 120 a second
MOST_RATE = 1000  # frames a second
LIMITED = {"max_pixels": str(MOST_PIXELS)}  # for decoders, also where a stream changes its size

StreamT = TypeVar("StreamT", bound=av.stream.Stream)


class VideoError(FileError):
    """A video file that cannot be used; the message names the file and what is wrong with it."""


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
        raise VideoError(f"{path}: {_why(path, error)}") from error
    except (ArithmeticError, UnicodeError) as error:
        raise VideoError(f"{path}: not a readable video ({error})") from error


def _why(path: Path, error: av.FFmpegError) -> str:
    """Why libav does not read a file, and what to do where it is another container's fault only."""
    _, name, words = error.log or (0, "", "")  # type: ignore[misc]  # PyAV declares another tuple
    if name == "swscaler" and (kind := re.search(r"csp:(\w+)", words)):
        return f"its colours are stored as {kind[1]}, from which libswscale knows no way to RGB"
    if not words.startswith("Format not on whitelist"):
        return f"not a readable video ({error.strerror})"
    if name not in CONVERTIBLE:
        return f"not a readable video (of the format {name})"
    how = f"ffmpeg -i {shlex.quote(path.name)} {shlex.quote(path.stem + '.mkv')}"
    return f"a video in the container {name}, and read are {READABLE}; `{how}` makes one of these"


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


def video_streams(container: av.container.InputContainer) -> list[av.VideoStream]:
    """All real video streams; cover pictures do not count."""
    cover = av.stream.Disposition.attached_pic
    return [stream for stream in container.streams.video if not stream.disposition & cover]


def video_stream(container: av.container.InputContainer) -> av.VideoStream:
    """The video stream that is read, single-threaded.

    Of several it is the one that the file calls its default, and of several of those the largest. One
    thread for each file: the kit is parallel over files, and frame threads have deadlocked. Its decoder
    refuses pictures of more than `MOST_PIXELS`.
    """
    stream = _chosen(container)
    check_size(container.name, stream.width, stream.height)
    stream.thread_count = 1
    stream.codec_context.options = dict(LIMITED)
    return stream


def _chosen(container: av.container.InputContainer) -> av.VideoStream:
    streams = video_streams(container)
    if not streams:
        raise VideoError(f"{container.name}: no video stream")
    known = [stream for stream in streams if stream.codec_context is not None]
    if not known:
        raise VideoError(f"{container.name}: the video stream is in no format known here")
    default = [s for s in known if s.disposition & av.stream.Disposition.default]
    return max(default or known, key=lambda s: s.width * s.height)  # the first of equal ones


def check_size(name: str, width: int, height: int) -> None:
    """Refuse a picture of more than `MOST_PIXELS`. Raises `VideoError`."""
    if width * height > MOST_PIXELS:
        wanted = f"pictures of {width} x {height} pixels"
        raise VideoError(f"{name}: {wanted}, more than {MOST_PIXELS // 1_000_000} million are refused")


def declared_rate(stream: av.VideoStream) -> float:
    """Frames a second as declared, 0 where nothing is, or nothing that can be."""
    rates = (float(rate or 0) for rate in (stream.average_rate, stream.guessed_rate))
    return next((rate for rate in rates if 0 < rate <= MOST_RATE), 0.0)


def check_rate(name: str, rate: float) -> None:
    """Refuse more than `MOST_RATE` frames a second. Raises `VideoError`."""
    if rate > MOST_RATE:
        raise VideoError(f"{name}: {rate:g} frames a second, must be 0 to {MOST_RATE}")


def audio_stream(container: av.container.InputContainer) -> av.AudioStream | None:
    """The default audio stream, else the first; None where none can be decoded.

    Of several programs that of the pictures.
    """
    known = [stream for stream in container.streams.audio if stream.codec_context is not None]
    known = [s for s in known if s.disposition & av.stream.Disposition.default] or known
    if len(known) > 1 and len(video_streams(container)) > 1:
        best = container.streams.best("audio", related=_chosen(container))
        return best if best in known else known[0]
    return known[0] if known else None


def tick_of(stream: av.stream.Stream) -> Fraction:
    """Seconds that a tick of the stream's times lasts."""
    if stream.time_base is None:
        raise VideoError(f"{stream.container.name}: a stream does not say what its times count")
    return stream.time_base


def packets(
    container: av.container.InputContainer, stream: StreamT | Sequence[StreamT]
) -> Iterator[av.Packet[StreamT]]:
    """The packets of a stream, or of several, and at last an empty one."""
    try:
        yield from cast("Iterator[av.Packet[StreamT]]", container.demux(stream))
    except IndexError:  # PyAV, after the last packet of a file in which another stream began later
        return


def decoded(
    container: av.container.InputContainer, stream: av.VideoStream, lost: set[int] | None = None
) -> Iterator[av.VideoFrame]:
    """Decode to the end, over errors; the stamps of packets that are damaged go into `lost`."""
    return _decoded(container, stream, lost)


def decoded_sound(
    container: av.container.InputContainer, stream: av.AudioStream
) -> Iterator[av.AudioFrame]:
    """The decoded sound of a stream, as `decoded` gives pictures."""
    return _decoded(container, stream, None)


def _decoded(
    container: av.container.InputContainer, stream: av.stream.Stream, lost: set[int] | None
) -> Iterator:
    for packet, *following in _with_next_two(packets(container, stream)):
        if lost is not None and _lacks_a_part(packet, following):
            lost.add(packet.pts)
        try:
            frames = packet.decode()
        except av.FFmpegError:
            if lost is not None and packet.pts is not None:
                lost.add(packet.pts)
            continue
        yield from frames


def _with_next_two(stream_packets: Iterator[av.Packet]) -> Iterator[tuple]:
    """Each packet and the two after it, None at the end, or where the file itself is broken."""

    def to_the_break() -> Iterator[av.Packet | None]:
        with contextlib.suppress(av.FFmpegError):
            yield from stream_packets
        yield from (None, None)

    ahead = itertools.tee(to_the_break(), 3)
    return zip(*(itertools.islice(each, n, None) for n, each in enumerate(ahead)), strict=False)


def _lacks_a_part(packet: av.Packet, following: list[av.Packet | None]) -> bool:
    """Whether the container says that a part of it is missing, so that its picture is only patched up.

    It says so, too, of whole ones at the end of a recording to which another was joined.
    """
    if not packet.is_corrupt or packet.pts is None:
        return False
    stamps = [other.dts for other in following if other is not None and other.dts is not None]
    return len(stamps) == len(following) and (packet.dts is None or min(stamps) > packet.dts)


def declared_duration(
    container: av.container.InputContainer, stream: av.VideoStream
) -> tuple[float, bool]:
    """Seconds that the header promises, and whether of pictures alone. Else they are of sound, too."""
    if stream.duration is not None:
        exact = bool({"mp4", "avi"} & set(container.format.name.split(",")))
        return float(stream.duration * tick_of(stream)), exact
    seconds = (container.duration or 0) / av.time_base
    if "matroska" in container.format.name:  # says when it ends
        seconds -= (container.start_time or 0) / av.time_base
    return max(0.0, seconds), False
