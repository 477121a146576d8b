"""Samplers that learn which K clips make f right together, from dense scores alone.

    OCSampler      K clips are drawn by a softmax over the clips; f's answer to them is the reward
    Uni-AdaFocus   the same softmax weighs f's answers, and the label is learnt through that mean

Both see a clip by the embedding that a trained sampler has of it (see `base.Sampler.embeddings`), and
its neighbours: `models.temporal.TemporalHead`. f stays as it is, and does not run at all: what it says
of any K clips is the mean of its dense scores.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import permutations

import numpy as np
import torch
from torch import nn

from scslib.models.temporal import TemporalHead
from scslib.samplers import policies

ROUNDS = 5  # of Uni-AdaFocus
ALL_ORDERS = 8  # the largest K of which OCSampler sums over all orders of drawing


@dataclass(frozen=True, eq=False)
class SetLesson:
    """One training video: embeddings (N, D), f's class probabilities (N, C) of its clips, its class."""

    embeddings: np.ndarray
    probabilities: np.ndarray
    label: int


@dataclass(frozen=True)
class SetRecipe:
    """How a set is learnt; the defaults are OCSampler's, but for the number of passes over the videos.

    k: clips that are drawn. passes: over all videos. lr, momentum, clip: of SGD with a cosine.
    entropy: the weight of the entropy, which keeps the softmax from closing too early. reward:
    `confidence`, f's highest class probability, or `truth`, that of the true class, negative where f is
    wrong.
    """

    k: int = 10
    passes: int = 50
    lr: float = 0.005
    momentum: float = 0.9
    clip: float = 40.0
    entropy: float = 0.1
    reward: str = "confidence"

    def __post_init__(self):
        if self.reward not in ("confidence", "truth"):
            raise ValueError(f"reward ({self.reward!r}) must be confidence or truth")
        for name in ("k", "passes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} ({getattr(self, name)}) must be > 0")


def learn_by_reward(lessons: Sequence[SetLesson], recipe: SetRecipe, *, seed: int) -> TemporalHead:
    """OCSampler (Lin et al., CVPR 2022): draw K clips without replacement, and learn by the reward.

    The reward is f's answer to them less its answer to K clips at equal distances; the loss is
    -(reward log pi + entropy), where pi is the probability of the set. The published network looks at 10
    glances; ours at all clips, and one video is one step.
    """
    draws = torch.Generator().manual_seed(seed)
    return _fit(lessons, partial(reward_loss, recipe=recipe, draws=draws), recipe, seed)


def reward_loss(
    logits: torch.Tensor, lesson: SetLesson, *, recipe: SetRecipe, draws: torch.Generator
) -> torch.Tensor:
    """OCSampler's loss for one draw of K clips; logits: (N,)."""
    p = logits.softmax(0)
    k = min(recipe.k, len(p))
    drawn = torch.multinomial(p.detach() + 1e-12, k, generator=draws)
    gain = reward_of(lesson, drawn.numpy(), recipe.reward)
    gain -= reward_of(lesson, policies.uniform(len(p), k), recipe.reward)
    entropy = -(p * p.clamp(min=1e-12).log()).sum()
    return -(gain * log_probability(p, drawn) + recipe.entropy * entropy)


def reward_of(lesson: SetLesson, clips: np.ndarray, reward: str) -> float:
    """What f says of these clips: its highest class probability, or the true class's with a sign."""
    answer = lesson.probabilities[clips].mean(0)
    if reward == "confidence":
        return float(answer.max())
    right = int(answer.argmax()) == lesson.label
    return float(answer[lesson.label] if right else -answer.max())


def log_probability(p: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    """The log-probability to draw the clips `drawn` (K,). They are drawn by p (N,) without replacement.

    In any order: for K up to 8 summed over all orders, for more the order that was drawn.
    """
    chosen = p[drawn]
    if len(drawn) > ALL_ORDERS:
        return _in_order(chosen)
    orders = torch.tensor(list(permutations(range(len(drawn)))))
    return torch.logsumexp(_in_order(chosen[orders]), 0)


def _in_order(chosen: torch.Tensor) -> torch.Tensor:
    """(..., K) probabilities of clips in the order of drawing, to the logarithm of their product."""
    left = 1 - chosen.cumsum(-1) + chosen  # what had not been drawn before each
    return (chosen.clamp(min=1e-12).log() - left.clamp(min=1e-6).log()).sum(-1)


def learn_by_weights(lessons: Sequence[SetLesson], recipe: SetRecipe, *, seed: int) -> TemporalHead:
    """The temporal policy of Uni-AdaFocus (Wang et al., TPAMI 2024): no reward, no draws of the answer.

    The softmax over clips weighs f's class probabilities, and the loss is the cross-entropy of their
    weighted mean with the label; in five rounds, in the n-th of which n clips, drawn by the weights, are
    left out, so that not one clip is all that counts. Published are 128 draws over these rounds; here
    each step of a video is one draw, and f's own answers take the place of a second classifier's.
    """
    draws = torch.Generator().manual_seed(seed)
    return _fit(lessons, partial(weights_loss, draws=draws), recipe, seed)


def weights_loss(logits: torch.Tensor, lesson: SetLesson, *, draws: torch.Generator) -> torch.Tensor:
    """Uni-AdaFocus's loss of the temporal policy, one draw a round; logits: (N,)."""
    truth = torch.from_numpy(np.ascontiguousarray(lesson.probabilities[:, lesson.label])).float()
    costs = []
    for left_out in range(min(ROUNDS, len(logits))):
        weights = logits.softmax(0)
        if left_out:
            gone = torch.multinomial(weights.detach() + 1e-12, left_out, generator=draws)
            weights = weights.index_fill(0, gone, 0.0)
            weights = weights / weights.sum().clamp(min=1e-12)
        costs.append(-(weights @ truth).clamp(min=1e-6).log())
    return torch.stack(costs).mean()


def _fit(
    lessons: Sequence[SetLesson],
    loss: Callable[[torch.Tensor, SetLesson], torch.Tensor],
    recipe: SetRecipe,
    seed: int,
) -> TemporalHead:
    """SGD, a video a step, the learning rate on a cosine over all steps."""
    if not lessons:
        raise ValueError("lessons (0) must have at least one video")
    torch.manual_seed(seed)
    head = TemporalHead(lessons[0].embeddings.shape[1])
    optimizer = torch.optim.SGD(head.parameters(), recipe.lr, recipe.momentum)
    steps = recipe.passes * len(lessons)
    order = np.random.default_rng(seed)
    head.train()
    for step in range(steps):
        if step % len(lessons) == 0:
            turn = order.permutation(len(lessons))
        lesson = lessons[turn[step % len(lessons)]]
        for group in optimizer.param_groups:
            group["lr"] = recipe.lr * (1 + math.cos(math.pi * step / steps)) / 2
        optimizer.zero_grad()
        loss(head(torch.from_numpy(lesson.embeddings).float()), lesson).backward()
        nn.utils.clip_grad_norm_(head.parameters(), recipe.clip)
        optimizer.step()
    return head.eval()
