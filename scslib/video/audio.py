"""The sound of each clip as a log-mel picture (paper, sec. 3.3).

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
import torch
import torchaudio

from scslib.video.clips import Clip
from scslib.video.container import VideoError, audio_stream, decoded, open_video, packets
from scslib.video.stamps import Join

SAMPLE_RATE = 16_000  # Hz
WINDOW, FFT = 256, 512  # samples: a Hann window of 16 ms, padded for 40 bands to be resolved
JITTER_S = 0.05  # chunks whose stamps lie nearer follow each other without a gap: stamps are rounded
SKIPPED = 2 * SAMPLE_RATE  # where nothing is wanted for longer, seeking is quicker than decoding
MOST_HELD = 3600 * SAMPLE_RATE  # samples: of a longer window, or with stamps that stand still, no more
LOWEST_RATE = 1000  # Hz; of a lower one a few bytes would become minutes
NEXT_S = 1.0  # a packet that is stamped later than this after the one before does not follow it
LEAD_S = 0.25  # a decoder gives the right sound only a few frames after where it began
STEPS, MELS = 200, 40
TOO_LONG = f"more than {MOST_HELD // SAMPLE_RATE} s of sound are not held at a time"
FLOOR = 1e-6  # added to the mel energies before the logarithm: silence is log(1e-6) = -13.8


def iter_logmel(
    path: str | Path, clips: Iterable[Clip], joins: Sequence[Join] = ()
) -> Iterator[np.ndarray]:
    """For each clip, in ascending order of time, its window's log-mel picture (200, 40) float32.

    Streamed: only the sound of about one window is held, and what lies between clips that are far apart
    is skipped. Where the window reaches over the beginning or end of the sound, and everywhere if there
    is no audio track, it hears silence. joins: where the clock of the file begins anew (`ClipIndex`).
    Raises `VideoError` where more than an hour would be held.
    """
    held: deque[tuple[int, np.ndarray]] = deque()  # (position of the first sample, samples)
    end, more, holds = 0, True, 0
    with open_video(path) as container:
        chunks = _samples(container, joins=joins)
        for clip in clips:
            middle, half = (clip.start_s + clip.end_s) / 2, clip.end_s - clip.start_s
            hop = max(1, round((2 * half * SAMPLE_RATE - FFT) / (STEPS - 1)))
            length = hop * (STEPS - 1) + FFT
            first = round(middle * SAMPLE_RATE) - length // 2
            if length > MOST_HELD:
                raise VideoError(f"{path}: clip {clip.index} lasts {half:.0f} s, {TOO_LONG}")
            if more and first > end + SKIPPED and not joins:
                chunks, end = _samples(container, first / SAMPLE_RATE), first
                held.clear()
                holds = 0
            while more and end < first + length:
                chunk = next(chunks, None)
                more = chunk is not None
                if more:
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


def logmel(samples: np.ndarray, hop: int) -> np.ndarray:
    """log(mel energy + 1e-6) of mono samples at 16 kHz in -1..1: (steps, 40) float32."""
    bank, wave = _mel(hop), torch.from_numpy(samples)
    window = bank.spectrogram.window
    waves = torch.stft(wave, FFT, hop, WINDOW, window, center=False, return_complex=True)
    power = torch.view_as_real(waves).square().sum(-1)  # the bank's own way takes roots first
    return torch.log(bank.mel_scale(power) + FLOOR).T.contiguous().numpy()


@cache
def _mel(hop: int) -> torchaudio.transforms.MelSpectrogram:
    return torchaudio.transforms.MelSpectrogram(
        SAMPLE_RATE, n_fft=FFT, win_length=WINDOW, hop_length=hop, n_mels=MELS, center=False
    )


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
        container.seek(int((start_s - LEAD_S) / stream.time_base), stream=stream)
    frames = _going_on(container, stream, joins) if joins else decoded(container, stream)
    resampler, end = av.AudioResampler(format="flt", layout=layout, rate=rate), None
    for frame in itertools.chain(frames, [None]):  # None flushes
        if frame is not None and frame.sample_rate < LOWEST_RATE:
            low = f"sound at {frame.sample_rate} Hz, must be {LOWEST_RATE} at least"
            raise VideoError(f"{container.name}: {low}")
        try:
            resampled = resampler.resample(frame)
        except ValueError:  # the sound changes its rate or its channels
            resampled = resampler.resample(None)
            resampler = av.AudioResampler(format="flt", layout=layout, rate=rate)
            resampled += resampler.resample(frame)
        for out in resampled:
            seconds = float(out.pts * out.time_base) if out.pts is not None else 0.0
            samples = out.to_ndarray()[0]
            samples = samples if layout == "mono" else samples.reshape(-1, 2)
            position = round(seconds * rate)
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
                if part and frame.pts is not None:
                    frame.pts += round(joins[part - 1].shift_s / frame.time_base)
                yield frame
