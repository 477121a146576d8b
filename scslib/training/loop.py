"""One plain training loop for all networks, and the file that it goes on from after a kill.

It runs where the network lies (see `devices`), in one process or, under torchrun, in several that share
each batch (see `distributed`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from scslib.jobs import devices
from scslib.jobs.files import replacing
from scslib.jobs.fingerprint import code_of
from scslib.jobs.keys import OLDER, Key
from scslib.jobs.shard_files import Shards
from scslib.models.reading import CheckpointError, read_weights
from scslib.training import distributed

Batch = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Schedule:
    """How long a network is trained with AdamW, on batches of `batch` clips.

    look_every = 0: for `steps` batches; the learning rate rises to `lr` and falls to 0.
    Else: until the loss on validation videos falls no longer, and for `steps` batches at most. Every
    `look_every` batches that loss is looked at; when `patience` looks in a row, after the first `least`
    batches, were not the lowest yet, the learning rate, at first `lr`, is divided by 4; when that has
    happened `DROPS` times, the training is over, and the network has the weights of the lowest look.
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
LOOK_BATCHES = 8  # of validation clips, the same for every look


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


def fit(
    network: nn.Module,
    batch_of: Callable[[int], Batch],
    loss_of: Callable[[nn.Module, Batch], torch.Tensor],
    schedule: Schedule,
    *,
    title: str,
    validation: Callable[[int], Batch] | None = None,
    about: object = None,
    stands_on: dict[str, object] | None = None,
    resume: Path | None = None,
    every: int = 100,
) -> Curve:
    """Train `network` in place, as `schedule` says.

    batch_of: the batch of step n or, of several processes, this one's rows of it; it depends on n
    alone. loss_of: a mean over the rows of such a batch. Both see the device of the network's weights.
    There, on an accelerator, long trainings have their batches made by other processes (`devices`), so
    that `batch_of` must be an object that can be pickled. validation: the batches that are looked at,
    0 to LOOK_BATCHES - 1, where the schedule wants looks.

    resume: a file that the training is written to every so many steps, and goes on from where it is
    there, to the same numbers; complete, it keeps weights and losses, and nothing is trained again. A
    file of something else is not taken: of another schedule, other code, other weights to start from,
    other `about` (JSON), or of other results of earlier steps, `stands_on` (JSON, arrays, `Shards`).
    Raises `CheckpointError` for a file that is broken or holds more than numbers; loading it runs no
    code. Raises `ValueError` for a schedule with looks and nothing to look at.
    """
    if every < 1:
        raise ValueError(f"every ({every}) must be > 0")
    if schedule.look_every and validation is None:
        raise ValueError(f"look_every ({schedule.look_every}) must be 0: no validation videos are given")
    device = next(network.parameters()).device
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=schedule.lr, weight_decay=schedule.weight_decay
    )
    pace = (_Plateau if schedule.look_every else _OneCycle)(optimizer, schedule)
    parts, digest = {"network": network, "optimizer": optimizer, "pace": pace}, ""
    state = {"losses": [], "looks": [], "plateau": False, "over": False}
    if resume:
        key = _key(network, batch_of, loss_of, title, [asdict(schedule), about], stands_on or {})
        digest, state = key.digest, _take_up(resume, key, parts) or state
    losses, looks = state["losses"], state["looks"]
    remaining = range(len(losses), len(losses) if state["over"] else schedule.steps)
    batches = _batches(batch_of, remaining, device)
    hidden = None if distributed.rank() == 0 else True
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
            pace.step()
            losses.append(mean)
            if schedule.look_every and len(losses) % schedule.look_every == 0:
                seen = distributed.as_the_first(lambda: _look(network, validation, loss_of, device))
                looks.append([len(losses), seen])
                state["plateau"] = pace.see(seen, network, len(losses))
            state["over"] = state["plateau"] or len(losses) == schedule.steps
            if state["over"]:
                pace.settle(network)
            if resume and (state["over"] or len(losses) % every == 0):
                _write_down(resume, digest, state, {"network": network} if state["over"] else parts)
            if state["over"]:
                break
    network.eval()
    return Curve(np.array(losses), np.array(looks).reshape(-1, 2), state["plateau"])


def _look(network: nn.Module, validation: Callable, loss_of: Callable, device: torch.device) -> float:
    """The mean loss of the validation batches."""
    network.eval()
    with torch.inference_mode(), devices.precision(device):
        batches = (devices.put(validation(number), device) for number in range(LOOK_BATCHES))
        found = [loss_of(network, batch).float().item() for batch in batches]
    network.train()
    return float(np.mean(found))


class _OneCycle:
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


class _Plateau:
    """The learning rate falls when the validation loss does not; the weights of the lowest are kept."""

    def __init__(self, optimizer: torch.optim.Optimizer, schedule: Schedule):
        self._rate = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=0.25, patience=schedule.patience - 1, threshold=0.0
        )
        self._least = schedule.lr * 0.25 ** (DROPS - 0.5)
        self._first, self._lowest, self._weights = schedule.least, np.inf, {}

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


def _take_up(path: Path, key: Key, parts: dict) -> dict | None:
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
            return {name: state[name] for name in ("losses", "looks", "plateau", "over")}
        again = key.why_again([about]) or ("its settings changed" if about.is_file() else OLDER)
    if distributed.rank() == 0:
        key.write(about, again=again)
    return None


def _write_down(path: Path, key: str, state: dict, parts: dict) -> None:
    if distributed.rank() > 0:
        return
    states = {name: _on_cpu(part.state_dict()) for name, part in parts.items()}
    with replacing(path) as temporary:
        torch.save({"key": key} | state | states, temporary)


def _on_cpu(value: object) -> object:
    """The same state with every tensor on the processor: any machine can go on from it."""
    if isinstance(value, torch.Tensor):
        return value.cpu()
    if isinstance(value, dict):
        return {name: _on_cpu(part) for name, part in value.items()}
    return [_on_cpu(part) for part in value] if isinstance(value, list) else value
