"""One plain training loop for all networks, and the file that it goes on from after a kill.

It runs in one process or, under torchrun, in several that share each batch (see `distributed`).
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from scslib.files import replacing
from scslib.models.reading import CheckpointError, read_weights
from scslib.shards import Shards
from scslib.training import distributed

log = logging.getLogger(__name__)

Batch = dict[str, torch.Tensor]

# what a half-finished training must not go on with when it has changed
CODE = (
    "training/loop.py",
    "training/sampler.py",
    "training/distributed.py",
    "training/losses.py",
    "features.py",
    "models/samplers.py",
)


@dataclass(frozen=True)
class Schedule:
    """`steps` batches of `batch` clips with AdamW; the learning rate rises to `lr` and falls to 0."""

    steps: int
    batch: int = 64
    lr: float = 3e-3
    weight_decay: float = 0.05

    def __post_init__(self):
        for name in ("steps", "batch", "lr"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} ({getattr(self, name)}) must be > 0")


def fit(
    network: nn.Module,
    batch_of: Callable[[int], Batch],
    loss_of: Callable[[nn.Module, Batch], torch.Tensor],
    schedule: Schedule,
    *,
    title: str,
    resume: Path | None = None,
    about: object = None,
    every: int = 100,
) -> np.ndarray:
    """Train `network` in place on `schedule.steps` batches; returns each step's loss (steps,).

    batch_of: the batch of step n or, of several processes, this one's rows of it. loss_of: a mean over
    the rows of such a batch.

    resume: a file that the training is written to every so many steps, and goes on from where it is
    there, to the same numbers; complete, it keeps weights and losses, and nothing is trained again.
    `batch_of` must then depend on n alone. A file of something else is not taken: of another schedule,
    code, weights to start from, or `about` (JSON, arrays and `Shards`). Raises `CheckpointError` for a
    file that is broken or holds more than numbers; loading it runs no code.
    """
    if every < 1:
        raise ValueError(f"every ({every}) must be > 0")
    device = next(network.parameters()).device
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=schedule.lr, weight_decay=schedule.weight_decay
    )
    warmup = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, schedule.lr, total_steps=schedule.steps + 1, pct_start=0.15
    )
    parts = {"network": network, "optimizer": optimizer, "schedule": warmup}
    key = _key(network, title, asdict(schedule), about) if resume else ""
    losses = _take_up(resume, key, parts) if resume else []
    remaining, hidden = range(len(losses), schedule.steps), None if distributed.rank() == 0 else True
    network.train()
    with distributed.across(network) as model:
        for step in tqdm(remaining, desc=title, unit="step", disable=hidden, leave=False):
            batch = {name: tensor.to(device) for name, tensor in batch_of(step).items()}
            rows = len(next(iter(batch.values())))
            loss, mean = distributed.weigh(loss_of(model, batch), rows)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            warmup.step()
            losses.append(mean)
            complete = len(losses) == schedule.steps
            if resume and (complete or len(losses) % every == 0):
                _write_down(resume, key, losses, {"network": network} if complete else parts)
    network.eval()
    return np.array(losses)


def _key(network: nn.Module, *about: object) -> str:
    """A checksum of all that a training's result depends on."""
    text = json.dumps(about, sort_keys=True, default=_plain)
    found = hashlib.sha256(text.encode())
    for name in CODE:
        found.update((Path(__file__).parents[1] / name).read_bytes())
    for tensor in network.state_dict().values():
        found.update(tensor.cpu().numpy().tobytes())
    return found.hexdigest()


def _plain(value: np.ndarray | np.generic | Shards) -> object:
    """For JSON. The name of a folder of shards has a checksum of what made them."""
    return value.folder.name if hasattr(value, "folder") else value.tolist()


def _take_up(path: Path, key: str, parts: dict) -> list[float]:
    """Put `parts` into the state of the file `path`; returns the losses so far."""
    if not path.exists():
        return []
    state = read_weights(path)
    if not isinstance(state, dict) or "key" not in state:
        raise CheckpointError(f"{path}: not the state of a training; remove it to begin anew")
    if state["key"] != key:
        log.warning("%s: of another training, not taken", path)
        return []
    for name, part in parts.items():
        if name in state:  # a complete training has the network only
            part.load_state_dict(state[name])
    return state["losses"]


def _write_down(path: Path, key: str, losses: list[float], parts: dict) -> None:
    if distributed.rank() > 0:
        return
    states = {name: part.state_dict() for name, part in parts.items()}
    with replacing(path) as temporary:
        torch.save({"key": key, "losses": losses} | states, temporary)
