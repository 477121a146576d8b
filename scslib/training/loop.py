"""The training loop of all networks.

It runs where the network lies (see `devices`), in one process or, under torchrun, in several that share
each batch (see `distributed`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from scslib.jobs import devices
from scslib.training import distributed
from scslib.training.losses import Batch
from scslib.training.resume import Progress, take_up, training_key, write_down
from scslib.training.schedule import Curve, OneCycle, Plateau, Schedule

LOOK_BATCHES = 8  # of validation clips, the same for every look


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
    readers: int | None = None,
) -> Curve:
    """Train `network` in place, as `schedule` says.

    batch_of: the batch of step n or, of several processes, this one's rows of it; it depends on n
    alone. loss_of: a mean over the rows of such a batch. Both see the device of the network's weights.
    There, on an accelerator, long trainings have their batches made by `readers` other processes, as
    many as `devices` says by default, so that `batch_of` must be an object that can be pickled.
    validation: the batches that are looked at, 0 to LOOK_BATCHES - 1, where the schedule wants looks.

    resume: a file that the training is written to every so many steps, and goes on from where it is
    there, to the same numbers; complete, it keeps weights and losses, and nothing is trained again. A
    file of something else is not taken: of another schedule, other code, other weights to start from,
    other `about` (JSON), or of other results of earlier steps, `stands_on` (JSON, arrays, `Shards`).
    Raises `CheckpointError` for a file that is broken or holds more than numbers; loading it runs no
    code. Raises `ValueError` for a schedule with looks and nothing to look at.
    """
    _check(schedule, validation, every)
    device = next(network.parameters()).device
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=schedule.lr, weight_decay=schedule.weight_decay
    )
    pace = (Plateau if schedule.look_every else OneCycle)(optimizer, schedule)
    parts, digest = {"network": network, "optimizer": optimizer, "pace": pace}, ""
    state = Progress(losses=[], looks=[], plateau=False, over=False)
    if resume:
        key = training_key(
            network, batch_of, loss_of, title, [asdict(schedule), about], stands_on or {}, loop=fit
        )
        digest, state = key.digest, take_up(resume, key, parts) or state
    losses = state["losses"]
    remaining = range(len(losses), len(losses) if state["over"] else schedule.steps)
    batches = _batches(batch_of, remaining, device, readers)
    look = partial(_look, network, validation, loss_of, device) if validation is not None else None
    network.train()
    with distributed.across(network) as model:
        if not losses:
            _take_note(state, network, pace, schedule, look)  # of what it begins with
        for batch in _with_bar(batches, len(remaining), title):
            losses.append(_step(model, devices.put(batch, device), loss_of, optimizer, device))
            pace.step()
            _take_note(state, network, pace, schedule, look)
            if resume and (state["over"] or len(losses) % every == 0):
                write_down(resume, digest, state, {"network": network} if state["over"] else parts)
            if state["over"]:
                break
    network.eval()
    return Curve(np.array(losses), np.array(state["looks"]).reshape(-1, 2), state["plateau"])


def _check(schedule: Schedule, validation: Callable | None, every: int) -> None:
    if every < 1:
        raise ValueError(f"every ({every}) must be > 0")
    if schedule.look_every and validation is None:
        raise ValueError(f"look_every ({schedule.look_every}) must be 0: no validation videos are given")


def _with_bar(batches: Iterator[Batch], steps: int, title: str) -> Iterable[Batch]:
    """The batches with a bar that shows how many have gone by; the first process alone draws it."""
    hidden = None if distributed.rank() == 0 else True
    return tqdm(batches, total=steps, desc=title, unit="step", disable=hidden, leave=False)


def _step(
    model: nn.Module,
    batch: Batch,
    loss_of: Callable,
    optimizer: torch.optim.Optimizer,
    device: torch.device,
) -> float:
    """One step of the optimizer; the mean loss of the batch before it, over all processes."""
    with devices.precision(device):
        own = loss_of(model, batch)
    rows = len(next(iter(batch.values())))
    loss, mean = distributed.weigh(own.float() if own.dtype == torch.bfloat16 else own, rows)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    optimizer.step()
    return mean


def _take_note(
    state: Progress,
    network: nn.Module,
    pace: Plateau | OneCycle,
    schedule: Schedule,
    look: Callable[[], float] | None,
) -> None:
    """Look at the validation batches if it is time to, and end the training if it is."""
    step = len(state["losses"])
    if isinstance(pace, Plateau) and look is not None and step % schedule.look_every == 0:
        seen = distributed.as_the_first(look)
        state["looks"].append([step, seen])
        state["plateau"] = pace.see(seen, network, step)
    state["over"] = state["plateau"] or step == schedule.steps
    if state["over"]:
        pace.settle(network)


def _look(network: nn.Module, validation: Callable, loss_of: Callable, device: torch.device) -> float:
    """The mean loss of the validation batches."""
    network.eval()
    with torch.inference_mode(), devices.precision(device):
        batches = (devices.put(validation(number), device) for number in range(LOOK_BATCHES))
        found = [loss_of(network, batch).float().item() for batch in batches]
    network.train()
    return float(np.mean(found))


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
