"""Parameters and multiply-adds of a classifier, counted.

The counter (see `clock`) runs on the meta device, where tensors have shapes and no memory.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from scslib.jobs.clock import Clock
from scslib.models.classifiers import CLASSIFIERS, build_classifier
from scslib.models.views import View
from scslib.models.width import FULL_WIDTH


class Cost(NamedTuple):
    """The costs of one clip with all its crops."""

    parameters: int
    gmacs: float


def measure(
    architecture: str,
    classes: int = 400,
    width: int = FULL_WIDTH,
    *,
    view: View | None = None,
) -> Cost:
    """Count the parameters, and the 10^9 multiply-adds for a clip as `view` shows it.

    Default: the registry's view. Raises `ValueError` for a name that is not known.
    """
    with torch.device("meta"):
        network = build_classifier(architecture, classes, width).eval()
    return cost_of(network, view or CLASSIFIERS[architecture].view)


def cost_of(network: nn.Module, view: View) -> Cost:
    """The cost of a network, for a clip as `view` shows it."""
    clock, device = Clock(counts=True), next(network.parameters()).device
    clip = torch.empty(view.crops, 3, *view.shape, device=device)
    with torch.inference_mode(), clock.counting():
        network(clip)
    return Cost(sum(p.numel() for p in network.parameters()), clock.gmacs)


def cost_table(classes: int = 400, width: int = FULL_WIDTH) -> list[dict]:
    """One row per classifier, with its own input: the model zoo's columns."""
    rows = []
    for name, entry in CLASSIFIERS.items():
        cost, view = measure(name, classes, width), entry.view
        row = {"architecture": name, "classes": classes, "width": width}
        row |= {"frames": view.frames, "crop": view.crop, "frame_rate": view.frame_rate}
        rows.append(row | {"parameters": cost.parameters, "gmacs": round(cost.gmacs, 3)})
    return rows
