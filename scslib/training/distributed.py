"""Training on several devices, one process each, started by torchrun.

Every process draws the same batch, takes its own rows of it, and ends the step with the same weights
as one process that had taken all rows, but for rounding. For P processes with n_p of N rows each:

    gradient of the mean over N  =  1/P sum_p gradient of (P n_p / N) loss_p

The left is wanted, and the right is what DistributedDataParallel makes of losses so weighted. Batch
norms take their means and variances over the rows of all processes, too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import TypeVar

import torch
from torch import distributed, nn
from torch.distributed.nn.functional import all_reduce
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

Made = TypeVar("Made")

WAIT = timedelta(days=1)  # the first process may read videos for hours; torchrun ends who waits in vain


@contextmanager
def group_joined() -> Iterator[None]:
    """A member of torchrun's group (its RANK, WORLD_SIZE, LOCAL_RANK) in here: nccl on GPUs, else gloo.

    Raises `ValueError` where a machine has fewer GPUs than processes.
    """
    if "RANK" not in os.environ or distributed.is_initialized():
        yield
        return
    gpus, local = torch.cuda.device_count(), int(os.environ["LOCAL_RANK"])
    if gpus:
        if local >= gpus:
            raise ValueError(f"nproc-per-node (at least {local + 1}) must be at most {gpus}, one a GPU")
        torch.cuda.set_device(local)
    distributed.init_process_group("nccl" if gpus else "gloo", timeout=WAIT)
    try:
        yield
    finally:
        distributed.destroy_process_group()


def rank() -> int:
    """The number of this process, 0 where there is one only. The first one writes the files."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def size() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def once(make: Callable[[], Made]) -> Made:
    """`make()` in the first process, then in the others. For these its files are there already."""
    first = rank() == 0
    if first:
        made = make()
    if size() > 1:
        distributed.barrier()
    return made if first else make()


def as_the_first(measure: Callable[[], float]) -> float:
    """The first process's value of `measure`, in all processes. The first one alone measures."""
    found = torch.tensor(measure() if rank() == 0 else 0.0, dtype=torch.float64)
    if size() > 1:
        found = found.to("cuda") if distributed.get_backend() == "nccl" else found
        distributed.broadcast(found, 0)
    return found.item()


def own_rows(count: int, unit: int, share: tuple[int, int]) -> range:
    """A process's rows of a batch of `count`, in order. They are cut between units of so many rows.

    share: its `rank` and the `size`. Raises `ValueError` where a process would have none.
    """
    (number, processes), units = share, count // unit
    if units < processes:
        raise ValueError(
            f"batch ({count} clips) must have {unit} or more for each of the {processes} processes"
        )
    first, last = (units * n // processes * unit for n in (number, number + 1))
    return range(first, last)


def weigh(loss: torch.Tensor, rows: int) -> tuple[torch.Tensor, float]:
    """The loss that this process must differentiate, and the mean loss over all. It comes of its own
    rows' mean.
    """
    if size() == 1:
        return loss, loss.item()
    total = torch.tensor([loss.item() * rows, rows], dtype=torch.float64, device=loss.device)
    distributed.all_reduce(total)
    summed, count = total.tolist()
    return loss * (size() * rows / count), summed / count


@contextmanager
def across(network: nn.Module) -> Iterator[nn.Module]:
    """`network` as training must call it: its gradients and batch norms go over all processes."""
    if size() == 1:
        yield network
        return
    # nn.SyncBatchNorm would be another module, and is for GPUs only
    norms = [m for m in network.modules() if isinstance(m, _BatchNorm)]
    for norm in norms:
        vars(norm)["forward"] = partial(_normalise, norm)
    try:
        yield DistributedDataParallel(network, broadcast_buffers=False)
    finally:
        for norm in norms:
            del vars(norm)["forward"]


def _normalise(norm: _BatchNorm, x: torch.Tensor) -> torch.Tensor:
    """Batch normalisation of x (B, C, ...) in training, by the rows of all processes."""
    if not norm.training:
        return type(norm).forward(norm, x)
    seen, means, variances = norm.num_batches_tracked, norm.running_mean, norm.running_var
    if seen is None or means is None or variances is None or norm.momentum is None or not norm.affine:
        raise ValueError(f"{norm} must have weights, running means and a momentum in several processes")
    shape, dims = [1, -1] + [1] * (x.ndim - 2), [d for d in range(x.ndim) if d != 1]
    var, mean = (own.double() for own in torch.var_mean(x, dims, correction=0))
    rows = mean.new_tensor([x.numel() // x.shape[1]])
    total = all_reduce(torch.cat([rows * mean, rows * (var + mean.square()), rows]))
    count = total[-1].detach()
    mean, square = (total[:-1] / count).chunk(2)
    var = (square - mean.square()).to(x.dtype)  # float64 until here: a small difference of large numbers
    mean = mean.to(x.dtype)
    with torch.no_grad():
        seen.add_(1)
        means.lerp_(mean, norm.momentum)
        variances.lerp_(var * (count / (count - 1)).item(), norm.momentum)
    scale = norm.weight * (var + norm.eps).rsqrt()
    return x * scale.view(shape) + (norm.bias - mean * scale).view(shape)
