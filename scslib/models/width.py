"""Torchvision's networks at any width, for machines without an accelerator; their layout in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)

FULL_WIDTH = 64  # channels after the first layer of every ResNet-18-like network
_CONV = (nn.Conv2d, nn.Conv3d)
_NORM = (nn.BatchNorm2d, nn.BatchNorm3d)


def scaled_width(channels: int, width: int) -> int:
    """width/64 of `channels`, rounded down, but at least one."""
    return max(1, channels * width // FULL_WIDTH)


def set_width(network: nn.Module, width: int, *, in_channels: int = 3) -> nn.Module:
    """Rebuild every layer of `network` with width/64 of its channels, in place, freshly initialised.

    Names of the parameters do not change; with width = 64 their shapes do not either. The layer that
    sees the picture gets `in_channels`; the last linear layer keeps its number of outputs. A depthwise
    convolution stays one, with as many groups as channels.
    Raises `ValueError` for widths below 1.
    """
    if width < 1:
        raise ValueError(f"width ({width}) must be > 0")
    for name, layer in network.named_children():
        if isinstance(layer, _CONV):
            # PyTorch's types keep the two apart by the lengths of their tuples
            kind: Callable[..., nn.Conv2d | nn.Conv3d] = (
                nn.Conv3d if isinstance(layer, nn.Conv3d) else nn.Conv2d
            )
            seen = in_channels if layer.in_channels == 3 else scaled_width(layer.in_channels, width)
            new = kind(
                seen,
                scaled_width(layer.out_channels, width),
                layer.kernel_size,
                layer.stride,
                layer.padding,
                groups=1 if layer.groups == 1 else scaled_width(layer.groups, width),
                bias=layer.bias is not None,
            )
            nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")
            setattr(network, name, new)
        elif isinstance(layer, _NORM):
            setattr(network, name, type(layer)(scaled_width(layer.num_features, width), eps=layer.eps))
        elif isinstance(layer, nn.Linear):
            setattr(network, name, nn.Linear(scaled_width(layer.in_features, width), layer.out_features))
        else:
            set_width(layer, width, in_channels=in_channels)
    return network


def set_layout(network: Network, layout: torch.memory_format) -> Network:
    """`network` with its weights in this layout in memory, in place."""
    return network.to(memory_format=layout)  # type: ignore[call-overload]  # torch's types lack it
