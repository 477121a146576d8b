"""Encode a video file from frames and sound."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from scslib.jobs.files import DISK, replacing
from scslib.video.audio import SAMPLE_RATE


@dataclass(frozen=True)
class Encoding:
    """How a dataset is encoded. `gop` frames lie between I-frames; there are no B-frames.

    codec: "h264" (libx264) or "mpeg4" (MPEG-4 part 2, what CoViAR used). quality: CRF for H.264,
    the quantiser for MPEG-4; lower is better and larger.
    """

    width: int = 160
    height: int = 128
    frame_rate: int | Fraction = 12
    gop: int = 12
    codec: str = "h264"
    quality: int = 27

    def __post_init__(self):
        if self.codec not in ("h264", "mpeg4"):
            raise ValueError(f"codec ({self.codec}) must be one of h264, mpeg4")
        for name in ("width", "height", "frame_rate", "gop"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} ({getattr(self, name)}) must be > 0")
        for name in ("width", "height"):
            if getattr(self, name) % 2:
                raise ValueError(f"{name} ({getattr(self, name)}) must be even (4:2:0 chroma)")


def write_video(
    path: str | Path, frames: Iterable[np.ndarray], sound: np.ndarray | None, encoding: Encoding
) -> None:
    """Encode uint8 RGB `frames` (H, W, 3) and mono `sound` (16 kHz, -1..1; None: no audio track).

    Written under a temporary name and moved when complete. The same input gives the same bytes.
    """
    with writing(path, options={"fflags": "+bitexact"}) as container:
        video = add_pictures(container, encoding)
        audio = None
        if sound is not None:
            audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
            audio.codec_context.options = {"aac_coder": "fast"}
            audio.bit_rate = 48_000
        for number, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts = number
            frame.time_base = Fraction(1, encoding.frame_rate)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None:
            samples = np.ascontiguousarray(sound, dtype=np.float32)[None]
            heard = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            heard.sample_rate, heard.pts = SAMPLE_RATE, 0
            container.mux(audio.encode(heard))
            container.mux(audio.encode(None))


@contextlib.contextmanager
def writing(
    path: str | Path, *, format: str | None = None, options: dict[str, str] | None = None
) -> Iterator[av.container.OutputContainer]:
    """A container for `path`, moved there when complete. It is written under a temporary name.

    `format` and `options` as in `av.open`.
    """
    path = Path(path)
    try:
        with (
            replacing(path) as part,
            av.open(str(part), "w", format=format, options=options) as container,
        ):
            yield container
    except (av.FFmpegError, OSError) as error:
        if error.errno in DISK:
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise


def add_pictures(container: av.container.OutputContainer, encoding: Encoding) -> av.VideoStream:
    """A stream of pictures for `container`, ready to encode on one thread."""
    gop = str(encoding.gop)
    if encoding.codec == "h264":
        options = {
            "preset": "superfast",
            "crf": str(encoding.quality),
            "x264-params": f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes=0:ref=1:threads=1",
        }
        stream = container.add_stream("libx264", rate=encoding.frame_rate, options=options)
    else:
        options = {
            "g": gop,
            "bf": "0",
            "qmin": str(encoding.quality),
            "qmax": str(encoding.quality),
        }
        options["sc_threshold"] = "1000000000"  # I-frames only where the GOP ends
        stream = container.add_stream("mpeg4", rate=encoding.frame_rate, options=options)
    stream.width, stream.height, stream.pix_fmt = encoding.width, encoding.height, "yuv420p"
    stream.codec_context.thread_count = 1
    return stream
