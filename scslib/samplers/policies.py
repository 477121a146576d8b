"""Choose K of N clips: random, uniform, dense, top K, oracle.

Every function returns a sorted or ranked array of min(K, N) different clip numbers.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np

from scslib.video.layout import in_the_middle


def dense(clips: int) -> np.ndarray:
    """The numbers of all clips."""
    return np.arange(clips)


def draws(*what: object) -> np.random.Generator:
    """A generator for the draws that `what` names, such as (seed, video, method): the same every time.

    What else is drawn, before or after, makes no difference to it.
    """
    name = hashlib.sha256(json.dumps([str(part) for part in what]).encode()).digest()
    return np.random.default_rng(np.frombuffer(name, np.uint32).tolist())


def random(clips: int, k: int, rng: np.random.Generator) -> np.ndarray:
    """K different clips, each set equally likely, in order of time."""
    k = _check(clips, k)
    return np.sort(rng.choice(clips, size=k, replace=False))


def uniform(clips: int, k: int, at: float = 0.5) -> np.ndarray:
    """K clips at equal distances. Each is in the middle of its K-th part of the video, or at `at`, 0..1.

    N = 10, K = 3:   . x . . . x . . x .
    """
    k = _check(clips, k)
    return in_the_middle(clips, k, at)


def top_k(saliency: np.ndarray, k: int) -> np.ndarray:
    """The K clips of the highest saliency (N,), best first; of equal ones the earlier comes first.

    Raises `ValueError` where a saliency is not a finite number: such a clip has no rank.
    """
    saliency, k = checked(saliency, k)
    return np.argsort(-saliency, kind="stable")[:k]


def oracle(probabilities: np.ndarray, label: int, k: int) -> np.ndarray:
    """The K clips that f scores highest for the true class `label`. See the paper, sec. 4."""
    return top_k(np.asarray(probabilities)[:, label], k)


def until_settled(probabilities: np.ndarray) -> int:
    """Adaptive K: how many of the clips, shown in this order, it takes until the answer is `settled`.

    probabilities: (K, C), of the clips in the order in which they are shown, best first. The answer is
    then the one that all K clips would give.
    """
    votes = np.asarray(probabilities, float).cumsum(0)
    return next(n for n, row in enumerate(votes, 1) if settled(row, left=len(votes) - n))


def settled(votes: np.ndarray, *, left: int) -> bool:
    """Tell whether the `left` clips not shown yet can no longer change the answer.

    votes: (C,), C >= 2, the summed class probabilities of the clips shown so far. A clip has one vote to
    give: even if all went to the second class, it would not draw level with the first.

        shown 6 of 10, votes 5.2 : 0.5 : 0.3     ahead by 4.7 > the 4 left: settled
    """
    second, first = np.partition(votes, -2)[-2:]
    return left == 0 or bool(first - second > left)


def _check(clips: int, k: int) -> int:
    if clips < 1:
        raise ValueError(f"clips ({clips}) must be > 0")
    if k < 1:
        raise ValueError(f"k ({k}) must be > 0")
    return min(k, clips)


def checked(saliency: np.ndarray, k: int) -> tuple[np.ndarray, int]:
    """The saliencies, (N,) float64, and how many clips can be chosen of them.

    Raises `ValueError` where a saliency is not a finite number: such a clip has no rank.
    """
    saliency = np.asarray(saliency, dtype=float)
    if saliency.ndim != 1:
        raise ValueError(f"saliency must have one number for each clip, not shape {saliency.shape}")
    if not np.isfinite(saliency).all():
        first = int(np.flatnonzero(~np.isfinite(saliency))[0])
        raise ValueError(f"saliency of clip {first} ({saliency[first]}) must be finite")
    return saliency, _check(len(saliency), k)
