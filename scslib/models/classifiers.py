"""The clip classifier f: the costly network that should see only a few clips (paper, sec. 3.1).

The networks have a file per family; here they stand in one registry, each with what it was made to see.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from scslib.models.csn import ip_csn_152, ir_csn_152
from scslib.models.i3d import i3d
from scslib.models.r2plus1d import r2plus1d_18, r2plus1d_34
from scslib.models.resnet3d import mc3_18, r3d_18
from scslib.models.views import LARGE, LONG, SHORT, SYMMETRIC, ClassifierInput
from scslib.models.width import FULL_WIDTH


@dataclass(frozen=True)
class Classifier:
    """How to build a network for some number of classes and some width, and what it was made to see."""

    build: Callable[[int, int], nn.Module]
    view: ClassifierInput


CLASSIFIERS = {
    "mc3_18": Classifier(mc3_18, SHORT),
    "r3d_18": Classifier(r3d_18, SHORT),
    "r2plus1d_18": Classifier(r2plus1d_18, SHORT),
    "r2plus1d_34": Classifier(r2plus1d_34, LONG),
    "ir_csn_152": Classifier(ir_csn_152, LARGE),
    "ip_csn_152": Classifier(ip_csn_152, LARGE),
    "i3d": Classifier(i3d, SYMMETRIC),
}
HEADS = ("fc", "logits.conv3d")


def build_classifier(architecture: str, classes: int, width: int = FULL_WIDTH) -> nn.Module:
    """A freshly initialised classifier by name. Raises `ValueError` for a name that is not known.

    It maps (B, 3, T, H, W) to logits (B, classes). `width`: channels after the first layer; with 64 it
    is the published network, with the published names of its weights.
    """
    if architecture not in CLASSIFIERS:
        raise ValueError(f"architecture ({architecture!r}) must be one of {sorted(CLASSIFIERS)}")
    if classes < 1 or width < 1:
        raise ValueError(f"classes ({classes}) and width ({width}) must be > 0")
    return CLASSIFIERS[architecture].build(classes, width)


def head_name(network: nn.Module) -> str:
    """The name of the layer that maps pooled features to logits."""
    names = {name for name, _ in network.named_modules()}
    for name in HEADS:
        if name in names:
            return name
    raise ValueError(f"network ({type(network).__name__}) must have one of the heads {HEADS}")


def replace_head(network: nn.Module, classes: int) -> nn.Module:
    """Give `network` a freshly initialised head for `classes` classes, in place."""
    name = head_name(network)
    old = network.get_submodule(name)
    if isinstance(old, nn.Linear):
        new = nn.Linear(old.in_features, classes)
    else:
        new = nn.Conv3d(old.in_channels, classes, 1)
    network.set_submodule(name, new.to(old.weight.device))
    return network


def forward_features(network: nn.Module, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(pooled features (B, D), logits (B, C)) of prepared clips (B, 3, T, H, W), in one forward pass.

    The features are what the head sees: logits = weight @ features + bias.
    """
    seen = []
    head = network.get_submodule(head_name(network))
    hook = head.register_forward_pre_hook(lambda layer, args: seen.append(args[0].flatten(1)))
    try:
        logits = network(inputs)
    finally:
        hook.remove()
    return seen[0], logits
