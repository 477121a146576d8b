"""Which pictures of a clip a classifier sees; without PyTorch, for processes that only decode."""

from __future__ import annotations


def spread(shown: int, frames: int) -> list[int]:
    """Which of `shown` pictures are in the middle of `frames` equal parts; some twice if there are less.

    shown = 8, frames = 4:  .x.x.x.x
    """
    return [(2 * i + 1) * shown // (2 * frames) for i in range(frames)]
