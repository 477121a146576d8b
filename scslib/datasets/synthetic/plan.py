"""Plan a synthetic video: settings, shots, the classes' movements and voices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scslib.video.write import Encoding

# Where an actor is after `t` seconds, on a scale of its own: `_paths` says how far it goes.
MOVES = {
    "sway": lambda t: (np.sin(2 * np.pi * t / 2.4), 0.0),
    "shake": lambda t: (np.sin(2 * np.pi * t / 0.6), 0.0),
    "circle": lambda t: (np.cos(2 * np.pi * t / 1.5), np.sin(2 * np.pi * t / 1.5)),
    "hop": lambda t: (0.0, 1 - 2 * abs(np.sin(np.pi * t / 0.9))),
    "circle-back": lambda t: (np.cos(2 * np.pi * t / 1.5), -np.sin(2 * np.pi * t / 1.5)),
    "nod": lambda t: (0.0, np.sin(2 * np.pi * t / 2.4)),
    "lunge": lambda t: (_there_and_back(t / 1.5 % 1), 0.0),
    "recoil": lambda t: (_there_and_back(1 - t / 1.5 % 1), 0.0),
}
# A voice: its pitch in Hz, beats a second, and the drift of the pitch within a beat in octaves.
SOUNDS = {
    "sway": (350, 1.5, 0.0),
    "shake": (900, 6.0, 0.0),
    "circle": (600, 2.0, 0.4),
    "hop": (1800, 2.2, 0.0),
    "circle-back": (600, 2.0, -0.4),
    "nod": (2600, 1.0, 0.0),
    "lunge": (1200, 1.3, 0.3),
    "recoil": (1200, 1.3, -0.3),
}
# Pitches between these, for the voices of no class; their beats and drifts are those of some class.
OTHER_PITCHES = (450, 760, 1040, 1500, 2200, 3200)
OTHER = "other"  # such a voice, as the sound of a shot
FILLERS = ("still", "pan", "cuts", "stroll", "decoy")
SIZES, SPEEDS, APART = (32, 40), (45, 65), (32, 40)  # pixels, pixels a second, pixels from the middle
LOUDNESS = (0.06, 0.14)  # of any voice


def _there_and_back(part: float) -> float:
    """From -1 to 1 in the first quarter, and back in the rest: quick there, slow back."""
    return 8 * part - 1 if part < 0.25 else 1 - 8 / 3 * (part - 0.25)


@dataclass(frozen=True)
class Synthetic:
    """What to make. Times in seconds, probabilities in 0..1.

    action_share: part of each video that shows its action. decoy_share: part of the rest filled with
    other classes' movements; decoy_bias: part of these that show one and the same class per video;
    mimic_share: part of these that look like an action. on_stage: how often an action is on a stage, and
    how often other shots are before a wall (0.5: single pictures know nothing).
    sound_in_action, sound_in_decoy: how often the voice of the class that is shown is heard.
    sound_elsewhere: how often another voice is, in a shot that is no action and has none of these.
    silent_share: part of the videos that have no audio track.
    """

    classes: int = 6
    train_videos: int = 120
    test_videos: int = 48
    duration_s: float = 120.0
    action_share: float = 0.1
    decoy_share: float = 0.15
    decoy_bias: float = 0.7
    mimic_share: float = 0.3
    on_stage: float = 0.9
    sound_in_action: float = 0.75
    sound_in_decoy: float = 0.15
    sound_elsewhere: float = 0.7
    silent_share: float = 0.0
    seed: int = 0
    encoding: Encoding = Encoding()

    def __post_init__(self):
        if not 2 <= self.classes <= len(MOVES):
            raise ValueError(f"classes ({self.classes}) must be in 2..{len(MOVES)}")
        for name in ("train_videos", "test_videos"):
            if getattr(self, name) < self.classes:
                raise ValueError(f"{name} ({getattr(self, name)}) must be >= classes ({self.classes})")
        if self.duration_s < 10:
            raise ValueError(f"duration_s ({self.duration_s}) must be >= 10")
        for name in (
            "action_share",
            "decoy_share",
            "decoy_bias",
            "mimic_share",
            "on_stage",
            "sound_in_action",
            "sound_in_decoy",
            "sound_elsewhere",
            "silent_share",
        ):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} ({getattr(self, name)}) must be in 0..1")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(MOVES)[: self.classes]


@dataclass(frozen=True)
class Shot:
    """One shot of a video, [start_s, end_s): what it shows, and whose voice sounds: a class's, or OTHER.

    together: the two actors move with each other, as in an action; else in step.
    """

    kind: str
    start_s: float
    end_s: float
    movement: str | None = None
    sound: str | None = None
    together: bool = False


def plan_video(spec: Synthetic, number: int, label: str) -> list[Shot]:
    """The shots of video `number`, end to end, without drawing anything."""
    rng = np.random.default_rng([spec.seed, number, 0])
    duration = spec.duration_s * rng.uniform(1.0, 1.1)
    action = duration * spec.action_share
    segments = max(1, round(action / rng.uniform(3.0, 5.0)))  # a clip is to find room in one
    parts = rng.dirichlet(np.full(segments, 8.0)) * action
    shots: list[tuple[str, float, str | None, bool]]
    shots = [("action", part, label, True) for part in parts]
    others = [name for name in spec.names if name != label]
    favourite = others[rng.integers(len(others))]
    left = duration - parts.sum()
    decoys = left * spec.decoy_share
    while left > 0.5:
        length = min(left, rng.uniform(3.0, 7.0))
        kind, movement, together = FILLERS[rng.integers(len(FILLERS) - 1)], None, False
        if decoys > 0.5:
            length = min(length, decoys)
            decoys -= length
            same, together = rng.random() < spec.decoy_bias, bool(rng.random() < spec.mimic_share)
            kind, movement = "decoy", favourite if same else others[rng.integers(len(others))]
        shots.append((kind, length, movement, together))
        left -= length
    rng.shuffle(shots)
    timeline, now = [], 0.0
    for kind, length, movement, together in shots:
        end = now + float(length)
        timeline.append(Shot(kind, now, end, movement, _heard(spec, rng, kind, movement), together))
        now = end
    return timeline


def _heard(spec: Synthetic, rng: np.random.Generator, kind: str, movement: str | None) -> str | None:
    """The voice of a shot: its movement's, another, or none."""
    own = {"action": spec.sound_in_action, "decoy": spec.sound_in_decoy}.get(kind, 0.0)
    if rng.random() < own:
        return movement
    return OTHER if kind != "action" and rng.random() < spec.sound_elsewhere else None
