"""Probe a file: sizes, frame rate, duration, codecs."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import av

from scslib.video.container import (
    MOST_PIXELS,
    VideoError,
    audio_stream,
    check_size,
    declared_duration,
    declared_rate,
    open_video,
    packets,
    video_stream,
    video_streams,
)
from scslib.video.display import Display, display_of


@dataclass(frozen=True)
class VideoInfo:
    """What the container declares. Times in seconds, sizes in bytes and pixels.

    width, height: of the picture as it is shown, upright and with square pixels. coded_width,
    coded_height: as it is stored. display: what lies between the two. reordered: frames may be stored in
    another order than they are shown in (B-frames). note: which of several video streams this is.
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
    display: Display = Display()
    reordered: bool = False
    note: str = ""

    @property
    def as_stored(self) -> bool:
        """Tell whether the picture is shown as it is stored: upright, with square pixels."""
        return self.display.as_stored

    @property
    def has_audio(self) -> bool:
        return self.audio_codec is not None


def probe(path: str | Path) -> VideoInfo:
    """Read the headers of `path`. Raises `VideoError` where there is no usable video stream."""
    with open_video(path) as container:
        stream = video_stream(container)
        first = FirstFrame()
        with contextlib.suppress(av.FFmpegError):
            for packet in packets(container, stream):
                first(packet)
                if not first.looking:
                    break
        info = declared_info(container, stream, first.frame)
        if not info.frame_rate:
            raise VideoError(f"{container.name}: the video stream declares no frame rate")
        return info


def declared_info(
    container: av.container.InputContainer, stream: av.VideoStream, first: av.VideoFrame | None
) -> VideoInfo:
    """What an open container declares of its pictures; `first` is what a `FirstFrame` has found.

    Its rate is 0 where none is declared. Raises `VideoError` where it declares no size, or what
    cannot be.
    """
    rate = declared_rate(stream)
    if not (stream.width and stream.height):
        most = f"or has pictures of more than {MOST_PIXELS // 1_000_000} million pixels"
        raise VideoError(f"{container.name}: the video stream declares no size, {most}")
    audio = audio_stream(container)
    display = display_of(stream, first)
    height, width = display.shown(stream.height, stream.width)
    check_size(container.name, width, height)
    return VideoInfo(
        path=Path(container.name),
        container=container.format.name,
        codec=stream.codec_context.name,
        width=width,
        height=height,
        frame_rate=rate,
        duration_s=declared_duration(container, stream)[0],
        audio_codec=audio.codec_context.name if audio else None,
        size_bytes=Path(container.name).stat().st_size,
        coded_width=stream.width,
        coded_height=stream.height,
        display=display,
        reordered=bool(stream.codec_context.has_b_frames),
        note=_which(container, stream),
    )


def _which(container: av.container.InputContainer, stream: av.VideoStream) -> str:
    streams = video_streams(container)
    if len(streams) < 2:
        return ""
    number, default = 1 + streams.index(stream), stream.disposition & av.stream.Disposition.default
    why = "the default" if default else "the largest"
    return f"{len(streams)} video streams: number {number} is read, {why}"


class FirstFrame:
    """A decoder of packets until the first picture comes: how it is shown, all are.

    `looking` says whether a packet more is wanted.
    """

    looking = True

    def __init__(self):
        self.frame: av.VideoFrame | None = None

    def __call__(self, packet: av.Packet) -> None:
        if self.looking:
            with contextlib.suppress(av.FFmpegError):
                self.frame = next(iter(packet.decode()), None)
            self.looking = self.frame is None
