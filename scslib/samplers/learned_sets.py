"""A sampler that has learnt which clips make f right together; see `training.sets`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from scslib.jobs.clock import Clock
from scslib.models.temporal import TemporalHead
from scslib.samplers.base import Features, FileScores, Sampler
from scslib.samplers.features import FeatureSpec
from scslib.video.clips import ClipIndex


@dataclass(frozen=True, eq=False)
class SetSampler:
    """The head's softmax over the clips, from embeddings of the sampler `of`; top K: the learnt set."""

    name: str
    of: Sampler
    head: TemporalHead

    @property
    def modalities(self) -> tuple[str, ...]:
        return self.of.modalities

    def saliency(self, features: Features, video_id: str) -> np.ndarray:
        """The saliency, (N,) float64; see `base.Sampler`. Raises `ValueError` for a sampler without
        embeddings.
        """
        return self._softmax(self.of.embeddings(features, video_id))

    def embeddings(self, features: Features, video_id: str) -> np.ndarray | None:
        """Those of `of`."""
        return self.of.embeddings(features, video_id)

    def score_file(
        self,
        index: ClipIndex,
        spec: FeatureSpec,
        *,
        threads: int = 1,
        clock: Clock | None = None,
        embed: bool = False,
    ) -> FileScores:
        """The saliency of a file's clips; see `base.Sampler`."""
        clock = clock or Clock()
        found = self.of.score_file(index, spec, threads=threads, clock=clock, embed=True)
        saliency = clock("sampler_s", self._softmax, found.embeddings)
        return FileScores(found.clips, saliency, found.embeddings if embed else None)

    @torch.inference_mode()
    def _softmax(self, embeddings: np.ndarray | None) -> np.ndarray:
        if embeddings is None:
            raise ValueError(f"sampler ({self.name!r}): {self.of.name} has no embeddings")
        if not len(embeddings):
            return np.zeros(0)
        return self.head(torch.from_numpy(embeddings).float()).double().softmax(0).numpy()
