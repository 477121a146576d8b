"""Log-mel spectrogram of the sound around each clip (paper, sec. 3.3).

The window is centred on the clip and twice as long, cut into 200 time steps of 40 mel bands. The
front end is the same group's public one: 16 kHz mono, 16 ms Hann window, 40 log-mel bins. The hop
follows from the clip's length (10 ms for a window of 2 s), so that a picture always has 200 steps.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

import av
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft
from scipy.sparse import csr_array

from scslib.video.clips import Clip
from scslib.video.container import (
    VideoError,
    audio_stream,
    decoded_sound,
    open_video,
    packets,
    tick_of,
)
from scslib.video.stamps import Join

SAMPLE_RATE = 16_000  # Hz
WINDOW, FFT = 256, 512  # samples: a Hann window of 16 ms, padded for 40 bands to be resolved
JITTER_S = 0.05  # chunks whose stamps lie nearer follow each other without a gap: stamps are rounded
SKIPPED = 2 * SAMPLE_RATE  # where nothing is wanted for longer, seeking is quicker than decoding
PIECE = 4096  # samples that are held together
MOST_HELD = 3600 * SAMPLE_RATE  # samples: of a longer window, or with stamps that stand still, no more
LOWEST_RATE = 1000  # Hz; of a lower one a few bytes would become minutes
NEXT_S = 1.0  # a packet that is stamped later than this after the one before does not follow it
LEAD_S = 0.25  # a decoder gives the right sound only a few frames after where it began
CANCELLED = 1 / 30  # of the power that independent channels would have together: the mix has lost it
MEL_STEPS, MELS = 200, 40
TOO_LONG = f"more than {MOST_HELD // SAMPLE_RATE} s of sound are not held at a time"
FLOOR = 1e-6  # added to the mel energies before the logarithm: silence is log(1e-6) = -13.8


def iter_logmel(
    path: str | Path, clips: Iterable[Clip], joins: Sequence[Join] = ()
) -> Iterator[np.ndarray]:
    """The log-mel picture of each clip's window, (200, 40) float32.

    Clips come in ascending order of time. Streamed: only the sound of about one window is held, and
    what lies between clips that are far apart is skipped. Where the window reaches over the beginning
    or end of the sound, and everywhere if there is no audio track, it hears silence. joins: where the
    clock of the file begins anew (`ClipIndex`). Raises `VideoError` where more than an hour would be
    held.
    """
    held: deque[tuple[int, np.ndarray]] = deque()  # (position of the first sample, samples)
    end, more, holds = 0, True, 0
    with open_video(path) as container:
        chunks = _in_pieces(_samples(container, joins=joins))
        for clip in clips:
            middle, half = (clip.start_s + clip.end_s) / 2, clip.end_s - clip.start_s
            hop = max(1, round((2 * half * SAMPLE_RATE - FFT) / (MEL_STEPS - 1)))
            length = hop * (MEL_STEPS - 1) + FFT
            first = round(middle * SAMPLE_RATE) - length // 2
            if length > MOST_HELD:
                raise VideoError(f"{path}: clip {clip.index} lasts {half:.0f} s, {TOO_LONG}")
            if more and first > end + SKIPPED and not joins:
                chunks, end = _in_pieces(_samples(container, first / SAMPLE_RATE)), first
                held.clear()
                holds = 0
            while more and end < first + length:
                chunk = next(chunks, None)
                more = chunk is not None
                if chunk is not None:
                    held.append(chunk)
                    end, holds = chunk[0] + len(chunk[1]), holds + len(chunk[1])
                    if holds > 2 * MOST_HELD:
                        raise VideoError(f"{path}: the sound's times stand still, {TOO_LONG}")
            while held and held[0][0] + len(held[0][1]) <= first:
                holds -= len(held.popleft()[1])
            window = np.zeros(length, np.float32)
            for position, samples in held:
                begin, stop = max(position, first), min(position + len(samples), first + length)
                if begin < stop:
                    window[begin - first : stop - first] = samples[begin - position : stop - position]
            yield logmel(window, hop)


def _in_pieces(chunks: Iterator[tuple[int, np.ndarray]]) -> Iterator[tuple[int, np.ndarray]]:
    """The same samples in fewer chunks: they grow to `PIECE`, and end at gaps."""
    parts: list[np.ndarray] = []
    begin = end = 0
    for position, samples in chunks:
        if parts and (position != end or end - begin >= PIECE):
            yield begin, np.concatenate(parts)
            parts = []
        begin = begin if parts else position
        parts.append(samples)
        end = position + len(samples)
    if parts:
        yield begin, np.concatenate(parts)


def logmel(samples: np.ndarray, hop: int) -> np.ndarray:
    """log(mel energy + 1e-6) of mono samples at 16 kHz in -1..1: (steps, 40) float32.

    The same as torchaudio's `MelSpectrogram`, without the half gigabyte that importing it takes.
    """
    # SciPy transforms many windows side by side, in an eighth of NumPy's time
    waves = fft.rfft(sliding_window_view(samples, FFT)[::hop] * _hann())
    power = waves.real**2 + waves.imag**2
    # sparse: few bins lie in a band, and BLAS's threads would wake beside those that read pictures
    return np.log((_bands() @ power.T).T + np.float32(FLOOR))


@cache
def _hann() -> np.ndarray:
    """A Hann window of `WINDOW` samples in the middle of `FFT`, (FFT,) float32."""
    return np.pad(np.hanning(WINDOW + 1)[:-1], (FFT - WINDOW) // 2).astype(np.float32)


@cache
def _bands() -> csr_array:
    """The weight of each bin of the spectrum in each mel band, (40, 257) float32.

    They are triangles, equally wide and half overlapping on the mel scale, 2595 log10(1 + Hz / 700).
    """
    bins = np.linspace(0, SAMPLE_RATE / 2, FFT // 2 + 1)
    top = 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, MELS + 2) / 2595) - 1)
    widths, beyond = np.diff(edges), bins[:, None] - edges
    rising, falling = beyond[:, :-2] / widths[:-1], -beyond[:, 2:] / widths[1:]
    return csr_array(np.minimum(rising, falling).clip(0).astype(np.float32).T)


def iter_samples(
    path: str | Path,
    start_s: float = 0.0,
    *,
    rate: int = SAMPLE_RATE,
    layout: str = "mono",
    joins: Sequence[Join] = (),
) -> Iterator[tuple[int, np.ndarray]]:
    """Decode the first audio track: (position of the first sample at `rate` Hz, float32 samples).

    Samples are (n,) in mono, (n, 2) in stereo. Begins a little before `start_s` seconds. A chunk begins
    where the one before it ended, but for gaps (`JITTER_S`). Nothing comes where there is no audio.
    joins: where the clock of the file begins anew (`ClipIndex`); such a file is read from its beginning.
    """
    with open_video(path) as container:
        yield from _samples(container, start_s, rate, layout, joins)


def _samples(
    container: av.container.InputContainer,
    start_s: float = 0.0,
    rate: int = SAMPLE_RATE,
    layout: str = "mono",
    joins: Sequence[Join] = (),
) -> Iterator[tuple[int, np.ndarray]]:
    stream = audio_stream(container)
    if stream is None:
        return
    if start_s > LEAD_S and not joins:
        container.seek(int((start_s - LEAD_S) / tick_of(stream)), stream=stream)
    frames = _going_on(container, stream, joins) if joins else decoded_sound(container, stream)
    resampler, end = av.AudioResampler(format="flt", layout=layout, rate=rate), None
    for frame in itertools.chain(frames, [None]):  # None flushes
        if frame is not None and frame.sample_rate < LOWEST_RATE:
            low = f"sound at {frame.sample_rate} Hz, must be {LOWEST_RATE} at least"
            raise VideoError(f"{container.name}: {low}")
        if frame is not None and layout == "mono":
            frame = _audible(frame)
        try:
            resampled = resampler.resample(frame)
        except ValueError:  # the sound changes its rate or its channels
            resampled = resampler.resample(None)
            resampler = av.AudioResampler(format="flt", layout=layout, rate=rate)
            resampled += resampler.resample(frame)
        for out in resampled:
            samples = out.to_ndarray()[0]
            samples = samples if layout == "mono" else samples.reshape(-1, 2)
            position = round((out.time or 0.0) * rate)
            if end is not None and abs(position - end) < JITTER_S * rate:
                position = end
            end = position + len(samples)
            yield position, samples


def _going_on(
    container: av.container.InputContainer, stream: av.AudioStream, joins: Sequence[Join]
) -> Iterator[av.AudioFrame]:
    """Decode sound whose clock begins anew, with the same times added as to the pictures of each part.

    A part begins where the sound's own clock goes back, or, after a gap, where that of the pictures
    does.
    """
    part, last = 0, None
    for packet in packets(container, stream):
        if packet.pts is not None:
            now = float(packet.pts * packet.time_base)
            if last is None or not last - JITTER_S <= now <= last + NEXT_S:
                begun = sum(join.byte <= (packet.pos or 0) for join in joins)
                back = last is not None and now < last
                part = min(max(part + back, begun), len(joins))
            last = now
        with contextlib.suppress(av.FFmpegError):
            for frame in packet.decode():
                if part and frame.pts is not None and frame.time_base is not None:
                    frame.pts += round(joins[part - 1].shift_s / frame.time_base)
                yield frame


def _audible(frame: av.AudioFrame) -> av.AudioFrame:
    """The frame, or its first loud channel in all of them where they cancel out in their mean.

    Where one channel is the other upside down (a cable soldered wrongly, sound widened by a player), a
    mono mix is silence although anybody hears the sound.
    """
    channels = frame.layout.nb_channels
    if channels < 2:
        return frame
    data = frame.to_ndarray()
    waves = data if frame.format.is_planar else data.reshape(-1, channels).T
    waves = waves.astype(np.float32) - (128 if data.dtype == np.uint8 else 0)
    power = np.square(waves).sum(1)
    if np.square(waves.sum(0)).sum() >= CANCELLED * power.sum():
        return frame
    loud = int((power > power.max() / 4).argmax())  # the first such: taking turns would click
    same = np.repeat(waves[[loud]], channels, 0) + (128 if data.dtype == np.uint8 else 0)
    packed = same if frame.format.is_planar else same.T.reshape(1, -1)
    heard = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(packed.astype(data.dtype)), frame.format.name, frame.layout.name
    )
    heard.sample_rate, heard.pts, heard.time_base = frame.sample_rate, frame.pts, frame.time_base
    return heard
