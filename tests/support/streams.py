"""Streams whose content is known: a texture that pans by whole pixels, and a sound with one beep."""

from __future__ import annotations

import itertools
from collections import namedtuple
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from scslib.video.write import Encoding, write_video

Stream = namedtuple("Stream", "path pictures sound pan encoding")

PAN = (3, -2)  # pixels that the content moves per frame, x first: right and up
FRAMES, GOP, RATE = 40, 12, 12
BEEP_S = (1.50, 1.60)  # when the tone of the sound track is on
ALIKE = 14  # mean difference of two pictures' values that are the same but for the encoding


def in_this_process(function, jobs, **options) -> list:
    """What `child.map_processes` does, but here: where a test has changed what is called."""
    return [function(job) for job in jobs]


def texture(size: int = 400, seed: int = 0) -> np.ndarray:
    """A smooth random picture, mostly grey with some colour, (size, size, 3) uint8."""
    picture = np.random.default_rng(seed).integers(0, 256, (size, size, 4)) - 127.5
    for axis in (0, 1):
        picture = np.mean([np.roll(picture, i, axis) for i in range(7)], axis=0)
    return np.clip(128 + 3 * picture[..., :1] + picture[..., 1:], 0, 255).astype(np.uint8)


def panning(width: int, height: int, frames: int = FRAMES) -> list[np.ndarray]:
    """Pictures (H, W, 3) whose content moves by PAN from one to the next."""
    whole, (dx, dy) = texture(), PAN
    corners = [(150 - dy * i, 150 - dx * i) for i in range(frames)]
    return [np.ascontiguousarray(whole[y : y + height, x : x + width]) for y, x in corners]


def tone() -> np.ndarray:
    """Silence with 440 Hz between BEEP_S, mono, 16 kHz, as long as the pictures."""
    time = np.arange(round(FRAMES / RATE * 16_000)) / 16_000
    on = (time >= BEEP_S[0]) & (time < BEEP_S[1])
    return (0.5 * np.sin(2 * np.pi * 440 * time) * on).astype(np.float32)


def encode(path: Path, pictures: list[np.ndarray], codec: str, options: dict[str, str]) -> Path:
    """Encode with PyAV alone, for settings (B-frames) that `write_video` does not offer."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE, options=options)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt, stream.codec_context.thread_count = "yuv420p", 1
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write(
    path,
    pictures,
    codec,
    options,
    *,
    pixels="yuv420p",
    stamps=None,
    first=0,
    turned=0,
    matrix=None,
    message=b"",
    aspect=None,
    muxer=None,
    sounds=(),
):
    """Encode with PyAV alone; `sounds` are (samples at 16 kHz, first sample's time), a track each.

    matrix: (a, b, c, d) of the display matrix. message: what is put before the first picture's data.
    """
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV has no encoder {codec}")
    stamps = range(len(pictures)) if stamps is None else stamps
    with av.open(str(path), "w", options=muxer or {}) as container:
        stream = container.add_stream(codec, rate=RATE, options=options)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt, stream.codec_context.thread_count = pixels, 1
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if turned:
            stream.set_display_rotation(turned)
        if matrix is not None:
            a, b, c, d = (round(65536 * value) for value in matrix)
            stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        coding = "pcm_s16le" if container.format.name == "avi" else "aac"  # no room for AAC's delay
        tracks = [container.add_stream(coding, rate=16_000, layout="mono") for _ in sounds]
        for picture, stamp in [*zip(pictures, stamps, strict=True), (None, 0)]:
            frame = None if picture is None else av.VideoFrame.from_ndarray(picture, format="rgb24")
            if frame is not None:
                frame.pts, frame.time_base = stamp + first, Fraction(1, RATE)
            packets = stream.encode(frame)
            if packets and message:
                packets[0], message = begun_with(packets[0], message), b""
            container.mux(packets)
        for track, (samples, start_s) in zip(tracks, sounds, strict=True):
            frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
            frame.sample_rate, frame.time_base = 16_000, Fraction(1, 16_000)
            frame.pts = round(start_s * 16_000)
            container.mux(track.encode(frame))
            container.mux(track.encode(None))
    return path


def begun_with(packet: av.Packet, data: bytes) -> av.Packet:
    """The packet with `data` before its own."""
    new = av.Packet(data + bytes(packet))
    new.pts, new.dts, new.time_base, new.stream = packet.pts, packet.dts, packet.time_base, packet.stream
    new.is_keyframe, new.duration = packet.is_keyframe, packet.duration
    return new


def every_frame(path: Path, vectors: bool = False) -> list[av.VideoFrame]:
    """The whole file, decoded by PyAV alone; with `vectors` as the kit does, P-frames not deblocked."""
    with av.open(str(path)) as container:
        if vectors:
            options = {"flags2": "+export_mvs", "skip_loop_filter": "nointra"}
            container.streams.video[0].codec_context.options = options
        return list(container.decode(video=0))


def numbers(path: Path, pictures: list[np.ndarray]) -> list[int]:
    """Which of `pictures` each frame of a file is, scaled to their size; -1 for none of them."""
    put, (height, width) = np.stack(pictures).astype(float), pictures[0].shape[:2]
    found = []
    for frame in every_frame(path):
        out = frame.to_ndarray(format="rgb24", width=width, height=height)
        error = np.abs(put - out).mean((1, 2, 3))
        found.append(int(error.argmin()) if error.min() < ALIKE else -1)
    return found


def heard(path: Path, rate: int = 48_000) -> np.ndarray:
    """The whole first sound track, mono: sample 0 is at time 0, what lies before it is left out."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
    out = np.zeros(0, np.float32)
    with av.open(str(path)) as container:
        for frame in itertools.chain(container.decode(audio=0), [None]):
            for part in resampler.resample(frame):
                start, values = round(float(part.pts * part.time_base) * rate), part.to_ndarray()[0]
                values = values[max(0, -start) :]
                out = np.pad(out, (0, max(0, start + len(values) - len(out))))
                out[max(0, start) : max(0, start) + len(values)] = values
    return out


def beep(path: Path) -> tuple[float, float]:
    """When the tone of `tone` is on, in seconds."""
    loud = np.flatnonzero(np.abs(heard(path)) > 0.25)
    return loud[0] / 48_000, loud[-1] / 48_000


def pan_stream(folder: Path, codec: str, width: int, height: int, flicker: bool = False) -> Stream:
    encoding = Encoding(width, height, RATE, GOP, codec, 20 if codec == "h264" else 2)
    pictures, sound = panning(width, height), tone()
    if flicker:  # light that no vector can explain, a different one in each colour
        light = np.random.default_rng(1).integers(-25, 26, (len(pictures), 3))
        pictures = [
            np.clip(p + o, 0, 255).astype(np.uint8) for p, o in zip(pictures, light, strict=True)
        ]
    path = folder / f"pan_{codec}_{width}.mp4"
    write_video(path, pictures, sound, encoding)
    return Stream(path, pictures, sound, PAN, encoding)
