"""Choose where networks run: processor or accelerator, precision, batch sizes.

device = choose("auto")                cuda where there is one, else mps, else cpu
batch = put(batch, device)             the tensors there
with precision(device): ...            bfloat16 where that is quicker, else as it is
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import islice, repeat
from typing import TypeVar

import torch
from torch import distributed

from scslib.jobs.allocator import keep_freed_memory
from scslib.jobs.threads import ahead, cores

Item = TypeVar("Item")

CLIPS_AT_ONCE = 16  # on a processor, whose caches are small
CLIPS_ON_ACCELERATOR = 64
MOST_READERS = 8
FEWEST_STEPS = 64  # for which it pays to start processes that read

keep_freed_memory()


class DeviceError(ValueError):
    """A device that is not here; the message names those that are."""


def choose(name: str = "auto") -> torch.device:
    """The device called `name`: auto, cpu, cuda, cuda:1, mps, or another one that PyTorch has here.

    auto: the own GPU of a process that torchrun started; else the first of cuda and mps that is there;
    else cpu. Raises `DeviceError`, a `ValueError`, where there is no such device.
    """
    if name == "auto":
        if distributed.is_available() and distributed.is_initialized():
            gpu = distributed.get_backend() == "nccl"
            return torch.device("cuda", torch.cuda.current_device()) if gpu else torch.device("cpu")
        name = next((kind for kind in ("cuda", "mps") if _count(kind)), "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise DeviceError(f"device ({name!r}) must be auto, cpu, cuda, cuda:N or mps") from error
    if device.type == "cpu":
        return torch.device("cpu")
    if (device.index or 0) >= _count(device.type):
        raise DeviceError(f"device ({name!r}) is not here; there is {', '.join(_available())}")
    return device


def _count(kind: str) -> int:
    """How many devices of a kind PyTorch can use here."""
    try:
        module = torch.get_device_module(kind)
        return int(module.device_count()) if module.is_available() else 0
    except (RuntimeError, AttributeError):
        return 0


def _available() -> list[str]:
    return ["cpu", *(f"{kind}:{n}" for kind in ("cuda", "mps") for n in range(_count(kind)))]


def describe(device: torch.device) -> str:
    """A device in words, such as "cuda:0, NVIDIA H100"."""
    if device.type != "cuda":
        return str(device)
    index = torch.cuda.current_device() if device.index is None else device.index
    return f"cuda:{index}, {torch.cuda.get_device_name(index)}"


def put(batch: dict[str, torch.Tensor], device: torch.device) -> dict[str, torch.Tensor]:
    """The tensors of a batch on `device`; on a GPU they are copied while it computes."""
    return {name: _put(tensor, device) for name, tensor in batch.items()}


def _put(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    if device.type == "cuda" and not tensor.is_pinned():
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=device.type == "cuda")


def precision(device: torch.device) -> AbstractContextManager:
    """Mixed precision for f and for training: bfloat16 on cuda, else what the weights have.

    Samplers score without it: bfloat16 has eight bits, and clips that are nearly alike would tie.
    """
    if device.type == "cuda":
        return torch.autocast("cuda", torch.bfloat16)
    return contextlib.nullcontext()


def synchronise() -> None:
    """Wait until the GPU has done its work. Only then does a clock tell the truth."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()
    elif torch.backends.mps.is_available():
        torch.mps.synchronize()


def clips_at_once(device: torch.device) -> int:
    """How many clips a network is shown at a time."""
    return CLIPS_AT_ONCE if device.type == "cpu" else CLIPS_ON_ACCELERATOR


def readers(device: torch.device, steps: int) -> int:
    """How many processes make the batches of a training of so many steps; 0: this one does.

    A processor trains and reads by turns: it has no core to spare.
    """
    if device.type == "cpu" or steps < FEWEST_STEPS:
        return 0
    return min(MOST_READERS, max(1, cores() - 1))


def in_batches(items: Iterator[Item], device: torch.device) -> Iterator[list[Item]]:
    """Items, `clips_at_once` at a time. For an accelerator a thread makes the next ones meanwhile."""
    size = clips_at_once(device)
    if device.type == "cpu":
        while some := list(islice(items, size)):
            yield some
        return
    with ThreadPoolExecutor(1) as pool:
        for some in ahead(pool, lambda _: list(islice(items, size)), repeat(None), depth=2):
            if not some:
                return
            yield some
