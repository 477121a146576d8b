"""Save a training to a file, and go on from it after a kill."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from torch import nn

from scslib.jobs.files import replacing
from scslib.jobs.fingerprint import code_of
from scslib.jobs.keys import OLDER, Key
from scslib.jobs.shard_files import Shards
from scslib.models.reading import CheckpointError, read_weights
from scslib.training import distributed


class Progress(TypedDict):
    """How far a training has come: the loss of each step, [step, validation loss] of each look."""

    losses: list[float]
    looks: list[list[float]]
    plateau: bool
    over: bool


def training_key(
    network: nn.Module,
    batch_of: Callable,
    loss_of: Callable,
    title: str,
    about: object,
    stands_on: dict,
    *,
    loop: Callable,
) -> Key:
    """All that a training's result depends on."""
    weights = hashlib.sha256()
    for tensor in network.state_dict().values():
        weights.update(tensor.detach().cpu().numpy().tobytes())
    maker = batch_of if hasattr(batch_of, "__qualname__") else type(batch_of)
    loss_of = loss_of.func if isinstance(loss_of, partial) else loss_of
    code = code_of(loop, maker, loss_of, type(network))
    what = [about, next(network.parameters()).device.type]
    stands_on = {"starting weights": weights.hexdigest()} | stands_on
    return Key(title, _plain_json(what), code, {k: _plain_json(v) for k, v in stands_on.items()})


def _plain_json(value: object) -> object:
    """JSON of what holds arrays and `Shards`, too; a shards' folder is named after all it depends on."""

    def plain(value: np.ndarray | np.generic | Shards) -> object:
        return value.folder.name if hasattr(value, "folder") else value.tolist()

    return json.loads(json.dumps(value, default=plain))


def take_up(path: Path, key: Key, parts: dict) -> Progress | None:
    """Put `parts` into the state of the file `path`; returns how far that training has come."""
    about, again = path.with_suffix(".key.json"), ""
    if path.exists():
        state = read_weights(path)
        if not isinstance(state, dict) or "key" not in state:
            raise CheckpointError(f"{path}: not the state of a training; remove it to begin anew")
        if state["key"] == key.digest:
            for name, part in parts.items():
                if name in state:  # a complete training has the network only
                    part.load_state_dict(state[name])
            return Progress(
                losses=state["losses"],
                looks=state["looks"],
                plateau=state["plateau"],
                over=state["over"],
            )
        again = key.why_again([about]) or ("its settings changed" if about.is_file() else OLDER)
    if distributed.rank() == 0:
        key.write(about, again=again)
    return None


def write_down(path: Path, key: str, state: Progress, parts: dict) -> None:
    """Write the training's `state` and `parts` to `path`. Only the first process does so."""
    if distributed.rank() > 0:
        return
    states = {name: _on_cpu(part.state_dict()) for name, part in parts.items()}
    with replacing(path) as temporary:
        torch.save({"key": key, **state, **states}, temporary)


def _on_cpu(value: object) -> object:
    """The same state with every tensor on the processor: any machine can go on from it."""
    if isinstance(value, torch.Tensor):
        return value.cpu()
    if isinstance(value, dict):
        return {name: _on_cpu(part) for name, part in value.items()}
    return [_on_cpu(part) for part in value] if isinstance(value, list) else value
