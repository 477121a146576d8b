"""Which K of the N clips of a video are shown to the classifier. Arrays of scores in, indices out.

Every function returns a sorted or ranked array of min(K, N) different clip numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def dense(clips: int) -> np.ndarray:
    """All of them."""
    return np.arange(clips)


def random(clips: int, k: int, rng: np.random.Generator) -> np.ndarray:
    """K different clips, each set equally likely, in order of time."""
    k = _check(clips, k)
    return np.sort(rng.choice(clips, size=k, replace=False))


def uniform(clips: int, k: int) -> np.ndarray:
    """K clips at equal distances, each in the middle of its K-th part of the video.

    N = 10, K = 3:   . x . . . x . . x .
    """
    k = _check(clips, k)
    return np.floor((np.arange(k) + 0.5) * clips / k).astype(int)


def top_k(saliency: np.ndarray, k: int) -> np.ndarray:
    """The K clips of the highest saliency (N,), best first; of equal ones the earlier comes first.

    Raises `ValueError` where a saliency is not a finite number: such a clip has no rank.
    """
    saliency = np.asarray(saliency, dtype=float)
    if saliency.ndim != 1:
        raise ValueError(f"saliency must have one number for each clip, not shape {saliency.shape}")
    if not np.isfinite(saliency).all():
        first = int(np.flatnonzero(~np.isfinite(saliency))[0])
        raise ValueError(f"saliency of clip {first} ({saliency[first]}) must be finite")
    k = _check(len(saliency), k)
    return np.argsort(-saliency, kind="stable")[:k]


def oracle(probabilities: np.ndarray, label: int, k: int) -> np.ndarray:
    """The K clips that the classifier scores highest for the true class `label` (paper, sec. 4)."""
    return top_k(np.asarray(probabilities)[:, label], k)


def until_sure(probabilities: np.ndarray, sure: float) -> int:
    """Adaptive K: how many of the clips, shown in this order, it takes until the classifier is sure.

    probabilities: (K, C), of the clips in the order in which they are shown, best first. Sure it is
    when the mean over the clips so far gives a class at least `sure`, 0..1; above 1 never, so all K
    count.
    """
    probabilities = np.asarray(probabilities)
    means = probabilities.cumsum(0) / np.arange(1, len(probabilities) + 1)[:, None]
    enough = np.flatnonzero(means.max(1) >= sure)
    return int(enough[0]) + 1 if len(enough) else len(probabilities)


def how_sure(videos: Sequence[tuple[np.ndarray, int]]) -> float:
    """The lowest `sure` at which `until_sure` gets no more validation videos wrong than all K clips do.

    videos: (probabilities (K, C) in the order of showing, label). Tried are 0.05, 0.10, ... 1.00; if
    none will do, 1.01: always all clips. Raises `ValueError` without videos.
    """
    if not len(videos):
        raise ValueError("videos (none) must be at least one validation video")
    whole = sum(int(p.mean(0).argmax()) == label for p, label in videos)
    for sure in np.arange(1, 21) / 20:
        first = [(p[: until_sure(p, sure)], label) for p, label in videos]
        if sum(int(p.mean(0).argmax()) == label for p, label in first) >= whole:
            return float(sure)
    return 1.01


def _check(clips: int, k: int) -> int:
    if clips < 1:
        raise ValueError(f"clips ({clips}) must be > 0")
    if k < 1:
        raise ValueError(f"k ({k}) must be > 0")
    return min(k, clips)
