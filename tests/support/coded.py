"""Films that say what they show: each frame its number as bars, the sound its second as a tone."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

WIDTH, HEIGHT, RATE, SOUND_RATE = 64, 48, 12, 16_000
BITS = 8
DARK, BRIGHT = 40, 215
TICK = Fraction(1, 12_000)  # 1000 of them are a frame
LOWEST_HZ, STEP_HZ, TONES = 400, 150, 20


def picture(number: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """(H, W, 3) uint8: one upright bar for each bit of the number, the lowest on the left."""
    bars = [BRIGHT if number >> bit & 1 else DARK for bit in range(BITS)]
    row = np.repeat(np.array(bars, np.uint8), width // BITS)
    return np.broadcast_to(row[None, :, None], (height, width, 3)).copy()


def number_of(pixels: np.ndarray) -> int:
    """The number that a picture (H, W, 3) shows; -1 if its bars are not clear."""
    height, width = pixels.shape[:2]
    middle = pixels[height // 4 : -(height // 4)].mean((0, 2))
    bars = [middle[(2 * b + 1) * width // (2 * BITS)] for b in range(BITS)]
    if any(abs(bar - (DARK + BRIGHT) / 2) < 40 for bar in bars):
        return -1
    return sum(int(bar > (DARK + BRIGHT) / 2) << bit for bit, bar in enumerate(bars))


def numbers_of(clip: np.ndarray) -> list[int]:
    return [number_of(pixels) for pixels in clip]


def tones(seconds: float, first: int = 0) -> np.ndarray:
    """Mono float32 at 16 kHz: second n of the film has the tone of number `first` + n."""
    time = np.arange(round(seconds * SOUND_RATE)) / SOUND_RATE
    hertz = LOWEST_HZ + STEP_HZ * ((first + np.floor(time)) % TONES)
    return (0.4 * np.sin(2 * np.pi * hertz * (time % 1))).astype(np.float32)


def tone_of(samples: np.ndarray) -> int:
    """The number of the tone that is loudest in samples at 16 kHz; -1 for silence."""
    if np.abs(samples).max() < 0.02:
        return -1
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    hertz = power.argmax() * SOUND_RATE / len(samples)
    return round((hertz - LOWEST_HZ) / STEP_HZ) % TONES


def film(
    path: Path,
    codec: str,
    options: dict[str, str],
    numbers: Sequence[int],
    *,
    stamps: Sequence[int] | None = None,
    sound: np.ndarray | None = None,
    sound_at: float = 0.0,
    coding: str = "aac",
    size: tuple[int, int] = (WIDTH, HEIGHT),
    muxer: dict[str, str] | None = None,
    format: str | None = None,
    turned: int = 0,
    aspect: Fraction | None = None,
    rate: int = RATE,
) -> Path:
    """Write pictures of these numbers at `stamps` in ticks (else 1000 apart), and a sound track."""
    for needed in (codec, coding):
        if needed not in av.codecs_available:
            pytest.skip(f"this PyAV has no encoder {needed}")
    stamps = [1000 * n for n in range(len(numbers))] if stamps is None else stamps
    with av.open(str(path), "w", format=format, options=muxer or {}) as container:
        stream = container.add_stream(codec, rate=25 if codec == "mpeg2video" else rate, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.thread_count = 1
        tick = Fraction(1, 25) if codec == "mpeg2video" else TICK
        stream.codec_context.time_base = tick
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if turned:
            stream.set_display_rotation(turned)
        track = None
        if sound is not None:
            rate = 48_000 if coding == "libopus" else SOUND_RATE
            track = container.add_stream(coding, rate=rate, layout="mono")
        packets = []
        for number, stamp in zip(numbers, stamps, strict=True):
            frame = av.VideoFrame.from_ndarray(picture(number, *size), format="rgb24")
            frame.time_base = tick
            frame.pts = stamp if tick == TICK else round(stamp / 1000)  # MPEG-2 knows few rates
            packets += stream.encode(frame)
        packets += stream.encode(None)
        if track is not None:
            packets += _heard(track, sound, sound_at)
        packets.sort(key=lambda p: (p.dts if p.dts is not None else p.pts) * p.time_base)
        for packet in packets:
            container.mux(packet)
    return path


def _heard(track, sound: np.ndarray, at_s: float) -> list:
    resampler = av.AudioResampler(format=track.codec_context.format, layout="mono", rate=track.rate)
    frame = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
    frame.sample_rate, frame.time_base = SOUND_RATE, Fraction(1, SOUND_RATE)
    frame.pts = round(at_s * SOUND_RATE)
    packets = []
    for part in (*resampler.resample(frame), *resampler.resample(None)):
        packets += track.encode(part)
    return packets + track.encode(None)
