"""Policies that came after the paper: K of N clips, spread over time or unlike each other.

    cdf3, cdf0.5, ...   K levels of the cumulated saliency    BOLT, MGSampler, Uni-AdaFocus
    aks                 halves of the video until one part stands out, top K in each    AKS
    mdp3                salient and unlike each other, by determinants    mDP3

A policy goes with every sampler: `audio-visual+cdf3` is a row of the table, and a `--sampler` of
`scs sample`. `pick` gives min(K, N) different clip numbers, whatever the saliencies are. Saliencies have
no unit; `stretch` puts those of a video into 0..1. One of your own, in a file that you name:

    @register_policy("best-and-next")
    def best_and_next(saliency, embeddings, times, k, rng):
        ...
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from scslib.samplers.names import Registry
from scslib.samplers.policies import checked, top_k

BANDWIDTHS = (1 / 8, 1 / 4, 1 / 2, 1, 2)  # of mDP3's kernel


def stretch(saliency: np.ndarray) -> np.ndarray:
    """Saliencies stretched to 0..1, (N,): the lowest of the video is 0, the highest 1; all 1 where they
    are equal.
    """
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

    def pick(self, saliency: np.ndarray, k: int) -> np.ndarray:
        """The chosen clips in order of time."""
        saliency, k = checked(saliency, k)
        mass = np.cumsum(stretch(saliency) ** self.power)
        levels = (np.arange(k) + 0.5) / k * mass[-1]
        return apart(np.searchsorted(mass, levels), len(saliency))


def apart(clips: np.ndarray, of: int) -> np.ndarray:
    """The clip numbers `clips`, ascending and moved apart. Each moves as little as makes them differ,
    below `of`.
    """
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
    """Clips that are salient and unlike each other. This is mDP3 (Sun et al., ICCV 2025), taken
    greedily.

    Each clip is the one that raises (2 / balance) * sum of r + log det k(S, S) most: r is the stretched
    saliency, k a sum of Gaussians of the distance of embeddings of length one. Of equal ones the first.
    The published code cuts long videos into stretches; here the video is one.
    """

    balance: float = 0.2

    def pick(self, saliency: np.ndarray, k: int, embeddings: np.ndarray | None) -> np.ndarray:
        """The chosen clips, the first taken first. Raises `ValueError` without embeddings (N, D)."""
        saliency, k = checked(saliency, k)
        if embeddings is None:
            raise ValueError("embeddings (None): mdp3 needs a sampler that has them, such as visual")
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
    """The kernel of mDP3, (N, N) float64: the sum over its bandwidths a of exp(-distance^2 / 2a)."""
    points = np.asarray(embeddings, float)
    points = points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
    squared = ((points[:, None] - points[None]) ** 2).sum(2)
    return sum(np.exp(-squared / (2 * a)) for a in BANDWIDTHS)


@dataclass(frozen=True, eq=False)
class Policy:
    """A choice of K clips from the saliencies of a video's clips; see `pick` for what `choose` gets.

    name: what stands behind the `+`. needs_embeddings: whether it looks at them; they are computed for
    it then.
    """

    name: str
    choose: Callable[..., Any]
    needs_embeddings: bool = True

    def pick(
        self,
        saliency: np.ndarray,
        embeddings: np.ndarray | None,
        times: np.ndarray,
        k: int,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """The picked clips: min(K, N) different numbers, for the finite saliencies (N,).

        embeddings: (N, D), or None of a sampler that has none. times: (N, 2) seconds. rng: the same for
        the same seed and video. Raises `ValueError` where `choose` gives anything else.
        """
        found = np.asarray(self.choose(saliency, embeddings, times, k, rng))
        clips, wanted = len(saliency), min(k, len(saliency))
        fits = found.dtype.kind in "iu" and found.shape == (wanted,)
        if not fits or len({*found.tolist()} & {*range(clips)}) < wanted:
            numbers = f"{wanted} different whole numbers in 0..{clips - 1}"
            raise ValueError(f"policy ({self.name!r}) must give {numbers}, not {found.tolist()}")
        return found


def _of_saliency(name: str, own: InverseCdf | Aks) -> Policy:
    """A policy that looks at nothing but the saliencies."""
    return Policy(name, lambda saliency, _, __, k, ___: own.pick(saliency, k), needs_embeddings=False)


POLICIES: Registry[Policy] = Registry("policy")
POLICIES.add("aks", _of_saliency("aks", Aks()))
POLICIES.add("mdp3", Policy("mdp3", lambda s, embeddings, _, k, __: Mdp3().pick(s, k, embeddings)))


def register_policy(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make the function or class below the policy `name`.

    A class has the method `pick`. It is called as `pick(saliency, embeddings, times, k, rng)`, see
    `Policy`. Raises `ValueError` for a name that is taken.
    """

    def keep(own: Callable[..., Any]) -> Callable[..., Any]:
        choose: Any = own() if inspect.isclass(own) else None
        POLICIES.add(name, Policy(name, own if choose is None else choose.pick))
        return own

    return keep


def make_policy(name: str) -> Policy:
    """The policy of a name; `cdf` with a number behind it is `InverseCdf` with this power.

    Raises `ValueError` for an unknown one.
    """
    power = name.removeprefix("cdf")
    if name not in POLICIES and power != name:
        try:
            own = InverseCdf(float(power))
            return _of_saliency(f"cdf{own.power:g}", own)
        except ValueError:
            raise ValueError(f"policy ({name!r}): {power!r} must be a number >= 0, as in cdf3") from None
    return POLICIES[name]


def split_method(name: str) -> tuple[str, Policy | None]:
    """A sampler's name and its policy, of `audio-visual+cdf3`; None where no `+` is in it: top K.

    Raises `ValueError` for an unknown policy.
    """
    sampler, plus, policy = name.partition("+")
    return sampler, make_policy(policy) if plus else None
