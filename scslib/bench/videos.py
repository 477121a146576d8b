"""The videos that are measured on: drawn or taken from files, encoded once, kept in a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np

from scslib.datasets.pieces import Piece, piece_pictures
from scslib.datasets.sources import Source, survey
from scslib.datasets.synthetic import Synthetic, draw_video, plan_video, sound_of
from scslib.video.audio import SAMPLE_RATE
from scslib.video.container import VideoError, open_video, video_stream
from scslib.video.write import Encoding, write_video, writing


def encoded(
    folder: Path,
    encoding: Encoding,
    frames: int,
    *,
    sound: bool = False,
    sources: Sequence[Path] = (),
) -> Path:
    """A video of so many frames in `folder`, made if it is not there yet.

    Its pictures are those of the files `sources`, one after the other and from the beginning again;
    without files they are drawn (`datasets.synthetic`), and may have `sound`.
    Raises `VideoError` for a file that cannot be read.
    """
    recipe = encoding, frames, sound, [(path.name, path.stat().st_size) for path in sources]
    name = f"{encoding.codec}-{encoding.width}x{encoding.height}-{frames}"
    path = folder / f"{name}-{hashlib.sha256(repr(recipe).encode()).hexdigest()[:8]}.mp4"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        if sources:
            pictures, samples = _shown(sources, encoding), None
        else:
            pictures, samples = _drawn(encoding, frames)
        write_video(path, islice(pictures, frames), samples if sound else None, encoding)
    return path


def _drawn(encoding: Encoding, frames: int) -> tuple[Iterator[np.ndarray], np.ndarray]:
    seconds = frames / encoding.frame_rate
    spec = Synthetic(duration_s=max(10.0, seconds + 1), encoding=encoding)
    shots = plan_video(spec, 0, spec.names[0])
    samples = sound_of(spec, 0, shots)[: round(seconds * SAMPLE_RATE)]
    return draw_video(spec, 0, shots), samples


def _shown(sources: Sequence[Path], encoding: Encoding) -> Iterator[np.ndarray]:
    files = [Source(path.resolve().parent, path.name) for path in sources]
    usable, broken = survey(files, whole=False, workers=1, title="sources")
    if broken:
        raise VideoError(f"{broken[0].path}: {broken[0].problem}")
    while True:
        for source in usable:
            frames = max(1, int(source.seconds * encoding.frame_rate))
            yield from piece_pictures(Piece(source, 0.0, frames, 0.0, source.seconds), encoding)


def lengthened(source: Path, seconds: float) -> Path:
    """`source` over and over until `seconds` are full, beside it, made if it is not there yet.

    Packets are copied with later time stamps, so nothing is encoded: an hour takes seconds. The source
    must have no B-frames. Where its pictures and its sound (AAC packets of 1,024 samples) have exactly
    the same length, as in 64 s at 30 frames a second and 16 kHz, its features repeat too.
    """
    target = source.with_name(f"{source.stem}-{seconds:g}s{source.suffix}")
    if target.exists():
        return target
    seconds = Fraction(seconds).limit_denominator(1000)
    with writing(target, options={"fflags": "+bitexact"}) as out:
        offset, streams = Fraction(0), {}
        while offset < seconds:
            with open_video(source) as container:
                video = video_stream(container)
                period = video.duration * video.time_base
                if not streams:
                    streams = {s.index: out.add_stream_from_template(s) for s in container.streams}
                for packet in container.demux():
                    if packet.dts is None:
                        continue  # the end of a stream
                    start = packet.pts * packet.time_base
                    leading = offset and start < 0  # what the sound's encoder puts before it
                    if leading or start >= period or offset + start >= seconds:
                        continue
                    packet.pts += round(offset / packet.time_base)
                    packet.dts += round(offset / packet.time_base)
                    packet.stream = streams[packet.stream.index]
                    out.mux(packet)
            offset += period
    return target
