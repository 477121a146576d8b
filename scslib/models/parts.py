"""Networks that see a few pictures at a time.

What a layer makes of these fits into the processor's caches.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

NUMBERS_AT_ONCE = 2_500_000  # that a first layer makes: 10 MB of float32


def in_parts(
    network: Callable[[torch.Tensor], torch.Tensor],
    pictures: torch.Tensor,
    per_pixel: float,
    *,
    training: bool,
) -> torch.Tensor:
    """What `network` makes of pictures (n, C, H, W), joined: (n, ...).

    On a processor a few go through at a time: what a layer makes of many large ones fits neither into
    its caches nor into what `jobs.allocator` keeps. In training, where batch norms have to see all, and
    on accelerators they go through at once. per_pixel: how many numbers the first layer makes of a
    pixel, its channels over its stride squared.
    """
    if training or torch.is_grad_enabled() or pictures.device.type != "cpu":
        return network(pictures)
    of_one = per_pixel * pictures.shape[2] * pictures.shape[3]
    return torch.cat([network(some) for some in pictures.split(max(1, int(NUMBERS_AT_ONCE / of_one)))])
