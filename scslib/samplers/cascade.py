"""Three-stage sampler: packet sizes, then I-frames and audio, then all features.

    packets   compressed bytes of all N clips     nothing is decoded; those with the fewest drop out
    scouts    I-frames of what is left            only keyframes are decoded
              sound of the best of these
    judge     vectors and residuals               of the best `candidates` x K clips

The paper's samplers read all of every video, which costs as much as decoding it. Where the classifier
is quick, as on today's accelerators, that is most of the whole time. The scouts are two of the paper's
networks, each trained alone (`iframes`, `audio`); the judge is any of its samplers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scslib.jobs.clock import Clock
from scslib.samplers import policies
from scslib.samplers.base import Features, FileScores, Setting, register_maker
from scslib.samplers.features import FeatureSpec
from scslib.samplers.fusion import as_saliency
from scslib.samplers.learned import NetworkSampler
from scslib.video.clips import ClipIndex

CASCADE_NETWORKS = ("iframes", "audio", "joint")  # the networks
# a sampler and ascending clip numbers, to (the clips that could be read, their saliencies)
Score = Callable[[NetworkSampler, np.ndarray], FileScores]


@dataclass(frozen=True, eq=False)
class Cascade:
    """The stages, and how much each lets through.

    packets: the share of all clips, 0..1, that have the most bytes and go to the first scout; scouted:
    the share of its clips that each scout sends on to the next one; candidates: how many clips the judge
    sees, times k. Nobody sends on fewer than the judge sees.
    """

    name: str
    scouts: tuple[NetworkSampler, ...]
    judge: NetworkSampler
    k: int
    packets: float = 0.75
    scouted: float = 0.25
    candidates: float = 2.0

    def __post_init__(self):
        for name in ("packets", "scouted"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} ({getattr(self, name)}) must be in (0, 1]")
        if self.candidates < 1:
            raise ValueError(f"candidates ({self.candidates}) must be >= 1")

    @property
    def modalities(self) -> tuple[str, ...]:
        stages = (*self.scouts, self.judge)
        return tuple(dict.fromkeys(m for sampler in stages for m in sampler.modalities))

    def saliency(self, features: Features, video_id: str) -> np.ndarray:
        """The saliency, (N,) float64, from features that were read before: only the order of clips
        means anything.
        """

        def score(sampler: NetworkSampler, clips: np.ndarray) -> FileScores:
            return FileScores(clips, sampler.saliency(features, video_id, clips.tolist()))

        order = self._order(features.get(video_id, "bytes"), features.has(video_id, "audio"), score)
        return as_saliency(order, len(order))

    def embeddings(self, features: Features, video_id: str) -> None:
        """No embeddings: None, since not all clips reach a network."""

    def score_file(
        self,
        index: ClipIndex,
        spec: FeatureSpec,
        *,
        threads: int = 1,
        clock: Clock | None = None,
        embed: bool = False,
    ) -> FileScores:
        """The saliency of a file's clips. A stage reads only what it needs; no embeddings."""
        clock = clock or Clock()

        def score(sampler: NetworkSampler, clips: np.ndarray) -> FileScores:
            return sampler.score_file(index, spec, clips.tolist(), threads=threads, clock=clock)

        heard = index.info.has_audio
        order = self._order(index.clip_bytes, heard, score)
        clips = np.sort(order)
        return FileScores(clips, as_saliency(order, len(index))[clips])

    def _order(self, size: np.ndarray, heard: bool, score: Score) -> np.ndarray:
        """Clip numbers, the best first: judged ones, those the last scout saw, the first, the rest."""
        least = round(self.candidates * self.k)
        orders = [policies.top_k(size, len(size))]
        share, said = self.packets, []
        for scout in self.scouts:
            if scout.modalities == ("audio",) and not heard:
                continue
            sent = orders[0][: max(least, round(share * len(orders[0])))]
            said.append(score(scout, np.sort(sent)))
            clips = said[-1].clips
            standard = (_standard(f.saliency[np.searchsorted(f.clips, clips)]) for f in said)
            worth = sum(standard, np.zeros(len(clips)))
            orders.insert(0, clips[policies.top_k(worth, len(clips))])
            share = self.scouted
        judged = score(self.judge, np.sort(orders[0][:least]))
        best = judged.clips[policies.top_k(judged.saliency, len(judged.clips))]
        order = np.concatenate([best, *orders])
        return order[np.sort(np.unique(order, return_index=True)[1])]


@register_maker("cascade", needs="networks")
def make_cascade(
    setting: Setting, *, packets: float = 0.75, scouted: float = 0.25, candidates: float = 2.0
) -> Cascade:
    """The cascade of a run's networks: I-frames and sound scout, the joint network judges.

    Of `learned.NetworkScores` only its `saliency` can be asked for, not `score_file`.
    """
    *scouts, judge = (setting.averaged(name, (name,)) for name in CASCADE_NETWORKS)
    return Cascade("cascade", tuple(scouts), judge, setting.k, packets, scouted, candidates)


def _standard(saliency: np.ndarray) -> np.ndarray:
    """Mean 0 and deviation 1 over a video: RANK's scores have no common unit."""
    return (saliency - saliency.mean()) / max(saliency.std(), 1e-9)
