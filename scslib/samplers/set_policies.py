"""Policies that came after the paper: K of N clips, spread over time or unlike each other.

    InverseCdf    K levels of the cumulated saliency    BOLT, MGSampler, Uni-AdaFocus
    Aks           halves of the video until one part stands out, top K in each    AKS
    Mdp3          salient and unlike each other, by determinants    mDP3

`pick` gives min(K, N) different clip numbers, whatever the saliencies are. Saliencies have no unit;
`stretch` puts those of a video into 0..1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scslib.samplers.policies import checked, top_k

BANDWIDTHS = (1 / 8, 1 / 4, 1 / 2, 1, 2)  # of mDP3's kernel


def stretch(saliency: np.ndarray) -> np.ndarray:
    """(N,) in 0..1: the lowest saliency of the video is 0, the highest 1; all 1 where they are equal."""
    half = saliency / 2  # so that the difference of the largest numbers is still one
    low, high = half.min(), half.max()
    return (half - low) / (high - low) if high > low else np.ones(len(saliency))


@dataclass(frozen=True)
class InverseCdf:
    """K clips at equal levels of the cumulated saliency.

        saliency ^ power     _ # _ _ # # _ _        the higher, the more clips are taken there;
        levels               1   2     3 4          power 0: uniform, and the larger, the more like top K

    `power` 3 is BOLT's (Liu et al., CVPR 2025); 0.5, of motion alone, is MGSampler's (Zhi et al., ICCV
    2021). The levels are the middles of K equal parts, as there and in Uni-AdaFocus (Wang et al., TPAMI
    2024); BOLT has 1/K to 1 - 1/K. Two levels may fall on one clip: the later one moves on to the next.
    """

    power: float = 3.0

    def __post_init__(self):
        if not 0 <= self.power < np.inf:
            raise ValueError(f"power ({self.power}) must be >= 0 and finite")

    @property
    def name(self) -> str:
        return f"cdf{self.power:g}"

    def pick(self, saliency: np.ndarray, k: int) -> np.ndarray:
        """The chosen clips in order of time."""
        saliency, k = checked(saliency, k)
        mass = np.cumsum(stretch(saliency) ** self.power)
        levels = (np.arange(k) + 0.5) / k * mass[-1]
        return apart(np.searchsorted(mass, levels), len(saliency))


def apart(clips: np.ndarray, of: int) -> np.ndarray:
    """The ascending clip numbers `clips`, each moved on as little as makes them differ, below `of`."""
    later = np.maximum.accumulate(clips - np.arange(len(clips)))  # what is equal moves to the right
    return np.minimum(later, of - len(clips)) + np.arange(len(clips))


@dataclass(frozen=True)
class Aks:
    """Halve the video until the best clips of a part stand out; take the top K of each part.

    A part is halved while the mean of its best clips, as many as it may give, is not above the mean of
    all by more than `threshold`, `depth` times at most (Tang et al., CVPR 2025). A part gives its share
    of K: where the published code gives parts of depth 4 no clip at all (10 / 2^4, rounded down), the
    two halves here share what their whole had, and a half that is too short leaves the rest to the
    other.
    """

    threshold: float = 0.8
    depth: int = 5
    name: str = "aks"

    def pick(self, saliency: np.ndarray, k: int) -> np.ndarray:
        """The chosen clips in order of time."""
        saliency, k = checked(saliency, k)
        return np.sort(self._of_part(stretch(saliency), 0, k, self.depth))

    def _of_part(self, part: np.ndarray, first: int, k: int, depth: int) -> np.ndarray:
        if k == 0:
            return np.zeros(0, int)
        best = top_k(part, k)
        if depth == 0 or len(part) < 2 or part[best].mean() - part.mean() > self.threshold:
            return first + best
        middle = len(part) // 2
        left = min((k + 1) // 2, middle)
        left = max(left, k - (len(part) - middle))
        return np.concatenate(
            [
                self._of_part(part[:middle], first, left, depth - 1),
                self._of_part(part[middle:], first + middle, k - left, depth - 1),
            ]
        )


@dataclass(frozen=True)
class Mdp3:
    """Clips that are salient and unlike each other (mDP3, Sun et al., ICCV 2025), taken greedily.

    Each clip is the one that raises (2 / balance) * sum of r + log det k(S, S) most: r is the stretched
    saliency, k a sum of Gaussians of the distance of embeddings of length one. Of equal ones the first.
    The published code cuts long videos into stretches; here the video is one.
    """

    balance: float = 0.2
    name: str = "mdp3"

    def pick(self, saliency: np.ndarray, k: int, embeddings: np.ndarray) -> np.ndarray:
        """The chosen clips, the first taken first. embeddings: (N, D) of the clips."""
        saliency, k = checked(saliency, k)
        if embeddings.shape[:1] != saliency.shape:
            raise ValueError(
                f"embeddings {embeddings.shape} must have a row for each of {len(saliency)}"
            )
        kernel, worth = alikeness(embeddings), 2 / self.balance * stretch(saliency)
        rows, chosen = np.zeros((k, len(saliency))), np.zeros(k, int)
        left = kernel.diagonal().copy()  # what a clip adds to the determinant, beside those chosen
        for n in range(k):
            gain = worth + np.log(np.maximum(left, 1e-12))
            gain[chosen[:n]] = -np.inf
            chosen[n] = best = int(gain.argmax())
            rows[n] = (kernel[best] - rows[:n, best] @ rows[:n]) / np.sqrt(max(left[best], 1e-12))
            left -= rows[n] ** 2
        return chosen


def alikeness(embeddings: np.ndarray) -> np.ndarray:
    """(N, N) float64: the kernel of mDP3, the sum over its bandwidths a of exp(-distance^2 / 2a)."""
    points = np.asarray(embeddings, float)
    points = points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
    squared = ((points[:, None] - points[None]) ** 2).sum(2)
    return sum(np.exp(-squared / (2 * a)) for a in BANDWIDTHS)
