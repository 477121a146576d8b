"""Cut a few seconds of a source file for a composed video."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import av
import numpy as np

from scslib.datasets.sources import Source
from scslib.video.audio import SAMPLE_RATE, iter_samples
from scslib.video.container import VideoError, decoded, open_video, tick_of, video_stream
from scslib.video.frames import RgbConverter
from scslib.video.probe import VideoInfo, probe
from scslib.video.write import Encoding

SEEK_FROM = 10.0  # seconds: nearer pictures are reached by decoding from the beginning
FADE = SAMPLE_RATE // 100  # samples: the sound of a piece begins and ends softly, without a click


@dataclass(frozen=True)
class Piece:
    """`frames` pictures of the new video, [start_s, end_s), cut from `source` at `source_start_s`.

    Times in seconds; `source_start_s` counts from the source's first picture. kind: `action`,
    `other action` or `distractor`.
    """

    source: Source
    source_start_s: float
    frames: int
    start_s: float
    end_s: float
    kind: str = "distractor"

    @property
    def is_action(self) -> bool:
        """Tell whether the piece shows the class of its video."""
        return self.kind == "action"


def piece_pictures(piece: Piece, encoding: Encoding) -> Iterator[np.ndarray]:
    """The piece's pictures, uint8 RGB (H, W, 3): at each moment the one that the source shows then.

    Raises `VideoError` where the source cannot be decoded so far.
    """
    first = piece.source.first_s + piece.source_start_s
    wanted = [first + n / encoding.frame_rate + 1e-6 for n in range(piece.frames)]
    with open_video(piece.source.path) as container:
        stream = video_stream(container)
        frames = _frames_from(container, stream, first)
        shown = next(frames, None)
        if shown is None:
            raise VideoError(f"{container.name}: no picture can be decoded")
        cover = _Cover(probe(container.name), encoding)
        picture, following = None, next(frames, None)
        for moment in wanted:
            while following is not None and following[0] <= moment:
                picture, shown, following = None, following, next(frames, None)
            if picture is None:
                picture = cover(shown[1])
            yield picture


def _frames_from(
    container: av.container.InputContainer, stream: av.VideoStream, first: float
) -> Iterator[tuple[float, av.VideoFrame]]:
    """(time, frame) from the picture that is shown at `first` seconds or before it; never backwards.

    AVI with B-frames stamps frames in the order of decoding: there the latest time counts.
    """
    frames = decoded(container, stream)
    if first > SEEK_FROM and container.format.name != "avi":
        container.seek(int(first / tick_of(stream)), stream=stream)
        landed = next(frames, None)
        if landed is not None and landed.time is not None and landed.time <= first:
            yield landed.time, landed
        else:  # no table of keyframes: back to the beginning
            container.seek(stream.start_time or 0, stream=stream)
            frames = decoded(container, stream)
    now = -math.inf
    for frame in frames:
        if frame.time is not None:
            now = max(now, frame.time)
        elif stream.average_rate:
            now += float(1 / stream.average_rate)
        else:
            raise VideoError(f"{container.name}: its pictures have no times, and no rate is declared")
        yield now, frame


class _Cover:
    """Scales frames so that they cover the encoding's picture, and cuts them at the centre."""

    def __init__(self, info: VideoInfo, encoding: Encoding):
        self.height, self.width = encoding.height, encoding.width
        scale = max(self.width / info.width, self.height / info.height)
        size = max(self.height, round(info.height * scale)), max(self.width, round(info.width * scale))
        self.top, self.left = (size[0] - self.height) // 2, (size[1] - self.width) // 2
        self.to_rgb = RgbConverter(info.display, size)

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        picture = self.to_rgb(frame)
        return picture[self.top : self.top + self.height, self.left : self.left + self.width]


def piece_sound(piece: Piece) -> np.ndarray:
    """The piece's sound: mono float32 at 16 kHz, as long as the piece; zero where there is none."""
    length = round(piece.end_s * SAMPLE_RATE) - round(piece.start_s * SAMPLE_RATE)
    out = np.zeros(length, np.float32)
    start_s = piece.source.first_s + piece.source_start_s
    first = round(start_s * SAMPLE_RATE)
    from_s = start_s - 1 if start_s > SEEK_FROM else 0.0
    for position, samples in iter_samples(piece.source.path, from_s):
        end = position + len(samples)
        begin, stop = max(position, first), min(end, first + length)
        if begin < stop:
            out[begin - first : stop - first] = samples[begin - position : stop - position]
        if end >= first + length:
            break
    ramp = np.linspace(0, 1, min(FADE, length // 2), dtype=np.float32)
    out[: len(ramp)] *= ramp
    out[length - len(ramp) :] *= ramp[::-1]
    return out
