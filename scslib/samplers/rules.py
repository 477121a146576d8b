"""Samplers without training: functions of what was read of a video's clips.

The paper's samplers have to beat them. None looks at a label, but for `empirical`, which knows f's
scores of the training videos. A test bed on which a rule comes near a trained sampler asks for no
learning.

    empirical        a prior over the place in the video          learnt once, costs nothing
    packet-size      compressed bytes of the clip's frames        nothing is decoded
    motion-energy    mean length of the P-frames' vectors         vectors only
    local-motion     the longest mean vector of 3 x 3 cells       vectors, less the frame's median
    moving-area      share of the cells that move                 the same
    still-contrast   how much a spot stands out in an I-frame     I-frames only
    loudest-band     the loudest pitch above the median one       sound only

A rule of your own is a function with `@register_sampler` before it, as below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from scslib.jobs.clock import Clock
from scslib.samplers.base import Features, FileScores, Setting, register
from scslib.samplers.features import FeatureSpec, read_video
from scslib.video.clips import ClipIndex


@dataclass(frozen=True, eq=False)
class Clips:
    """What was read of the N clips of one video; see `features.VideoFeatures` for shapes and units."""

    features: Features
    video_id: str

    def __len__(self) -> int:
        return len(self.times)

    @property
    def times(self) -> np.ndarray:
        """(N, 2) float64: start and end in seconds."""
        return self.features.get(self.video_id, "times")

    @property
    def bytes(self) -> np.ndarray:
        """(N,) int64: compressed size."""
        return self.features.get(self.video_id, "bytes")

    @property
    def motion(self) -> np.ndarray:
        """(N, T, h, w, 2) float32: where the blocks of each frame came from, in pixels a frame."""
        return self.features.get(self.video_id, "motion").astype(np.float32)

    @property
    def residual(self) -> np.ndarray:
        """(N, T, h, w, 3) float32: what was left to correct, in levels of 0..255."""
        return self.features.get(self.video_id, "residual").astype(np.float32)

    @property
    def predicted(self) -> np.ndarray:
        """(N, T) bool: which frames are P-frames; the others have no vectors and no residual."""
        return self.features.get(self.video_id, "predicted")

    @property
    def iframes(self) -> list[np.ndarray]:
        """N arrays (S, H, W, 3) uint8 RGB: the I-frames of each clip, or the last one before it."""
        first = self.features.get(self.video_id, "iframe_start")
        frames = self.features.get(self.video_id, "iframes")
        return [frames[a:b] for a, b in zip(first, first[1:], strict=False)]

    @property
    def audio(self) -> np.ndarray:
        """(N, 200, 40) float32: log-mel energy by time and pitch, around each clip."""
        return self.features.get(self.video_id, "audio").astype(np.float32)


@dataclass(frozen=True, eq=False)
class Rule:
    """A sampler that is a function from `Clips` to a saliency (N,)."""

    name: str
    modalities: tuple[str, ...]
    rule: Callable[[Clips], np.ndarray]

    def saliency(self, features: Features, video_id: str) -> np.ndarray:
        """(N,) float64; see `base.Sampler`."""
        return np.asarray(self.rule(Clips(features, video_id)), float)

    def score_file(
        self, index: ClipIndex, spec: FeatureSpec, *, threads: int = 1, clock: Clock | None = None
    ) -> FileScores:
        """The same of a file; see `base.Sampler`."""
        clock = clock or Clock()
        features = clock("read_s", read_video, index, spec, self.modalities, threads=threads)
        saliency = clock("sampler_s", self.saliency, features, "")
        return FileScores(features.get("", "clip"), saliency)


def register_sampler(
    name: str, *, reads: tuple[str, ...] = ()
) -> Callable[[Callable[[Clips], np.ndarray]], Callable[[Clips], np.ndarray]]:
    """Make a function from `Clips` to a saliency (N,) the sampler `name`.

    reads: what it looks at, of `models.modalities.MODALITIES`; empty: times and bytes only.
    """

    def keep(rule: Callable[[Clips], np.ndarray]) -> Callable[[Clips], np.ndarray]:
        register(name)(lambda setting: Rule(name, tuple(reads), rule))
        return rule

    return keep


@register("empirical", needs="targets")
def _empirical(setting: Setting) -> Rule:
    return empirical(setting.targets)


@register_sampler("packet-size")
def packet_size(clips: Clips) -> np.ndarray:
    """Compressed bytes: what is hard to predict is expensive to store."""
    return clips.bytes


@register_sampler("motion-energy", reads=("motion",))
def motion_energy(clips: Clips) -> np.ndarray:
    """The mean length of the motion vectors, in pixels a frame."""
    motion = clips.motion
    return _over_p_frames(np.hypot(motion[..., 0], motion[..., 1]).mean((2, 3)), clips)


@register_sampler("local-motion", reads=("motion",))
def local_motion(clips: Clips) -> np.ndarray:
    """The longest mean vector of any 3 x 3 cells, once the camera's motion is taken off."""
    near = (1, 1, 3, 3, 1)
    mean = ndimage.uniform_filter(_own_motion(clips), near, mode="constant")
    return _over_p_frames(np.hypot(mean[..., 0], mean[..., 1]).max((2, 3)), clips)


@register_sampler("moving-area", reads=("motion",))
def moving_area(clips: Clips) -> np.ndarray:
    """The share of cells that move by more than a pixel against the camera."""
    own = _own_motion(clips)
    return _over_p_frames((np.hypot(own[..., 0], own[..., 1]) > 1).mean((2, 3)), clips)


@register_sampler("still-contrast", reads=("iframes",))
def still_contrast(clips: Clips) -> np.ndarray:
    """How much one spot stands out: the peak of the spectral residual (Hou and Zhang, CVPR 2007)."""
    return np.array([np.mean([_stands_out(frame) for frame in frames]) for frames in clips.iframes])


@register_sampler("loudest-band", reads=("audio",))
def loudest_band(clips: Clips) -> np.ndarray:
    """How much louder the loudest of the 40 pitches is than the median one."""
    loud = clips.audio.mean(1)  # (N, pitches), log
    return loud.max(1) - np.median(loud, 1)


def _over_p_frames(values: np.ndarray, clips: Clips) -> np.ndarray:
    """(N,) means of `values` (N, T) over each clip's P-frames; I-frames have no vectors."""
    moved = clips.predicted
    return (values * moved).sum(1) / np.maximum(moved.sum(1), 1)


def _own_motion(clips: Clips) -> np.ndarray:
    """(N, T, h, w, 2) vectors in pixels less the median of their frame, which is the camera's motion."""
    motion = clips.motion
    return motion - np.median(motion, axis=(2, 3), keepdims=True)


def _stands_out(picture: np.ndarray) -> float:
    spectrum = np.fft.fft2(picture.astype(float).mean(2))
    strength = np.log(np.abs(spectrum) + 1e-9)
    unusual = strength - ndimage.uniform_filter(strength, 3, mode="wrap")
    spots = np.abs(np.fft.ifft2(np.exp(unusual + 1j * np.angle(spectrum)))) ** 2
    spots = ndimage.gaussian_filter(spots, 2.5)
    return float(spots.max() / spots.mean())


def empirical(targets: Iterable[np.ndarray], *, bins: int = 10) -> Rule:
    """The paper's Empirical (sec. 4): which places in a video are worth looking at, on average.

    targets: f's probability of the true class of every clip, (N,) for each training video. The prior
    is their mean in each of `bins` equal parts of the video's length; between the middles of the parts
    it is interpolated. Raises `ValueError` without training videos and for bins below 1.
    """
    if bins < 1:
        raise ValueError(f"bins ({bins}) must be > 0")
    total, count = np.zeros(bins), np.zeros(bins)
    for scores in targets:
        part = (_place(len(scores)) * bins).astype(int)
        np.add.at(total, part, scores)
        np.add.at(count, part, 1)
    if not count.any():
        raise ValueError("targets (empty) must have at least one training video")
    middle, known = (np.arange(bins) + 0.5) / bins, count > 0
    prior = total[known] / count[known]

    return Rule("empirical", (), lambda clips: np.interp(_place(len(clips)), middle[known], prior))


def _place(clips: int) -> np.ndarray:
    """(N,) the middle of each clip as a part of the video's length, in 0..1."""
    return (np.arange(clips) + 0.5) / clips
