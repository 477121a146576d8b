"""Make the sound of a synthetic video: noise and the voices of its shots."""

from __future__ import annotations

import numpy as np

from scslib.datasets.synthetic.plan import LOUDNESS, OTHER_PITCHES, SOUNDS, Shot, Synthetic
from scslib.video.audio import SAMPLE_RATE


def sound_of(spec: Synthetic, number: int, shots: list[Shot]) -> np.ndarray:
    """The sound track: mono float32 at 16 kHz in -1..1, noise with the shots' sounds in it."""
    rng = np.random.default_rng([spec.seed, number, 2])
    samples = round(shots[-1].end_s * SAMPLE_RATE)
    sound = rng.normal(0, 0.03, samples).astype(np.float32)
    sound += 0.02 * np.repeat(rng.normal(0, 1, samples // 8 + 1), 8)[:samples].astype(np.float32)
    for shot in shots:
        first, last = (round(t * SAMPLE_RATE) for t in (shot.start_s, shot.end_s))
        sound[first:last] *= rng.uniform(0.5, 1.5)  # every shot has a loudness of its own
        if shot.sound is not None:
            sound[first:last] += _beats(rng, _voice(rng, shot.sound), last - first)
    return np.clip(sound, -1, 1)


def _voice(rng: np.random.Generator, name: str) -> tuple[float, float, float]:
    """Pitch, beats and drift of a class's voice, or of one of no class."""
    if name in SOUNDS:
        return SOUNDS[name]
    _, rate, drift = list(SOUNDS.values())[rng.integers(len(SOUNDS))]
    return OTHER_PITCHES[rng.integers(len(OTHER_PITCHES))], rate, drift


def _beats(rng: np.random.Generator, voice: tuple[float, float, float], samples: int) -> np.ndarray:
    pitch, rate, drift = voice
    t = np.arange(samples) / SAMPLE_RATE
    beat = (t * rate * rng.uniform(0.9, 1.1) + rng.uniform()) % 1
    frequency = pitch * rng.uniform(0.96, 1.04) * 2 ** (drift * (beat - 0.5))
    tone = np.sin(2 * np.pi * np.cumsum(frequency) / SAMPLE_RATE)
    tone += 0.4 * np.sin(4 * np.pi * np.cumsum(frequency) / SAMPLE_RATE)
    loudness = rng.uniform(*LOUDNESS) * (beat < 0.6) * np.sin(np.pi * np.minimum(beat / 0.6, 1))
    return (loudness * tone).astype(np.float32)
