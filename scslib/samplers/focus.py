"""FOCUS: a sampler that scores few clips, as a bandit over stretches of time (Zhu et al., ICLR 2026).

    coarse   the video in arms of 16 s, at least 8; of each the middle clip and two by lot are scored
    rank     arms by an upper bound of their mean: mean + sqrt(2 ln n var / m) + 3 ln n / m
    fine     the best quarter of the arms, at least 4: about a clip a second, half evenly, half by lot
    choose   a fifth of K by score; the rest evenly over the best quarter of the arms

n are all scores so far, m those of the arm. The bound uses the fine scores, too, as the paper says; the
published code never folds them in. Its scores lie in 0..1 and ours have no unit, so those of a video
are stretched to that. Inside an arm the rest is drawn by softmax(score / 0.06), clips at least a gap
apart; a clip that was not scored counts as the nearest one that was. The gap is min(1 s, a quarter of
the mean spacing), and is given up where it leaves too few clips.
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
from scslib.samplers.set_policies import stretch
from scslib.video.clips import ClipIndex

ARM_S, LEAST_ARMS, LEAST_FINE = 16.0, 8, 4
TEMPERATURE, LONGEST_GAP_S, BEST_SHARE = 0.06, 1.0, 0.2
# ascending clip numbers, to (those that could be read, their saliencies)
ScoreClips = Callable[[np.ndarray], FileScores]


@dataclass(frozen=True, eq=False)
class Focus:
    """A sampler that looks at a few clips of each stretch.

    It looks at more where these say most; `judge` scores them. Its saliency is an order: the K clips
    that it picks first, then others that were scored.
    """

    judge: NetworkSampler
    k: int
    name: str = "focus"

    @property
    def modalities(self) -> tuple[str, ...]:
        return self.judge.modalities

    def saliency(self, features: Features, video_id: str) -> np.ndarray:
        """The saliency, (N,) float64, from features that were read before: only the order of clips
        means anything.
        """

        def score(clips: np.ndarray) -> FileScores:
            return FileScores(clips, self.judge.saliency(features, video_id, clips.tolist()))

        order = self.order(features.get(video_id, "times"), score)
        return as_saliency(order, len(order))

    def embeddings(self, features: Features, video_id: str) -> None:
        """No embeddings: None, since few clips reach a network."""

    def score_file(
        self,
        index: ClipIndex,
        spec: FeatureSpec,
        *,
        threads: int = 1,
        clock: Clock | None = None,
        embed: bool = False,
    ) -> FileScores:
        """The saliency of a file, of which only the scored clips are read."""

        def score(clips: np.ndarray) -> FileScores:
            return self.judge.score_file(index, spec, clips.tolist(), threads=threads, clock=clock)

        times = np.array([clip[1:] for clip in index.clips], float).reshape(-1, 2)
        order = self.order(times, score)
        clips = np.sort(order)
        return FileScores(clips, as_saliency(order, len(index))[clips])

    def order(self, times: np.ndarray, score: ScoreClips) -> np.ndarray:
        """Clip numbers in order: the picked ones first, then those scored, the best first, then the
        rest.

        times: (N, 2) seconds. Clips that `score` was asked for and could not read are left out.
        """
        clips, rng = len(times), policies.draws("focus", len(times), self.k)
        arms = arms_of(times)
        coarse = np.unique(np.concatenate([_coarse(arm, rng) for arm in arms]))
        known = score(coarse)
        best = _best(arms, known)
        fine = np.unique(np.concatenate([_fine(arms[a], times, rng) for a in best]))
        more = score(np.setdiff1d(fine, known.clips))
        known = _both(known, more)
        best = _best(arms, known)
        lost = np.setdiff1d(np.union1d(coarse, fine), known.clips)
        picked = self._pick([np.setdiff1d(arms[a], lost) for a in best], known, times, rng)
        scored = (
            known.clips[policies.top_k(known.saliency, len(known.clips))] if len(known.clips) else []
        )
        rest = np.setdiff1d(np.arange(clips), lost)
        order = np.concatenate([picked, scored, rest]).astype(int)
        return order[np.sort(np.unique(order, return_index=True)[1])]

    def _pick(
        self, arms: list[np.ndarray], known: FileScores, times: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """A fifth of K by score, and the rest evenly over these arms."""
        if not len(known.clips):
            return np.zeros(0, int)
        value = _everywhere(known, len(times))
        first = known.clips[policies.top_k(known.saliency, max(1, round(BEST_SHARE * self.k)))]
        picked, centre = list(first[: self.k]), times.mean(1)
        spacing = float(times[-1, 1] - times[0, 0]) / self.k
        for gap in (min(LONGEST_GAP_S, spacing / 4), 0.0):
            for share, arm in enumerate(arms):
                wanted = len(first) + round((self.k - len(first)) * (share + 1) / len(arms))
                free = np.setdiff1d(arm, picked)
                while len(picked) < wanted and len(free):
                    weights = np.exp((value[free] - value[free].max()) / TEMPERATURE)
                    clip = int(rng.choice(free, p=weights / weights.sum()))
                    picked.append(clip)
                    far = np.abs(centre[free] - centre[clip]) >= gap
                    free = free[far & (free != clip)]
        return np.array(picked[: self.k], int)


def arms_of(times: np.ndarray) -> list[np.ndarray]:
    """The clip numbers of each arm: equal stretches of about 16 s, at least 8 where there are clips."""
    length = float(times[-1, 1] - times[0, 0])
    count = min(len(times), max(LEAST_ARMS, round(length / ARM_S)))
    place = (times.mean(1) - times[0, 0]) / max(length, 1e-9) * count
    arm = np.clip(place.astype(int), 0, count - 1)
    return [clips for a in range(count) if len(clips := np.flatnonzero(arm == a))]


def upper_bound(scores: np.ndarray, total: int) -> float:
    """The upper bound of an arm: mean + sqrt(2 ln n var / m) + 3 ln n / m of its m `scores` in 0..1; n:
    `total`.
    """
    m, log = len(scores), np.log(max(total, 2))
    return float(scores.mean() + np.sqrt(2 * log * scores.var() / m) + 3 * log / m)


def _best(arms: list[np.ndarray], known: FileScores) -> list[int]:
    """The quarter of the arms with the highest bounds, at least 4; arms without a score come last."""
    value = stretch(known.saliency) if len(known.clips) else known.saliency
    bounds = []
    for arm in arms:
        own = value[np.isin(known.clips, arm)]
        bounds.append(upper_bound(own, len(value)) if len(own) else -np.inf)
    count = min(len(arms), max(LEAST_FINE, len(arms) // 4))
    return np.argsort(-np.array(bounds), kind="stable")[:count].tolist()


def _coarse(arm: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The middle clip of an arm, and two others by lot."""
    middle = arm[len(arm) // 2]
    others = arm[arm != middle]
    return np.append(rng.choice(others, min(2, len(others)), replace=False), middle)


def _fine(arm: np.ndarray, times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """About a clip a second of an arm, half evenly and half by lot."""
    seconds = float(times[arm[-1], 1] - times[arm[0], 0])
    count = min(len(arm), max(1, round(seconds)))
    evenly = arm[policies.uniform(len(arm), -(-count // 2))]
    others = np.setdiff1d(arm, evenly)
    return np.concatenate([evenly, rng.choice(others, min(count // 2, len(others)), replace=False)])


def _both(one: FileScores, other: FileScores) -> FileScores:
    clips = np.concatenate([one.clips, other.clips])
    order = np.argsort(clips)
    return FileScores(clips[order], np.concatenate([one.saliency, other.saliency])[order])


def _everywhere(known: FileScores, clips: int) -> np.ndarray:
    """(N,) in 0..1: of a clip that was not scored the value of the nearest one that was."""
    middles = (known.clips[1:] + known.clips[:-1]) / 2
    return stretch(known.saliency)[np.searchsorted(middles, np.arange(clips))]


@register_maker("focus", needs="networks")
def make_focus(setting: Setting) -> Focus:
    """FOCUS with the joint network of a run as its judge."""
    return Focus(setting.averaged("audio-visual", ("joint",)), setting.k)
