"""Late fusion of visual and audio saliency (paper, sec. 3.4).

Arrays of scores in, arrays of scores or clip numbers out. The two samplers are trained apart, so their
scores have no common unit. Each rule here answers in its own way what a video score is worth in audio:

    convex_score    both stretched to 0..1 over the video, then averaged     -> saliency, for `top_k`
    convex_list     the same with ranks in place of scores                   -> saliency, for `top_k`
    intersect_list  the clips that are high on both lists                    -> clip numbers
    union_list      the best of one list, filled up from the other           -> clip numbers

Every function raises `ValueError` where the saliencies are not two (N,) arrays of finite numbers.
The free number of a rule (alpha, or K') is chosen on validation videos by `best_number`, never on test.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from scslib.samplers.policies import top_k

# (visual, audio, k, the rule's number) -> the clips it picks; intersect-list has no number
RULES: dict[str, Callable[[np.ndarray, np.ndarray, int, float], np.ndarray]] = {
    "convex-score": lambda v, a, k, alpha: top_k(convex_score(v, a, alpha), k),
    "convex-list": lambda v, a, k, alpha: top_k(convex_list(v, a, alpha), k),
    "intersect-list": lambda v, a, k, _: intersect_list(v, a, k),
    "union-list": lambda v, a, k, share: union_list(v, a, k, round(share * k)),
}


def convex_score(visual: np.ndarray, audio: np.ndarray, alpha: float) -> np.ndarray:
    """alpha s_V + (1 - alpha) s_A of the saliencies (N,), in 0..1: (N,) float.

    Each is stretched by minimum and maximum over the video first: a RANK score has no unit and no
    bounds, and the louder scale would win whatever `alpha` says. Where all clips are equal (a silent
    video) the stretched saliency is zero, and the other one decides alone.
    Raises `ValueError` for an `alpha` outside 0..1.
    """
    visual, audio = _pair(visual, audio)
    return _convex(_stretch(visual), _stretch(audio), alpha)


def convex_list(visual: np.ndarray, audio: np.ndarray, alpha: float) -> np.ndarray:
    """A convex mean of the ranks, (N,) float in 0..1. It is alpha r_V + (1 - alpha) r_A, turned so that
    higher is better.

    Blind to how far apart two scores are, and so to outliers. Equal clips share their mean rank.
    Raises `ValueError` for an `alpha` outside 0..1.
    """
    visual, audio = _pair(visual, audio)
    last = max(1, len(visual) - 1)
    return _convex(1 - _ranks(visual) / last, 1 - _ranks(audio) / last, alpha)


def intersect_list(visual: np.ndarray, audio: np.ndarray, k: int) -> np.ndarray:
    """The first K clips in the top m of both lists, (min(K, N),) int. m grows; the best comes first.

    A clip comes in at m = the worse of its two ranks, so the result is never short of K. Of two clips
    that come in together the one with the better other rank is first.
    """
    visual, audio = _pair(visual, audio)
    ranks = np.stack([_ranks(visual), _ranks(audio)])
    order = np.lexsort((ranks.min(axis=0), ranks.max(axis=0)))  # the last key counts first
    place = np.empty(len(order))
    place[order] = np.arange(len(order))
    return top_k(-place, k)


def union_list(visual: np.ndarray, audio: np.ndarray, k: int, k_visual: int) -> np.ndarray:
    """The best `k_visual` clips by video, then the best by audio. Audio gives those that are not in
    yet: (min(K, N),) int.

    K = 4, k_visual = 2, video 3 7 1 ..., audio 7 0 3 5 ...   gives   3 7 0 5

    Raises `ValueError` for a `k_visual` outside 0..K.
    """
    visual, audio = _pair(visual, audio)
    if not 0 <= k_visual <= k:
        raise ValueError(f"k_visual ({k_visual}) must be in 0..k ({k})")
    seen = top_k(visual, len(visual))[:k_visual]
    heard = top_k(audio, len(audio))
    heard = heard[~np.isin(heard, seen)]
    return np.concatenate([seen, heard])[: len(top_k(visual, k))]


def best_number(
    rule: str,
    videos: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]],
    *,
    k: int,
    values: Sequence[float] = tuple(np.linspace(0, 1, 11)),
) -> tuple[float, np.ndarray]:
    """The number of a rule of `RULES` that serves validation videos best.

    The number is alpha, or K'/K. videos: (visual, audio, f's probability of the true class), each (N,).
    A number is as good as that probability is, on average over the K clips that it picks; of equal ones
    the first is taken. Gives (the best of `values`, how good each of them is). Raises `ValueError`
    without videos.
    """
    if rule not in RULES:
        raise ValueError(f"rule ({rule!r}) must be one of {sorted(RULES)}")
    if not len(videos):
        raise ValueError("videos (none) must be at least one validation video")
    worth = [
        np.mean([truth[RULES[rule](v, a, k, value)].mean() for v, a, truth in videos])
        for value in values
    ]
    return float(values[int(np.argmax(worth))]), np.array(worth)


def as_saliency(picks: np.ndarray, clips: int) -> np.ndarray:
    """A saliency (N,) whose top K are `picks`, best first. It is for tables that hold saliencies."""
    saliency = np.zeros(clips)
    saliency[picks] = np.arange(len(picks), 0, -1)
    return saliency


def _convex(visual: np.ndarray, audio: np.ndarray, alpha: float) -> np.ndarray:
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha ({alpha}) must be in 0..1")
    return alpha * visual + (1 - alpha) * audio


def _stretch(saliency: np.ndarray) -> np.ndarray:
    low, high = saliency.min(), saliency.max()
    return (saliency - low) / (high - low) if high > low else np.zeros_like(saliency)


def _ranks(saliency: np.ndarray) -> np.ndarray:
    """0 for the best clip; equal clips share the mean of their places."""
    _, which, count = np.unique(-saliency, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count + 1) / 2)[which]


def _pair(visual: np.ndarray, audio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as (N,) float arrays, checked."""
    visual, audio = np.asarray(visual, dtype=float), np.asarray(audio, dtype=float)
    if visual.shape != audio.shape or visual.ndim != 1 or not len(visual):
        raise ValueError(f"visual {visual.shape} and audio {audio.shape} must be (N,) with one N > 0")
    for name, saliency in (("visual", visual), ("audio", audio)):
        broken = np.flatnonzero(~np.isfinite(saliency))
        if len(broken):
            clip = int(broken[0])
            raise ValueError(f"{name} saliency of clip {clip} ({saliency[clip]}) must be finite")
    return visual, audio
