"""`scs data synth`: long untrimmed videos with sound, drawn and encoded on the spot.

Each video is a chain of shots with a background, colours and a camera of their own, and every shot
shows two actors. In the **action**, about a tenth of the time, they perform the video's class *with each
other*: what the one does, the other does against it, point by point. The rest misleads an average over
all clips:

    still    the two stand                       pan      the camera travels over the two
    cuts     two others, twice a second          stroll   each wanders on its own
    decoy    the two perform the movement of *another* class side by side, in step; and mostly the same
             other class throughout one video. A part of the decoys, the mimics, perform it as in an
             action: that cannot be seen, only heard

Actors of all shots come from the same range of sizes, colours and speeds, and whatever sounds comes from
the same range of loudness, so that no rule about how much, how fast, how large or how loud finds the
action: *which* movement and *which* sound tell it. Most actions are on a stage, whose edge lies; most
other shots are before a wall, whose edge stands: that is what single pictures know.

A single picture says very little about the class: shape, size, colour, place and background are drawn
independently of it, and classes come in pairs that differ in time only (fast and slow, forward and
backward). The voice of the class is missing in a part of the actions; elsewhere other voices sound.
`segments.csv` says where the action is, for checking and for trimmed training of f.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from scslib.datasets.classes import say_shortages
from scslib.datasets.manifest import Dataset, write_dataset
from scslib.jobs.child import map_processes
from scslib.jobs.files import replacing_if_other
from scslib.jobs.fingerprint import code_of
from scslib.jobs.keys import OLDER, Key
from scslib.video.audio import SAMPLE_RATE
from scslib.video.write import Encoding, write_video

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


def check_not_anothers(folder: Path) -> None:
    """Raises `ValueError` where `folder` holds a dataset that was not drawn by this module."""
    if (folder / "dataset.json").exists() and not (folder / "spec.txt").exists():
        raise ValueError(
            f"{folder}: holds a dataset that is not synthetic: to run on it say --data {folder}"
        )


def make_synthetic(folder: str | Path, spec: Synthetic, *, workers: int = 1) -> Dataset:
    """Draw and encode the dataset into `folder`; the same `spec` gives the same dataset.

    Every video depends on the seed and its own number only, so videos that already exist are kept
    and an interrupted run goes on. Raises `ValueError` where `folder` holds another dataset.
    """
    folder = Path(folder)
    (folder / "videos").mkdir(parents=True, exist_ok=True)
    rows = []
    for split, count in (("train", spec.train_videos), ("test", spec.test_videos)):
        for number in range(count):
            video_id = f"v{len(rows):04d}"
            rows.append((video_id, f"videos/{video_id}.mp4", spec.names[number % spec.classes], split))
    videos = pd.DataFrame(rows, columns=["video_id", "path", "label", "split"])
    check_not_anothers(folder)
    stamp = folder / "spec.txt"
    if stamp.exists() and stamp.read_text() != repr(spec):
        raise ValueError(f"{folder}: holds a dataset made with other parameters")
    stamp.write_text(repr(spec))
    say_shortages(videos)
    key, kept = Key("drawing videos", repr(spec), code_of(make_synthetic)), folder / "key.json"
    anew = key.begin_files(kept, exist=any((folder / "videos").iterdir()))
    jobs = [(spec, n, row.label, folder / row.path, anew) for n, row in enumerate(videos.itertuples())]
    segments = []
    made = map_processes(_make_video, jobs, workers=workers, title="making videos")
    if anew:
        key.write(kept, again=key.why_again([kept]) or OLDER)
    for video_id, spans in zip(videos["video_id"], made, strict=True):
        segments += [(video_id, start, end) for start, end in spans]
    return write_dataset(
        folder,
        name="synthetic",
        classes=spec.names,
        videos=videos,
        segments=pd.DataFrame(segments, columns=["video_id", "start_s", "end_s"]),
        licence="CC0-1.0",
        origin="made by scslib.datasets.synthetic",
        made_with=asdict(spec),
    )


def plan_video(spec: Synthetic, number: int, label: str) -> list[Shot]:
    """The shots of video `number`, end to end, without drawing anything."""
    rng = np.random.default_rng([spec.seed, number, 0])
    duration = spec.duration_s * rng.uniform(1.0, 1.1)
    action = duration * spec.action_share
    segments = max(1, round(action / rng.uniform(3.0, 5.0)))  # a clip is to find room in one
    parts = rng.dirichlet(np.full(segments, 8.0)) * action
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


def _make_video(job: tuple[Synthetic, int, str, Path, bool]) -> list[tuple[float, float]]:
    spec, number, label, path, anew = job
    shots = plan_video(spec, number, label)
    if anew or not path.exists():
        silent = np.random.default_rng([spec.seed, number, 3]).random() < spec.silent_share
        sound = None if silent else sound_of(spec, number, shots)
        with replacing_if_other(path) as part:
            write_video(part, draw_video(spec, number, shots), sound, spec.encoding)
    return [(shot.start_s, shot.end_s) for shot in shots if shot.kind == "action"]


def draw_video(spec: Synthetic, number: int, shots: list[Shot]) -> Iterator[np.ndarray]:
    """The pictures of a video, uint8 RGB (H, W, 3), one after the other."""
    rng = np.random.default_rng([spec.seed, number, 1])
    encoding = spec.encoding
    # Added modulo 256: no colour of a scene is nearer than 10 to either end.
    grain = rng.integers(-2, 3, (4, encoding.height, encoding.width, 1)).astype(np.uint8)
    grain = grain.repeat(3, axis=3)
    frames = round(shots[-1].end_s * encoding.frame_rate)
    current, scene, cut_at = None, None, 0.0
    for number_of_frame in range(frames):
        now = number_of_frame / encoding.frame_rate
        shot = next((s for s in shots if s.start_s <= now < s.end_s), shots[-1])
        if shot is not current or (shot.kind == "cuts" and now >= cut_at):
            current, cut_at = shot, now + rng.uniform(0.3, 0.8)
            scene = _Scene(rng, spec, shot)
        yield scene.draw(now - shot.start_s) + grain[rng.integers(4)]


class _Scene:
    """A background larger than the picture, a camera over it, and two actors in front."""

    def __init__(self, rng: np.random.Generator, spec: Synthetic, shot: Shot):
        self.shape = spec.encoding.height, spec.encoding.width
        self.unit = min(self.shape) / 128  # all sizes below are for a picture of 128 lines
        self.margin = round(48 * self.unit)
        height, width = (side + 2 * self.margin for side in self.shape)
        stage = rng.random() < (spec.on_stage if shot.kind == "action" else 1 - spec.on_stage)
        self.ground = _texture(rng, height, width, stage=stage)
        self.drift = rng.uniform(-3, 3, 2) * self.unit  # pixels a second: no camera is quite still
        self.pan = None
        if shot.kind == "pan":
            angle, self.period = rng.uniform(0, 2 * np.pi), rng.uniform(2.0, 5.0)
            self.pan = np.array([np.cos(angle), np.sin(angle)]) * self.margin * 0.8
        self.phase, self.tempo = rng.uniform(0, 3), rng.uniform(0.9, 1.1)
        self.sprites = [_sprite(rng, max(8, round(rng.uniform(*SIZES) * self.unit))) for _ in range(2)]
        angle, far = rng.uniform(-np.pi / 3, np.pi / 3), rng.uniform(*APART) * self.unit
        middle = (0.5 + rng.uniform(-1, 1, 2) * 0.08) * self.shape[::-1]
        away = np.array([np.cos(angle), np.sin(angle)]) * far
        self.places = middle - away, middle + away  # the first is always the left one
        self.paths = _paths(rng, spec, shot, rng.uniform(*SPEEDS) * self.unit)

    def draw(self, t: float) -> np.ndarray:
        """The picture after `t` seconds of the shot: (H, W, 3) uint8."""
        x, y = self.margin + np.clip(self.drift * t, -8, 8)
        if self.pan is not None:
            x, y = self.margin + self.pan * np.sin(2 * np.pi * t / self.period + self.phase)
        left, top = round(x), round(y)
        height, width = self.shape
        picture = self.ground[top : top + height, left : left + width].copy()
        standing = np.array([left, top]) - self.margin  # who stands goes with the ground
        for sprite, place, path in zip(self.sprites, self.places, self.paths, strict=True):
            offset = path((t + self.phase) * self.tempo) if path else -standing
            _paste(picture, sprite, place + offset)
        return picture


def _paths(rng: np.random.Generator, spec: Synthetic, shot: Shot, speed: float) -> tuple:
    """Where the two actors of a shot are after `t` seconds, seen from their places; None: they stand.

    speed: pixels a second. Movements differ in it (`_pace`), in the same way wherever they are shown;
    who strolls has the pace of some movement.
    """
    if shot.kind == "stroll":
        paces = [_pace(spec.names[rng.integers(spec.classes)]) for _ in range(2)]
        return tuple(_stroll(rng, speed * pace) for pace in paces)
    if shot.movement is None:
        return None, None
    move = MOVES[shot.movement]
    reach = speed * _pace(shot.movement) / _mean_speed(shot.movement)
    against = -1 if shot.together else 1
    return (lambda t: reach * np.array(move(t))), (lambda t: against * reach * np.array(move(t)))


def _stroll(rng: np.random.Generator, speed: float):
    """A path of its own: two swings in directions, at rates, that nobody else has."""
    angles, rates, phases = (rng.uniform(*span, (2, 1)) for span in ((0, 6.28), (0.3, 1.0), (0, 6.28)))
    # equally fast; the mean square of both speeds together is that of one swing's highest
    reach = speed / (2 * np.pi * rates) * np.hstack([np.cos(angles), np.sin(angles)])
    return lambda t: (reach * np.sin(2 * np.pi * rates * t + phases)).sum(0)


@cache
def _pace(movement: str) -> float:
    """How much faster a movement is than usual: the root of what one reach for all would make it.

    So that sway and shake differ in a single vector, too, and none goes too far or hardly moves.
    """
    usual = np.exp(np.mean([np.log(_mean_speed(name)) for name in MOVES]))
    return float(np.sqrt(_mean_speed(movement) / usual))


@cache
def _mean_speed(movement: str) -> float:
    """The root of the mean square of a movement's speed, over a minute."""
    places = np.array([MOVES[movement](t) for t in np.arange(0, 60, 1 / 60)])
    return float(np.sqrt((np.diff(places, axis=0) ** 2).sum(1).mean()) * 60)


def _texture(rng: np.random.Generator, height: int, width: int, *, stage: bool) -> np.ndarray:
    """A random, smooth, softly coloured surface of two halves, uint8 (height, width, 3).

    One is a little darker: of a stage the lower or the upper one, of a wall the left or the right one.
    """
    ground = np.zeros((height, width, 3), np.float32)
    for cells, strength in ((3, 32), (9, 16), (24, 8)):
        # light and dark, and a little colour; interpolated linearly, rows then columns
        coarse = rng.normal(0, strength, (cells, cells, 1)) + rng.normal(
            0, strength / 4, (cells, cells, 3)
        )
        rows, columns = _interpolation(cells, height), _interpolation(cells, width)
        ground += np.einsum("yi,ijc,xj->yxc", rows, coarse.astype(np.float32), columns, optimize=True)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    across, along = (y, x) if stage else (x, y)
    half = across + rng.uniform(-0.3, 0.3) * along > rng.uniform(-0.2, 0.2)
    ground += (half * rng.choice([-1, 1]) * rng.uniform(25, 50))[..., None]
    return np.clip(ground + rng.uniform(85, 160, 3), 10, 245).astype(np.uint8)


def _interpolation(cells: int, pixels: int) -> np.ndarray:
    """(pixels, cells) weights of linear interpolation."""
    position = np.linspace(0, cells - 1, pixels, dtype=np.float32)[:, None]
    return np.maximum(0, 1 - abs(position - np.arange(cells, dtype=np.float32)))


def _sprite(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A textured disc, square, diamond or ring: colours (size, size, 3) uint8 and a mask."""
    y, x = np.mgrid[:size, :size] / (size - 1) * 2 - 1
    radius = np.hypot(x, y)
    masks = (radius < 1, np.maximum(abs(x), abs(y)) < 0.9, abs(x) + abs(y) < 1.1)
    masks += ((radius < 1) & (radius > 0.35),)
    mask = masks[rng.integers(len(masks))]
    stripes = np.sin((x * rng.uniform(2, 5) + y * rng.uniform(2, 5)) * np.pi)[..., None]
    colours = rng.uniform(20, 235, 3) + stripes * rng.uniform(-90, 90, 3)
    return np.clip(colours, 10, 245).astype(np.uint8), mask


def _paste(picture: np.ndarray, sprite: tuple[np.ndarray, np.ndarray], centre: np.ndarray) -> None:
    colours, mask = sprite
    size = len(mask)
    x, y = np.rint(centre - size / 2).astype(int)
    top, left = max(0, y), max(0, x)
    bottom, right = min(picture.shape[0], y + size), min(picture.shape[1], x + size)
    if top < bottom and left < right:
        part = np.s_[top - y : bottom - y, left - x : right - x]
        picture[top:bottom, left:right][mask[part]] = colours[part][mask[part]]


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
