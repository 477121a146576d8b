"""Rules that make one label for the video from the scores of K clips.

Each rule takes class probabilities (K, C) and returns (C,). The classes stay apart: which clips count
is settled for every class on its own. The order of the clips never matters; `models/aggregators.py`
has the rules that are trained, and one for which it does.
"""

from __future__ import annotations

import numpy as np


def mean_of_clips(probabilities: np.ndarray) -> np.ndarray:
    """The paper's rule: the mean over clips, (K, C) to (C,). Every clip has one vote."""
    return _check(probabilities).mean(axis=0)


def max_of_clips(probabilities: np.ndarray) -> np.ndarray:
    """The highest probability that any clip gives to the class, (K, C) to (C,). One clip suffices."""
    return _check(probabilities).max(axis=0)


def top_k_mean(probabilities: np.ndarray, k: int) -> np.ndarray:
    """The mean of the k highest probabilities of each class, (K, C) to (C,).

    k = 1 is the maximum, k = K the mean; of fewer than k clips all count.
    """
    probabilities = _check(probabilities)
    if k < 1:
        raise ValueError(f"k ({k}) must be > 0")
    return np.sort(probabilities, axis=0)[-k:].mean(axis=0)


def _check(probabilities: np.ndarray) -> np.ndarray:
    probabilities = np.asarray(probabilities)
    if probabilities.ndim != 2 or not len(probabilities):
        raise ValueError(f"probabilities must be (K, C) with K > 0, not {probabilities.shape}")
    return probabilities
