"""Random small video files: number NUMBER of SEED is always the same recipe.

    python -m tests.support.random_files SEED NUMBER OUT        makes one again, in the folder OUT

Container x codec x how it is shown x pixel shape x constant rate or not x start x gaps x B-frames x
fields x sound before, after, longer, with a hole. Frames carry their number, the sound its second (see
`coded`).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.support import fields
from tests.support.coded import RATE, SOUND_RATE, TICK, picture, tones

SIZES = ((64, 48), (80, 32), (48, 64))
CODECS = {  # codec: its options without and with B-frames
    "libx264": (
        {"preset": "ultrafast", "x264-params": "keyint=9:min-keyint=9:bframes=0"},
        {"preset": "ultrafast", "x264-params": "keyint=9:min-keyint=9:bframes=2:b-adapt=0"},
    ),
    "mpeg4": ({"g": "9", "qmin": "2", "qmax": "2"}, {"g": "9", "bf": "2", "qmin": "2", "qmax": "2"}),
    "libvpx": ({"g": "9", "deadline": "realtime", "cpu-used": "8"},) * 2,
    "flv": ({"g": "9", "qmin": "2", "qmax": "2"},) * 2,
    "fields": ({},) * 2,
}
# suffix: codecs of pictures, codec of sound, whether it holds a matrix, a rate that varies, a late start
CONTAINERS = {
    "mp4": (("libx264", "mpeg4", "fields"), "aac", True, True, True),
    "mov": (("libx264", "mpeg4"), "pcm_s16le", True, True, True),
    "mkv": (("libx264", "mpeg4", "libvpx", "fields"), "libmp3lame", True, True, True),
    "webm": (("libvpx",), "libopus", False, True, True),
    "ts": (("libx264", "mpeg4", "fields"), "aac", False, True, True),
    "avi": (("mpeg4",), "pcm_s16le", False, False, False),
    "flv": (("libx264", "flv"), "aac", False, True, True),
}
SOUNDS = ("none", "same", "before", "after", "longer", "shorter", "hole")


@dataclass(frozen=True)
class Recipe:
    """How one file is made.

    size: stored, (width, height). A picture is shown with left and right changed if `mirrored`, then
    turned by so many `quarters` anticlockwise. stamps: (F,) ticks of `coded.TICK`.
    """

    suffix: str
    codec: str
    b_frames: bool
    size: tuple[int, int]
    quarters: int
    mirrored: bool
    aspect: Fraction
    pace: str
    stamps: tuple[int, ...]
    sound: str

    @property
    def name(self) -> str:
        kind = [self.codec, "b" if self.b_frames else "p", self.pace, self.sound, str(self.quarters)]
        return f"{'-'.join(kind)}.{self.suffix}"


def recipe(seed: int, number: int) -> Recipe:
    """What file `number` is: containers and codecs in turn, all else by chance."""
    rng = np.random.default_rng([seed, number])
    suffix = list(CONTAINERS)[number % len(CONTAINERS)]
    codecs, _, turns, varies, late = CONTAINERS[suffix]
    codec = codecs[number // len(CONTAINERS) % len(codecs)]
    frames = int(rng.integers(9, 40))
    pace = str(rng.choice(["constant", "jitter", "gap"])) if varies and codec != "fields" else "constant"
    start = int(rng.choice([0, 0, 3000, 60_000])) if late and codec != "fields" else 0
    apart = np.full(frames, 1000)
    if pace == "jitter":
        apart = rng.integers(400, 2000, frames)
    if pace == "gap":
        apart[rng.integers(1, frames, 2)] = rng.integers(5_000, 30_000, 2)
    stamps = start + np.concatenate([[0], np.cumsum(apart[1:])])
    if codec == "fields":
        stamps = np.arange(frames) * 480  # 25 a second
    b_frames = bool(rng.random() < 0.5) and codec in ("libx264", "mpeg4") and suffix != "avi"
    shaped = codec in ("mpeg4", "libx264") and suffix in ("mp4", "mov", "mkv")
    return Recipe(
        suffix=suffix,
        codec=codec,
        b_frames=b_frames,
        size=SIZES[rng.integers(len(SIZES))] if codec != "fields" else (64, 48),
        quarters=int(rng.integers(4)) if turns and codec != "fields" else 0,
        mirrored=turns and codec != "fields" and bool(rng.random() < 0.3),
        aspect=Fraction(4, 3) if shaped and rng.random() < 0.3 else Fraction(1),
        pace=pace,
        stamps=tuple(int(s) for s in stamps),
        sound=str(rng.choice(SOUNDS)) if codec != "fields" else "none",
    )


def matrix(recipe: Recipe) -> list[int]:
    """What a container tells of how pictures are shown: 3 x 3, row by row, 16 bits after the point."""
    quarter, mirror = np.array([[0, 1], [-1, 0]]), np.diag([-1 if recipe.mirrored else 1, 1])
    (a, c), (b, d) = (np.linalg.matrix_power(quarter, recipe.quarters) @ mirror).tolist()
    return [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30]


def as_stored(recipe: Recipe, shown: np.ndarray) -> np.ndarray:
    """A picture as it is shown, turned back."""
    stored = np.rot90(shown, -recipe.quarters)
    return stored[:, ::-1] if recipe.mirrored else stored


def pieces(recipe: Recipe) -> list[tuple[np.ndarray, float]]:
    """The sound: (samples, the second at which they begin), tone n in second n of the film."""
    first = float(recipe.stamps[0] * TICK)
    last = float(recipe.stamps[-1] * TICK) + 1 / RATE
    spans = {
        "none": [],
        "same": [(first, last)],
        "before": [(max(0.0, first - 1), (first + last) / 2)],
        "after": [((first + last) / 2, last + 1)],
        "longer": [(first, last + 2)],
        "shorter": [(first, (first + last) / 2)],
        "hole": [(first, first + (last - first) / 3), (first + (last - first) * 2 / 3, last)],
    }[recipe.sound]
    whole, out = tones(last + 4), []
    for begin, end in spans:
        first, stop = round(begin * SOUND_RATE), round(end * SOUND_RATE)
        out.append((whole[first:stop], first / SOUND_RATE))
    return out


def write(recipe: Recipe, folder: Path) -> Path:
    path = folder / recipe.name
    if recipe.codec == "fields":
        return fields.write(path, range(len(recipe.stamps)), together=recipe.suffix != "ts")
    with av.open(str(path), "w") as container:
        options = CODECS[recipe.codec][recipe.b_frames]
        stream = container.add_stream(recipe.codec, rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = *recipe.size, "yuv420p"
        stream.codec_context.thread_count = 1
        tick = Fraction(1, RATE) if recipe.suffix == "avi" else TICK
        stream.codec_context.time_base = tick
        if recipe.aspect != 1:
            stream.codec_context.sample_aspect_ratio = recipe.aspect
        if recipe.quarters or recipe.mirrored:
            stream.set_display_matrix(matrix(recipe))
        sounds, track = pieces(recipe), None
        if sounds:
            coding = CONTAINERS[recipe.suffix][1]
            rate = 48_000 if coding == "libopus" else SOUND_RATE
            track = container.add_stream(coding, rate=rate, layout="mono")
        packets = []
        for number, stamp in enumerate(recipe.stamps):
            frame = av.VideoFrame.from_ndarray(picture(number, *recipe.size), format="rgb24")
            frame.pts, frame.time_base = round(stamp * TICK / tick), tick
            packets += stream.encode(frame)
        packets += stream.encode(None)
        if sounds:
            packets += _sound(track, sounds)
        packets.sort(key=lambda p: (p.dts if p.dts is not None else p.pts) * p.time_base)
        for packet in packets:
            container.mux(packet)
    return path


def _sound(track, sounds: list[tuple[np.ndarray, float]]) -> list:
    packets = []
    resampler = av.AudioResampler(track.codec_context.format, "mono", track.rate, 960)
    for samples, at_s in sounds:
        whole = len(samples) - len(samples) % 960
        for begin in range(0, whole, 960):
            part = np.ascontiguousarray(samples[None, begin : begin + 960])
            frame = av.AudioFrame.from_ndarray(part, format="flt", layout="mono")
            frame.sample_rate, frame.time_base = SOUND_RATE, Fraction(1, SOUND_RATE)
            frame.pts = round(at_s * SOUND_RATE) + begin
            for out in resampler.resample(frame):
                packets += track.encode(out)
    for out in resampler.resample(None):
        packets += track.encode(out)
    return packets + track.encode(None)


if __name__ == "__main__":
    seed, number = map(int, sys.argv[1:3])
    print(recipe(seed, number))
    print(write(recipe(seed, number), Path(sys.argv[3])))
