"""Exits: show clips to f, the best first, only until its answer stands.

    Adaptive       until the rest of the K clips cannot change the answer
    LearnedExit    until a small gate is sure of the answer

The latter is after FrameExit (Ghodrati et al., CVPR 2021), which has a fixed order of frames, max-pools
their features, and a gate after each; here the order is a sampler's, what is pooled are f's class
probabilities, and one gate serves all steps: a logistic regression on what f has said so far. It learns
from training videos whether the answer of that moment is right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from scslib.evaluation.methods import Picks, ScoredVideo, most_salient
from scslib.samplers import policies

RIDGE = 1e-4  # times the squared weights: some states are almost the same


@dataclass(frozen=True)
class Adaptive:
    """The most salient clips by the sampler `of`, until the answer is settled. The best comes first."""

    of: str
    name: str = "adaptive"
    needs_features: bool = True

    def pick(self, video: ScoredVideo, k: int, rng: np.random.Generator) -> Picks | None:
        return _first(most_salient(video, self.of, k, rng), video, policies.until_settled)


@dataclass(frozen=True, eq=False)
class Gate:
    """The probability that the answer so far is right: of `state`, by weights (S,) and a bias."""

    weights: np.ndarray
    bias: float

    def says(self, state: np.ndarray) -> np.ndarray:
        """The probabilities, (n,) in 0..1, for states (n, S)."""
        with np.errstate(over="ignore"):
            return 1 / (1 + np.exp(-(state @ self.weights + self.bias)))


def state(probabilities: np.ndarray) -> np.ndarray:
    """The state, (K, 5), that the gate sees after each of K clips.

    It is made of f's probabilities (K, C) in that order. The highest class of the mean so far and how
    far the next one is behind; the same of the maxima so far (FrameExit's pooling); the share of the K
    clips that has been shown.
    """
    shown = np.arange(1, len(probabilities) + 1)
    mean = np.cumsum(probabilities, 0) / shown[:, None]
    pooled = np.maximum.accumulate(probabilities, 0)
    columns = []
    for values in (mean, pooled):
        ordered = np.sort(values, axis=1)
        columns += [ordered[:, -1], ordered[:, -1] - ordered[:, -2]]
    return np.stack([*columns, shown / len(shown)], axis=1)


def fit_gate(shown: Sequence[np.ndarray], labels: Sequence[int]) -> Gate:
    """The gate from training videos: f's probabilities (K, C) of each, in the order in which they are
    shown, and its class.

    Where they are all right the gate is sure at once, and where they are all wrong it never is.
    """
    states = np.concatenate([state(probabilities) for probabilities in shown])
    right = np.concatenate([answers(p) == label for p, label in zip(shown, labels, strict=True)])
    if right.all() or not right.any():  # nothing to tell apart
        return Gate(np.zeros(states.shape[1]), np.inf if right.all() else -np.inf)
    sign = np.where(right, 1.0, -1.0)

    def cost(weights: np.ndarray) -> float:
        margin = sign * (states @ weights[:-1] + weights[-1])
        return float(np.logaddexp(0, -margin).mean() + RIDGE * (weights[:-1] ** 2).sum())

    found = minimize(cost, np.zeros(states.shape[1] + 1)).x
    return Gate(found[:-1], float(found[-1]))


def answers(probabilities: np.ndarray) -> np.ndarray:
    """The class, (K,), of the mean after each of the clips (K, C)."""
    return probabilities.cumsum(0).argmax(1)


@dataclass(frozen=True, eq=False)
class LearnedExit:
    """The most salient clips by the sampler `of`, until the gate is sure. The best comes first."""

    of: str
    gate: Gate
    sure: float = 0.9
    name: str = "learned-exit"
    needs_features: bool = True

    def pick(self, video: ScoredVideo, k: int, rng: np.random.Generator) -> Picks | None:
        return _first(most_salient(video, self.of, k, rng), video, self._shown)

    def _shown(self, probabilities: np.ndarray) -> int:
        stands = self.gate.says(state(probabilities)) >= self.sure
        return int(stands.argmax()) + 1 if stands.any() else len(probabilities)


def _first(picked: Picks | None, video: ScoredVideo, shown: Callable[[np.ndarray], int]) -> Picks | None:
    """So many of the picked clips as `shown` says of f's probabilities (K, C) of them."""
    if picked is None:
        return None
    count = shown(video.probabilities[picked.clips[0]])
    return picked._replace(clips=picked.clips[:, :count])
