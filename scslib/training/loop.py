"""One plain training loop for all networks, and the file that it goes on from after a kill.

It runs where the network lies (see `devices`), in one process or, under torchrun, in several that share
each batch (see `distributed`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from scslib import devices
from scslib.files import replacing
from scslib.keys import OLDER, Key
from scslib.models.reading import CheckpointError, read_weights
from scslib.shards import Shards
from scslib.sources import code_of
from scslib.training import distributed

Batch = dict[str, torch.Tensor]


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
    about: object = None,
    stands_on: dict[str, object] | None = None,
    resume: Path | None = None,
    every: int = 100,
) -> np.ndarray:
    """Train `network` in place on `schedule.steps` batches; returns each step's loss (steps,).

    batch_of: the batch of step n or, of several processes, this one's rows of it; it depends on n
    alone. loss_of: a mean over the rows of such a batch. Both see the device of the network's weights.
    There, on an accelerator, long trainings have their batches made by other processes (`devices`), so
    that `batch_of` must be an object that can be pickled.

    resume: a file that the training is written to every so many steps, and goes on from where it is
    there, to the same numbers; complete, it keeps weights and losses, and nothing is trained again. A
    file of something else is not taken: of another schedule, other code, other weights to start from,
    other `about` (JSON), or of other results of earlier steps, `stands_on` (JSON, arrays, `Shards`).
    Raises `CheckpointError` for a file that is broken or holds more than numbers; loading it runs no
    code.
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
    parts, digest, losses = {"network": network, "optimizer": optimizer, "schedule": warmup}, "", []
    if resume:
        key = _key(network, batch_of, loss_of, title, [asdict(schedule), about], stands_on or {})
        digest, losses = key.digest, _take_up(resume, key, parts)
    remaining, hidden = range(len(losses), schedule.steps), None if distributed.rank() == 0 else True
    batches = _batches(batch_of, remaining, device)
    network.train()
    with distributed.across(network) as model:
        for batch in tqdm(
            batches, total=len(remaining), desc=title, unit="step", disable=hidden, leave=False
        ):
            batch = devices.put(batch, device)
            rows = len(next(iter(batch.values())))
            with devices.precision(device):
                own = loss_of(model, batch)
            loss, mean = distributed.weigh(own.float() if own.dtype == torch.bfloat16 else own, rows)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            warmup.step()
            losses.append(mean)
            complete = len(losses) == schedule.steps
            if resume and (complete or len(losses) % every == 0):
                _write_down(resume, digest, losses, {"network": network} if complete else parts)
    network.eval()
    return np.array(losses)


class _Steps(Dataset):
    """The batches of a training by number, for PyTorch's loader."""

    def __init__(self, batch_of: Callable[[int], Batch]):
        self.batch_of = batch_of

    def __getitem__(self, step: int) -> Batch:
        return self.batch_of(step)


def _batches(
    batch_of: Callable[[int], Batch], steps: range, device: torch.device, readers: int | None = None
) -> Iterator[Batch]:
    """The batches of `steps`, in order, made by other processes where `devices.readers` wants some."""
    readers = devices.readers(device, len(steps)) if readers is None else readers
    if not readers:
        yield from map(batch_of, steps)
        return
    yield from DataLoader(
        _Steps(batch_of),
        batch_size=None,
        sampler=steps,
        num_workers=readers,
        prefetch_factor=4,
        pin_memory=device.type == "cuda",
        multiprocessing_context="forkserver",
    )


def _key(
    network: nn.Module, batch_of: Callable, loss_of: Callable, title: str, about: object, stands_on: dict
) -> Key:
    """All that a training's result depends on."""
    weights = hashlib.sha256()
    for tensor in network.state_dict().values():
        weights.update(tensor.detach().cpu().numpy().tobytes())
    maker = batch_of if hasattr(batch_of, "__qualname__") else type(batch_of)
    loss_of = loss_of.func if isinstance(loss_of, partial) else loss_of
    code = code_of(fit, maker, loss_of, type(network))
    what = [about, next(network.parameters()).device.type]
    stands_on = {"starting weights": weights.hexdigest()} | stands_on
    return Key(title, _plain_json(what), code, _plain_json(stands_on))


def _plain_json(value: object) -> object:
    """JSON of what holds arrays and `Shards`, too; a shards' folder is named after all it depends on."""

    def plain(value: np.ndarray | np.generic | Shards) -> object:
        return value.folder.name if hasattr(value, "folder") else value.tolist()

    return json.loads(json.dumps(value, default=plain))


def _take_up(path: Path, key: Key, parts: dict) -> list[float]:
    """Put `parts` into the state of the file `path`; returns the losses so far."""
    about, again = path.with_suffix(".key.json"), ""
    if path.exists():
        state = read_weights(path)
        if not isinstance(state, dict) or "key" not in state:
            raise CheckpointError(f"{path}: not the state of a training; remove it to begin anew")
        if state["key"] == key.digest:
            for name, part in parts.items():
                if name in state:  # a complete training has the network only
                    part.load_state_dict(state[name])
            return state["losses"]
        again = key.why_again([about]) or ("its settings changed" if about.is_file() else OLDER)
    if distributed.rank() == 0:
        key.write(about, again=again)
    return []


def _write_down(path: Path, key: str, losses: list[float], parts: dict) -> None:
    if distributed.rank() > 0:
        return
    states = {name: _on_cpu(part.state_dict()) for name, part in parts.items()}
    with replacing(path) as temporary:
        torch.save({"key": key, "losses": losses} | states, temporary)


def _on_cpu(value: object) -> object:
    """The same state with every tensor on the processor: any machine can go on from it."""
    if isinstance(value, torch.Tensor):
        return value.cpu()
    if isinstance(value, dict):
        return {name: _on_cpu(part) for name, part in value.items()}
    return [_on_cpu(part) for part in value] if isinstance(value, list) else value
