"""Log-mel pictures against torchaudio on samples decoded here, and the sound's place in time."""

import itertools
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
import torchaudio

from scslib.video.audio import PIECE, _bands, _in_pieces, iter_logmel, logmel
from scslib.video.clips import Clip, index_clips
from scslib.video.write import Encoding, write_video
from tests.support.streams import BEEP_S, RATE

SILENCE = np.log(1e-6)


def samples_of(path) -> np.ndarray:
    """The whole first audio track, mono, 16 kHz, put at its time stamps, plus 4 s of zeros around."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=16_000)
    out = np.zeros(16_000 * 20, np.float32)
    with av.open(str(path)) as container:
        for frame in itertools.chain(container.decode(audio=0), [None]):
            for part in resampler.resample(frame):
                start = 64_000 + round(float(part.pts * part.time_base) * 16_000)
                values = part.to_ndarray()[0]
                out[start : start + len(values)] = values
    return out


def expected(path, clip: Clip) -> np.ndarray:
    """The definition, in seconds: 200 steps whose windows fill twice the clip around its middle."""
    span = 2 * (clip.end_s - clip.start_s)
    hop = round((span * 16_000 - 512) / 199)
    length = hop * 199 + 512
    first = 64_000 + round((clip.start_s + clip.end_s) / 2 * 16_000) - length // 2
    return torchaudios(samples_of(path)[first : first + length], hop)


def torchaudios(window: np.ndarray, hop: int) -> np.ndarray:
    mel = torchaudio.transforms.MelSpectrogram(
        16_000, n_fft=512, win_length=256, hop_length=hop, n_mels=40, center=False
    )(torch.from_numpy(window))
    return torch.log(mel + 1e-6).T.numpy()


@pytest.mark.parametrize("hop", [1, 37, 160, 777, 2000])
@pytest.mark.parametrize("loud", [0.0, 1e-4, 0.1, 1.0])
def test_log_mel_equals_torchaudios_on_any_sound(hop, loud):
    """To a fortieth of what float16 resolves at silence; windows, bands and scale are the same."""
    time = np.arange(hop * 199 + 512) / 16_000
    noise = np.random.default_rng(0).standard_normal(len(time))
    window = (loud * (np.sin(2 * np.pi * 3000 * time * time) + 0.1 * noise)).astype(np.float32)
    picture = logmel(window, hop)
    assert picture.shape == (200, 40) and picture.dtype == np.float32
    np.testing.assert_allclose(picture, torchaudios(window, hop), atol=2e-4)


def test_every_band_has_torchaudios_weights():
    bank = torchaudio.functional.melscale_fbanks(257, 0.0, 8000.0, 40, 16_000).numpy()
    np.testing.assert_allclose(_bands().toarray(), bank.T, atol=1e-5)


@pytest.mark.parametrize("clip_len, stride", [(16, None), (8, 4), (4, 9)])
def test_equals_torchaudio_on_the_same_samples(movie, clip_len, stride):
    clips = index_clips(movie.path, clip_len=clip_len, clip_stride=stride).clips
    pictures = list(iter_logmel(movie.path, clips))
    assert len(pictures) == len(clips) > 1
    for clip, picture in zip(clips, pictures, strict=True):
        assert picture.shape == (200, 40) and picture.dtype == np.float32
        np.testing.assert_allclose(picture, expected(movie.path, clip), atol=2e-3)


def test_pieces_grow_to_their_size_and_end_at_gaps():
    """What is laid out by position is the same."""
    chunk, gap = 1000, 300
    begins = [chunk * n + (gap if n >= 7 else 0) for n in range(12)]
    chunks = [(b, np.arange(b, b + chunk, dtype=np.float32)) for b in begins]
    pieces = list(_in_pieces(iter(chunks)))
    assert PIECE == 4096
    assert [(b, len(s)) for b, s in pieces] == [(0, 5000), (5000, 2000), (7300, 5000)]
    for begin, samples in pieces:
        np.testing.assert_array_equal(samples, np.arange(begin, begin + len(samples)))
    assert not list(_in_pieces(iter([])))


def test_streamed_equals_one_clip_at_a_time(movie):
    clips = index_clips(movie.path, clip_len=4).clips
    streamed = list(iter_logmel(movie.path, clips))
    for clip, picture in zip(clips, streamed, strict=True):
        (alone,) = iter_logmel(movie.path, [clip])
        np.testing.assert_allclose(picture, alone, atol=2e-3)


def test_the_beep_is_heard_at_its_time(movie):
    """Clip by clip, the steps that are loud are those whose window lies on the beep."""
    heard = 0
    for clip, picture in zip(
        index_clips(movie.path, clip_len=8).clips,
        iter_logmel(movie.path, index_clips(movie.path, clip_len=8).clips),
        strict=True,
    ):
        middle, span = (clip.start_s + clip.end_s) / 2, 2 * (clip.end_s - clip.start_s)
        time = middle - span / 2 + (np.arange(200) + 0.5) / 200 * span
        loud = picture.max(axis=1) > 0
        inside = (time > BEEP_S[0] + 0.02) & (time < BEEP_S[1] - 0.02)
        outside = (time < BEEP_S[0] - 0.04) | (time > BEEP_S[1] + 0.04)
        assert loud[inside].all() and not loud[outside].any()
        heard += inside.sum()
        if inside.any():  # 440 Hz: the energy is in the low bands
            assert picture[inside].mean(axis=0).argmax() < 12
    assert heard > 12


def test_window_over_the_ends_hears_silence(movie):
    clips = index_clips(movie.path).clips
    first, second = iter_logmel(movie.path, clips)
    np.testing.assert_allclose(first[:45], SILENCE, atol=1e-3)  # before the beginning
    beyond = Clip(0, 20.0, 21.0)
    (picture,) = iter_logmel(movie.path, [beyond])
    np.testing.assert_allclose(picture, SILENCE, atol=1e-3)


def test_no_audio_track_is_silence(tmp_path):
    path = tmp_path / "mute.mp4"
    write_video(path, np.zeros((8, 48, 64, 3), np.uint8), None, Encoding(64, 48, RATE))
    (picture,) = iter_logmel(path, index_clips(path, clip_len=8).clips)
    assert picture.shape == (200, 40)
    np.testing.assert_allclose(picture, SILENCE, atol=1e-3)


def test_stereo_at_another_rate_and_a_late_start_is_aligned(tmp_path):
    """48 kHz stereo PCM that begins at 1 s: the beep's position is that of its time stamp."""
    path = tmp_path / "late.mkv"
    time = np.arange(48_000) / 48_000
    wave = (0.5 * np.sin(2 * np.pi * 440 * time) * (time < 0.1)).astype(np.float32)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=48_000, layout="stereo")
        frame = av.AudioFrame.from_ndarray(
            (np.stack([wave, wave], 1).reshape(1, -1) * 32767).astype(np.int16), "s16", "stereo"
        )
        frame.sample_rate, frame.pts, frame.time_base = 48_000, 48_000, Fraction(1, 48_000)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    (picture,) = iter_logmel(path, [Clip(0, 0.5, 1.5)])  # hears 0 s to 2 s, 10 ms a step
    loud = np.flatnonzero(picture.max(axis=1) > 0)
    assert abs(loud[0] - 100) <= 3 and abs(loud[-1] - 110) <= 3
