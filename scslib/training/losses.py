"""The losses AC (cross-entropy) and RANK (pairs of clips, sec. 3.1)."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

Batch = dict[str, torch.Tensor]
RANK_FORMS = ("hinge", "slide", "weighted")


def pair_targets(f_i: torch.Tensor, f_j: torch.Tensor) -> torch.Tensor:
    """The targets z_ij of pairs of clips: 1 where the classifier scores the true class higher in clip i
    than in clip j, else -1.
    """
    return torch.where(f_i > f_j, 1.0, -1.0)


def rank_loss(
    s_i: torch.Tensor, s_j: torch.Tensor, z: torch.Tensor, *, eta: float = 1.0, form: str = "hinge"
) -> torch.Tensor:
    """The mean ranking loss of pairs of saliencies s_i, s_j.

    z, of their shape, is 1 or -1. form "hinge": max(0, eta - z (s_i - s_j)), the usual one. form
    "slide": the loss as printed on the slides, max(0, -z (s_i - s_j + eta)). It is not symmetric: with
    z = 1 a pair may be wrong by eta without a cost, with z = -1 it must be right by eta. form "weighted"
    (ours): z is f_i - f_j, and a pair counts by how much the classifier prefers one clip: |z| times the
    hinge of its sign.
    """
    if form == "weighted":
        return (z.abs() * torch.clamp(eta - z.sign() * (s_i - s_j), min=0)).mean()
    if form == "hinge":
        return torch.clamp(eta - z * (s_i - s_j), min=0).mean()
    if form == "slide":
        return torch.clamp(-z * (s_i - s_j + eta), min=0).mean()
    raise ValueError(f"form ({form!r}) must be one of {RANK_FORMS}")


def ac_loss(network: nn.Module, batch: Batch) -> torch.Tensor:
    """Cross-entropy of clips with the label of their video."""
    return F.cross_entropy(network(batch), batch["label"])


def ranking_loss(
    network: nn.Module, batch: Batch, *, per_video: int, eta: float, form: str
) -> torch.Tensor:
    """`rank_loss` of every pair of one video's clips in a batch of `RankBatches`."""
    first, second = np.triu_indices(per_video, 1)
    saliency, f = network(batch)[:, 0].view(-1, per_video), batch["f"].view(-1, per_video)
    f_i, f_j = f[:, first], f[:, second]
    z = f_i - f_j if form == "weighted" else pair_targets(f_i, f_j)
    return rank_loss(saliency[:, first], saliency[:, second], z, eta=eta, form=form)
