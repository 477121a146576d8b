"""Random files against a plain decode from front to back: every clip's frames, times and sound.

A failing one can be made again: python -m tests.support.random_files SEED NUMBER OUT
"""

import itertools
import os

import av
import numpy as np
import pytest

from scslib.samplers.features import FeatureSpec, read_features
from scslib.video.audio import iter_samples
from scslib.video.clips import expected_clips, index_clips
from scslib.video.frames import decode_clips, numbered_clips
from tests.support import random_files
from tests.support.coded import number_of

SEED = int(os.environ.get("SCS_RANDOM_SEED", "0"))
RATE = 8000  # Hz at which sounds are compared
FILES, AT_ONCE = 200, 25


def plain_frames(path) -> tuple[list[np.ndarray], np.ndarray]:
    """All frames as stored, RGB, and when they are shown, seconds: PyAV and nothing else."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        seconds = [frame.time for frame in frames]
        return [frame.to_ndarray(format="rgb24") for frame in frames], np.array(seconds, float)


def plain_sound(path, seconds: float) -> np.ndarray:
    """The sound from time 0 on as a mono wave at `RATE`, silence where there is none."""
    wave = np.zeros(round(seconds * RATE), np.float32)
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return wave
        resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
        for frame in itertools.chain(container.decode(audio=0), [None]):
            for part in resampler.resample(frame):
                put(wave, round(float(part.pts * part.time_base) * RATE), part.to_ndarray()[0])
    return wave


def put(wave: np.ndarray, position: int, samples: np.ndarray) -> None:
    samples = samples[max(0, -position) :]
    position = max(0, position)
    samples = samples[: max(0, len(wave) - position)]
    wave[position : position + len(samples)] = samples


def read_sound(index, seconds: float) -> np.ndarray:
    wave = np.zeros(round(seconds * RATE), np.float32)
    for position, samples in iter_samples(index.path, rate=RATE, joins=index.joins):
        put(wave, position, samples)
    return wave


def loudness(wave: np.ndarray) -> np.ndarray:
    """(n, bands) power in steps of 50 ms: what is heard when, whatever a resampler does to the phase."""
    steps = wave[: len(wave) // 400 * 400].reshape(-1, 400)
    return np.abs(np.fft.rfft(steps * np.hanning(400)))


def check(seed: int, number: int, folder) -> None:
    recipe = random_files.recipe(seed, number)
    path = random_files.write(recipe, folder)
    stored, seconds = plain_frames(path)
    again = f"python -m tests.support.random_files {seed} {number} OUT: {recipe.name}"
    assert len(stored) == len(recipe.stamps), again
    right = list(range(len(stored)))
    assert [number_of(pixels) for pixels in stored] == right, again
    rng = np.random.default_rng([seed, number])
    clip_len = int(rng.choice([1, 3, 4, 8, 16]))
    wanted = float(rng.choice([0, 0, 6, 15]))
    index = index_clips(path, clip_len=clip_len, frame_rate=wanted)
    assert len(index) == expected_clips(index) and index.missing == index.note == "", again

    if wanted and len(index) > 1:  # a clip lasts as long as it should
        lengths = [clip.end_s - clip.start_s for clip in index.clips]
        line = np.linspace(seconds[0], seconds[-1], len(seconds))
        uneven = np.abs(seconds - line).max() > 0.6 * np.median(np.diff(seconds))
        off = 1e-6 if uneven else 0.6 / index.info.frame_rate + 1e-3
        if recipe.pace == "constant" or uneven:
            np.testing.assert_allclose(lengths, clip_len / wanted, rtol=0, atol=off, err_msg=again)

    # frames: those that are shown at these times
    width, height = recipe.size
    turned = recipe.quarters % 2
    size = (width, height) if turned else (height, width)
    stretched = round(width * recipe.aspect)
    shape = (height, stretched) if turned else (stretched, height)
    assert (index.info.width, index.info.height) == shape, again
    found = dict(numbered_clips(index, size=size))
    assert list(found) == list(range(len(index))), again
    for clip, pixels in found.items():
        start, end = index.clips[clip][1:]
        assert pixels.shape == (index.clip_len, *size, 3), again
        numbers = [number_of(random_files.as_stored(recipe, picture)) for picture in pixels]
        inside = [n for n in right if start - 2e-3 <= seconds[n] < end - 2e-3]
        if index.layout.by_time:  # what is on the screen at equally distant moments
            moments = start + (np.arange(len(pixels)) + 0.5) * (end - start) / len(pixels)
            expected = np.searchsorted(seconds, moments, side="right") - 1
            clear = np.abs(seconds[:, None] - moments).min(0) > 2e-3  # stamps are rounded
            assert (np.array(numbers) == expected)[clear].all(), (again, clip)
        else:
            inside = [n for n in right if start - 2e-3 <= seconds[n] < end - 2e-3]
            expected = inside + inside[-1:] * (index.clip_len - len(inside))
            assert numbers == expected, (again, clip)
    some = sorted(rng.choice(len(index), min(3, len(index)), replace=False).tolist(), reverse=True)
    for clip, pixels in zip(some, decode_clips(index, some, size=size), strict=True):
        np.testing.assert_array_equal(pixels, found[clip], err_msg=again)

    # sound: the same wave at the same time
    total = index.clips[-1].end_s + 3
    expected, heard = loudness(plain_sound(path, total)), loudness(read_sound(index, total))
    scale = max(1.0, expected.max())
    off = np.abs(heard - expected).max(1) > 0.25 * scale
    assert off.mean() < 0.02, again

    # features: a row for each clip, at its time
    read = read_features(path, vars(FeatureSpec(clip_len=clip_len, frame_rate=wanted)))
    assert (read.clips, read.clips_expected, read.missing) == (len(index), len(index), ""), again
    np.testing.assert_allclose(read.arrays["times"], [c[1:] for c in index.clips], err_msg=again)
    assert ("audio" in read.arrays) == (recipe.sound != "none"), again
    path.unlink()


@pytest.mark.parametrize("part", range(FILES // AT_ONCE))
def test_every_clip_of_random_files_holds_what_a_plain_decode_gives(part, tmp_path):
    for number in range(AT_ONCE * part, AT_ONCE * (part + 1)):
        check(SEED, number, tmp_path)


@pytest.mark.parametrize(
    "seed, number",
    [(1002, 34)],  # FLV whose last keyframe cannot be reached, and that refuses times before its first
)
def test_files_that_went_wrong_once(seed, number, tmp_path):
    check(seed, number, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("part", range(20))
def test_two_thousand_more(part, tmp_path):
    for number in range(100):
        check(1000 + SEED + part, number, tmp_path)


def test_recipes_cover_what_they_should():
    made = [random_files.recipe(SEED, number) for number in range(FILES)]
    assert {recipe.suffix for recipe in made} == set(random_files.CONTAINERS)
    assert {recipe.codec for recipe in made} == set(random_files.CODECS)
    assert {recipe.sound for recipe in made} == set(random_files.SOUNDS)
    assert {recipe.pace for recipe in made} == {"constant", "jitter", "gap"}
    assert {recipe.quarters for recipe in made} == {0, 1, 2, 3}
    assert {recipe.mirrored for recipe in made} == {False, True}
    assert any(recipe.aspect != 1 for recipe in made) and any(recipe.b_frames for recipe in made)
    assert any(recipe.stamps[0] for recipe in made)
