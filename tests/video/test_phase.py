"""Sound whose channels cancel out in their mean: it is heard from the louder one, and only then."""

from fractions import Fraction

import av
import numpy as np
import pytest

from scslib.video.audio import SAMPLE_RATE, iter_logmel, iter_samples
from scslib.video.clips import Clip

RATE, SECONDS = 48_000, 3
TIME = np.arange(RATE * SECONDS) / RATE
TONE = 0.4 * np.sin(2 * np.pi * 440 * TIME) * (TIME > 1) * (TIME < 2)
OTHER = 0.4 * np.sin(2 * np.pi * 1234 * TIME)
CODERS = [("pcm_s16le", "s16", "mkv"), ("flac", "s16", "mkv"), ("aac", "fltp", "mp4")]
CODERS += [("pcm_u8", "u8", "avi"), ("pcm_f32le", "flt", "mov"), ("ac3", "fltp", "ts")]


def made(path, channels, coder="pcm_s16le", form="s16", layout="stereo"):
    """Channels (C, samples) in -1..1 as a file with sound only."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(coder, rate=RATE, layout=layout)
        waves = np.asarray(channels, np.float32)
        if form in ("s16", "u8"):
            waves = (waves * 30_000).astype(np.int16) if form == "s16" else 128 + waves * 120
        waves = waves.astype({"s16": np.int16, "u8": np.uint8}.get(form, np.float32))
        for first in range(0, waves.shape[1], 1024):
            piece = waves[:, first : first + 1024]
            packed = piece if form == "fltp" else piece.T.reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(packed), format=form, layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = RATE, first, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def heard(path) -> np.ndarray:
    out = np.zeros(SAMPLE_RATE * (SECONDS + 1), np.float32)
    for position, samples in iter_samples(path):
        begin = max(0, position)
        samples = samples[begin - position :][: len(out) - begin]
        out[begin : begin + len(samples)] = samples
    return out[: SAMPLE_RATE * SECONDS]


def loudness(path, begin: float, end: float) -> float:
    return float(np.sqrt(np.square(heard(path)[round(begin * 16_000) : round(end * 16_000)]).mean()))


@pytest.mark.parametrize("coder, form, ending", CODERS, ids=[c[0] for c in CODERS])
def test_a_channel_upside_down_is_heard(tmp_path, coder, form, ending):
    path = made(tmp_path / f"v.{ending}", [TONE, -TONE], coder, form)
    plain = made(tmp_path / f"w.{ending}", [TONE, TONE], coder, form)
    assert loudness(path, 1.2, 1.8) == pytest.approx(loudness(plain, 1.2, 1.8), rel=0.02)
    assert loudness(path, 1.2, 1.8) > 0.25
    assert loudness(path, 0.2, 0.8) < 0.02 and loudness(path, 2.3, 2.8) < 0.02  # silence stays
    clips = [Clip(0, 1.2, 1.7)]
    (cancelled,), (mixed,) = (list(iter_logmel(p, clips)) for p in (path, plain))
    loud = mixed > 2  # the tone, and not what a coder makes of the rest
    assert loud.any() and np.abs(cancelled - mixed)[loud].mean() < 0.2


def test_one_loud_channel_is_heard_and_they_do_not_take_turns(tmp_path):
    """Now the one is a little louder, now the other: a change of sign would be heard as a click."""
    swell = 1 + 0.1 * np.sin(2 * np.pi * 7 * TIME)
    wave = 0.4 * np.sin(2 * np.pi * 440 * TIME)
    path = made(tmp_path / "v.mkv", [wave * swell, wave * (swell - 2)])
    plain = made(tmp_path / "w.mkv", [wave * swell] * 2)
    np.testing.assert_allclose(heard(path), heard(plain), atol=2e-3)


def test_six_channels_may_cancel_too(tmp_path):
    silent = np.zeros_like(TONE)
    path = made(tmp_path / "v.mkv", [TONE, -TONE, silent, silent, silent, silent], "flac", layout="5.1")
    assert loudness(path, 1.2, 1.8) > 0.05


@pytest.mark.parametrize(
    "channels",
    [[TONE, TONE], [TONE, OTHER], [TONE, 0 * TONE], [TONE, -0.5 * TONE], [0 * TONE, 0 * TONE], [TONE]],
    ids=["same", "two", "one side", "half", "silence", "mono"],
)
def test_all_other_sound_is_the_mean_as_before(tmp_path, channels):
    layout = "stereo" if len(channels) == 2 else "mono"
    path = made(tmp_path / "v.mkv", channels, layout=layout)
    resampler, expected = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE), []
    with av.open(str(path)) as container:
        for frame in [*container.decode(audio=0), None]:
            expected += [out.to_ndarray()[0] for out in resampler.resample(frame)]
    np.testing.assert_array_equal(
        np.concatenate([s for _, s in iter_samples(path)]), np.concatenate(expected)
    )


def test_it_may_begin_and_end_anywhere(tmp_path):
    """Turned over in the middle: no gap, and no sound lost on either side."""
    sign = np.where((TIME > 1.2) & (TIME < 1.8), -1, 1)
    wave = 0.4 * np.sin(2 * np.pi * 440 * TIME)
    path, plain = (made(tmp_path / f"{n}.mkv", [wave, s * wave]) for n, s in (("v", sign), ("w", 1)))
    turned, whole = (np.square(heard(p)[1600:-1600]).reshape(-1, 1600).mean(1) for p in (path, plain))
    np.testing.assert_allclose(turned, whole, rtol=0.2)
