"""Training schedules: a fixed number of steps, or until a plateau."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn


@dataclass(frozen=True)
class Schedule:
    """How long a network is trained with AdamW, on batches of `batch` clips.

    look_every = 0: for `steps` batches; the learning rate rises to `lr` and falls to 0.
    Else: until the loss on validation videos falls no longer, and for `steps` batches at most. That loss
    is looked at before the first batch and every `look_every` batches; when `patience` looks in a row,
    after the first `least` batches, were not the lowest yet, the learning rate, at first `lr`, is
    divided by 4; when that has happened `DROPS` times, the training is over, and the network has the
    weights of the lowest look.
    """

    steps: int
    batch: int = 64
    lr: float = 3e-3
    weight_decay: float = 0.05
    look_every: int = 0
    patience: int = 5
    least: int = 0

    def __post_init__(self):
        for name, least in (
            ("steps", 1),
            ("batch", 1),
            ("look_every", 0),
            ("patience", 1),
            ("least", 0),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"{name} ({getattr(self, name)}) must be >= {least}")
        if not self.lr > 0:
            raise ValueError(f"lr ({self.lr}) must be > 0")


DROPS = 2  # of the learning rate, before a training ends


@dataclass(frozen=True, eq=False)
class Curve:
    """A training's losses: of each step (steps,), and of each look (n, 2) the step and validation loss.

    plateau: whether the training ended because the latter fell no longer, and not at its last step.
    """

    losses: np.ndarray
    looks: np.ndarray
    plateau: bool

    @property
    def lowest(self) -> float:
        """The lowest validation loss; NaN without looks."""
        return float(self.looks[:, 1].min()) if len(self.looks) else np.nan


class OneCycle:
    """The learning rate rises for 15 % of the steps, and falls to 0."""

    def __init__(self, optimizer: torch.optim.Optimizer, schedule: Schedule):
        self._rate = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, schedule.lr, total_steps=schedule.steps + 1, pct_start=0.15
        )

    def step(self) -> None:
        self._rate.step()

    def settle(self, network: nn.Module) -> None:
        pass

    def state_dict(self) -> dict:
        return self._rate.state_dict()

    def load_state_dict(self, state: dict) -> None:
        self._rate.load_state_dict(state)


class Plateau:
    """The learning rate falls when the validation loss does not; the weights of the lowest are kept."""

    def __init__(self, optimizer: torch.optim.Optimizer, schedule: Schedule):
        self._rate = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=0.25, patience=schedule.patience - 1, threshold=0.0
        )
        self._least = schedule.lr * 0.25 ** (DROPS - 0.5)
        self._first, self._lowest = schedule.least, np.inf
        self._weights: dict[str, torch.Tensor] = {}

    def step(self) -> None:
        pass

    def see(self, loss: float, network: nn.Module, step: int) -> bool:
        """Take note of a look after so many steps; whether the training is over."""
        if loss < self._lowest:
            self._lowest, self._weights = loss, deepcopy(network.state_dict())
        if step <= self._first:
            return False
        self._rate.step(loss)
        return self._rate.optimizer.param_groups[0]["lr"] < self._least

    def settle(self, network: nn.Module) -> None:
        """Give the network the weights of the lowest look."""
        if self._weights:
            network.load_state_dict(self._weights)

    def state_dict(self) -> dict:
        return {"rate": self._rate.state_dict(), "lowest": self._lowest, "weights": self._weights}

    def load_state_dict(self, state: dict) -> None:
        self._rate.load_state_dict(state["rate"])
        self._lowest, self._weights = state["lowest"], state["weights"]
