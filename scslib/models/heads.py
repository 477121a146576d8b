"""A classifier's last layer: find it, replace it, get its input."""

from __future__ import annotations

import torch
from torch import nn

HEADS = ("fc", "logits.conv3d")  # of the kit's networks


def head_name(network: nn.Module) -> str:
    """The name of the layer that maps pooled features to logits.

    That is the network's own `head_name`, else one of `HEADS`, else its last linear layer.
    """
    own = getattr(network, "head_name", None)
    if isinstance(own, str):
        return own
    layers = dict(network.named_modules())
    linear = [name for name, layer in layers.items() if isinstance(layer, nn.Linear)]
    for name in (*HEADS, *reversed(linear)):
        if name in layers:
            return name
    raise ValueError(f"network ({type(network).__name__}) must have a linear layer, its head")


def head_of(network: nn.Module) -> nn.Linear | nn.Conv3d:
    """The layer of that name. Raises `ValueError` if it is neither linear nor a 3D convolution."""
    layer = network.get_submodule(head_name(network))
    if not isinstance(layer, (nn.Linear, nn.Conv3d)):
        raise ValueError(f"head ({type(layer).__name__}) must be linear or a 3D convolution")
    return layer


def replace_head(network: nn.Module, classes: int) -> nn.Module:
    """Give `network` a freshly initialised head for `classes` classes, in place."""
    old = head_of(network)
    new: nn.Module
    if isinstance(old, nn.Linear):
        new = nn.Linear(old.in_features, classes)
    else:
        new = nn.Conv3d(old.in_channels, classes, 1)
    network.set_submodule(head_name(network), new.to(old.weight.device))
    return network


def forward_features(network: nn.Module, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The pooled features and logits of prepared clips. Gives (B, D) and (B, C) for (B, 3, T, H, W), in
    one forward pass.

    The features are what the head sees: logits = weight @ features + bias.
    """
    seen = []
    head = network.get_submodule(head_name(network))
    hook = head.register_forward_pre_hook(lambda layer, args: seen.append(_pooled(args[0])))
    try:
        logits = network(inputs)
    finally:
        hook.remove()
    return seen[0], logits


def _pooled(features: torch.Tensor) -> torch.Tensor:
    """(B, D), or (B, D, ...) averaged over the rest: S3D's head is a convolution before the mean."""
    return features if features.dim() == 2 else features.flatten(2).mean(2)
