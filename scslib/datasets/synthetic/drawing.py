"""Draw the frames of a synthetic video: backgrounds, camera, two actors."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np

from scslib.datasets.synthetic.plan import APART, MOVES, SIZES, SPEEDS, Shot, Synthetic


def draw_video(spec: Synthetic, number: int, shots: list[Shot]) -> Iterator[np.ndarray]:
    """The pictures of a video, uint8 RGB (H, W, 3), one after the other."""
    rng = np.random.default_rng([spec.seed, number, 1])
    encoding = spec.encoding
    # Added modulo 256: no colour of a scene is nearer than 10 to either end.
    grain = rng.integers(-2, 3, (4, encoding.height, encoding.width, 1)).astype(np.uint8)
    grain = grain.repeat(3, axis=3)
    frames = round(shots[-1].end_s * encoding.frame_rate)
    scene: _Scene | None = None
    current, cut_at = None, 0.0
    for number_of_frame in range(frames):
        now = number_of_frame / encoding.frame_rate
        shot = next((s for s in shots if s.start_s <= now < s.end_s), shots[-1])
        if scene is None or shot is not current or (shot.kind == "cuts" and now >= cut_at):
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
    spans = ((0.0, 6.28), (0.3, 1.0), (0.0, 6.28))
    angles, rates, phases = (rng.uniform(low, high, (2, 1)) for low, high in spans)
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
    square, diamond = np.maximum(abs(x), abs(y)) < 0.9, abs(x) + abs(y) < 1.1
    masks = [radius < 1, square, diamond, (radius < 1) & (radius > 0.35)]
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
