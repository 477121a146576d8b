"""From the scores of the chosen clips to one label for the video."""

from __future__ import annotations

import numpy as np


def mean_of_clips(probabilities: np.ndarray) -> np.ndarray:
    """The paper's rule: the mean over clips, (K, C) to (C,). The classes stay apart."""
    probabilities = np.asarray(probabilities)
    if probabilities.ndim != 2 or not len(probabilities):
        raise ValueError(f"probabilities must be (K, C) with K > 0, not {probabilities.shape}")
    return probabilities.mean(axis=0)
