"""Saliency without a network: what the paper's samplers have to beat, and what costs even less.

A baseline has the `name`, `modalities` and `saliency(features, video_id)` of a `saliency.ClipSampler`,
so that tables and timings take both. None of them looks at sound or at a label.

    packet-size     compressed bytes of the clip's frames        nothing is decoded
    motion-energy   mean length of the P-frames' vectors         vectors only
    empirical       a prior over the place in the video          learnt once, costs nothing
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from scslib.clock import Clock
from scslib.features import FeatureSpec, VideoFeatures, read_video
from scslib.saliency import FileScores
from scslib.shards import Shards
from scslib.video.clips import ClipIndex

Features = Shards | VideoFeatures


@dataclass(frozen=True, eq=False)
class Baseline:
    """A rule that gives every clip of a video a saliency, from what `modalities` say is read of it."""

    name: str
    modalities: tuple[str, ...]
    saliency: Callable[[Features, str], np.ndarray]

    def score_file(
        self, index: ClipIndex, spec: FeatureSpec, *, threads: int = 1, clock: Clock | None = None
    ) -> FileScores:
        """The saliency of a file's clips; see `saliency.ClipSampler.score_file`."""
        clock = clock or Clock()
        features = clock("read_s", read_video, index, spec, self.modalities, threads=threads)
        saliency = clock("sampler_s", self.saliency, features, "")
        return FileScores(features.get("", "clip"), saliency)


def packet_size() -> Baseline:
    """Rank clips by their bytes in the file: what is hard to predict is expensive to store."""
    return Baseline("packet-size", (), lambda features, v: features.get(v, "bytes").astype(float))


def motion_energy() -> Baseline:
    """Rank clips by the mean length of their motion vectors, in pixels a frame."""
    return Baseline("motion-energy", ("motion",), _motion_energy)


def _motion_energy(features: Features, video_id: str) -> np.ndarray:
    motion = features.get(video_id, "motion").astype(np.float32)
    moved = features.get(video_id, "predicted")
    speed = np.hypot(motion[..., 0], motion[..., 1]).mean((2, 3))  # (N, T); I-frames have no vectors
    return (speed * moved).sum(1) / np.maximum(moved.sum(1), 1)


def empirical(targets: Iterable[np.ndarray], *, bins: int = 10) -> Baseline:
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

    return Baseline("empirical", (), saliency)


def _place(clips: int) -> np.ndarray:
    """(N,) the middle of each clip as a part of the video's length, in 0..1."""
    return (np.arange(clips) + 0.5) / clips
