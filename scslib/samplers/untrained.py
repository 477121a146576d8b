"""Saliency without a network: what the paper's samplers have to beat, and what costs even less.

A baseline has the `name`, `modalities` and `saliency(features, video_id)` of a `learned.LearnedSampler`,
so that tables and timings take both. None of them looks at a label. A test bed on which one of the rules
without training comes near a trained sampler asks for no learning: see `rules`.

    empirical        a prior over the place in the video          learnt once, costs nothing
    packet-size      compressed bytes of the clip's frames        nothing is decoded
    motion-energy    mean length of the P-frames' vectors         vectors only
    local-motion     the longest mean vector of 3 x 3 cells       vectors, less the frame's median
    moving-area      share of the cells that move                 the same
    still-contrast   how much a spot stands out in an I-frame     I-frames only
    loudest-band     the loudest pitch above the median one       sound only
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from scslib.jobs.clock import Clock
from scslib.jobs.shard_files import Shards
from scslib.samplers.features import FeatureSpec, VideoFeatures, read_video
from scslib.samplers.learned import FileScores
from scslib.video.clips import ClipIndex

Features = Shards | VideoFeatures


@dataclass(frozen=True, eq=False)
class Rule:
    """A rule that gives every clip of a video a saliency, from what `modalities` say is read of it."""

    name: str
    modalities: tuple[str, ...]
    saliency: Callable[[Features, str], np.ndarray]

    def score_file(
        self, index: ClipIndex, spec: FeatureSpec, *, threads: int = 1, clock: Clock | None = None
    ) -> FileScores:
        """The saliency of a file's clips; see `learned.LearnedSampler.score_file`."""
        clock = clock or Clock()
        features = clock("read_s", read_video, index, spec, self.modalities, threads=threads)
        saliency = clock("sampler_s", self.saliency, features, "")
        return FileScores(features.get("", "clip"), saliency)


def rules() -> list[Rule]:
    """Every baseline that needs no training at all."""
    return [
        packet_size(),
        motion_energy(),
        Rule("local-motion", ("motion",), _local_motion),
        Rule("moving-area", ("motion",), _moving_area),
        Rule("still-contrast", ("iframes",), _still_contrast),
        Rule("loudest-band", ("logmel",), _loudest_band),
    ]


def packet_size() -> Rule:
    """Rank clips by their bytes in the file: what is hard to predict is expensive to store."""
    return Rule("packet-size", (), lambda features, v: features.get(v, "bytes").astype(float))


def motion_energy() -> Rule:
    """Rank clips by the mean length of their motion vectors, in pixels a frame."""
    return Rule("motion-energy", ("motion",), _motion_energy)


def _motion_energy(features: Features, video_id: str) -> np.ndarray:
    motion = features.get(video_id, "motion").astype(np.float32)
    return _over_p_frames(np.hypot(motion[..., 0], motion[..., 1]).mean((2, 3)), features, video_id)


def _over_p_frames(values: np.ndarray, features: Features, video_id: str) -> np.ndarray:
    """(N,) means of `values` (N, T) over each clip's P-frames; I-frames have no vectors."""
    moved = features.get(video_id, "predicted")
    return (values * moved).sum(1) / np.maximum(moved.sum(1), 1)


def _own_motion(features: Features, video_id: str) -> np.ndarray:
    """(N, T, h, w, 2) vectors in pixels less the median of their frame, which is the camera's motion."""
    motion = features.get(video_id, "motion").astype(np.float32)
    return motion - np.median(motion, axis=(2, 3), keepdims=True)


def _local_motion(features: Features, video_id: str) -> np.ndarray:
    near = (1, 1, 3, 3, 1)
    mean = ndimage.uniform_filter(_own_motion(features, video_id), near, mode="constant")
    longest = np.hypot(mean[..., 0], mean[..., 1]).max((2, 3))
    return _over_p_frames(longest, features, video_id)


def _moving_area(features: Features, video_id: str) -> np.ndarray:
    own = _own_motion(features, video_id)
    return _over_p_frames((np.hypot(own[..., 0], own[..., 1]) > 1).mean((2, 3)), features, video_id)


def _still_contrast(features: Features, video_id: str) -> np.ndarray:
    """By the spectral residual of each I-frame (Hou and Zhang, CVPR 2007): its peak above its mean."""
    first = features.get(video_id, "iframe_start")
    found = [_stands_out(picture) for picture in features.get(video_id, "iframes")]
    return np.array([np.mean(found[a:b]) for a, b in zip(first, first[1:], strict=False)])


def _stands_out(picture: np.ndarray) -> float:
    spectrum = np.fft.fft2(picture.astype(float).mean(2))
    strength = np.log(np.abs(spectrum) + 1e-9)
    unusual = strength - ndimage.uniform_filter(strength, 3, mode="wrap")
    spots = np.abs(np.fft.ifft2(np.exp(unusual + 1j * np.angle(spectrum)))) ** 2
    spots = ndimage.gaussian_filter(spots, 2.5)
    return float(spots.max() / spots.mean())


def _loudest_band(features: Features, video_id: str) -> np.ndarray:
    loud = features.get(video_id, "logmel").astype(np.float32).mean(1)  # (N, bands), log
    return loud.max(1) - np.median(loud, 1)


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

    def saliency(features: Features, video_id: str) -> np.ndarray:
        return np.interp(_place(len(features.get(video_id, "times"))), middle[known], prior)

    return Rule("empirical", (), saliency)


def _place(clips: int) -> np.ndarray:
    """(N,) the middle of each clip as a part of the video's length, in 0..1."""
    return (np.arange(clips) + 0.5) / clips
