"""A stand-in for an accelerator: a device of PyTorch's own kind, written in Python, that computes on the
processor and refuses tensors that lie elsewhere.

Processes that have this folder in PYTHONPATH have the device `standin` (see sitecustomize.py). Where the
environment names a file in STANDIN_LOG, every call of a network is a line of JSON in it: the network's
class, and the devices of its weights and of what it is given.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from torch.utils import _pytree as tree
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

aten = torch.ops.aten


class Backend:
    """What PyTorch asks of a kind of device."""

    is_available = is_initialized = staticmethod(lambda: True)
    device_count = staticmethod(lambda: 1)
    current_device = staticmethod(lambda: 0)
    _is_in_bad_fork = staticmethod(lambda: False)
    manual_seed_all = synchronize = staticmethod(lambda *_: None)


_setup_privateuseone_for_python_backend("standin", backend_module=Backend)
HERE = torch.device("standin", 0)


class Standin(torch.Tensor):
    """A tensor there; `raw` is the one of the processor that holds its values."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, raw: torch.Tensor):
        about = {"strides": raw.stride(), "storage_offset": raw.storage_offset(), "dtype": raw.dtype}
        return torch.Tensor._make_wrapper_subclass(cls, raw.shape, device=HERE, **about)

    def __init__(self, raw: torch.Tensor):
        self.raw = raw

    @classmethod
    def __torch_dispatch__(cls, op, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        device, leaves = kwargs.get("device"), tree.tree_leaves((args, kwargs))
        own = {id(t.raw): t for t in leaves if isinstance(t, Standin)}
        for t in leaves:
            other = isinstance(t, torch.Tensor) and not isinstance(t, Standin)
            if other and t.dim() and op not in (aten.copy_.default, aten._to_copy.default):
                raise RuntimeError(f"{op}: all tensors must be on {HERE}, one is on {t.device}")
        if device is not None:
            kwargs["device"] = torch.device("cpu")
        args_, kwargs_ = tree.tree_map(_raw, (args, kwargs))
        with torch.inference_mode(False), torch.no_grad():  # autograd has done its part
            return cls._wrap(op, args, OWN.get(op, op)(*args_, **kwargs_), device, own)

    @staticmethod
    def _wrap(op, args, made, device, own):
        if device is not None and torch.device(device).type == "cpu":
            return made
        if op is aten.copy_.default and not isinstance(args[0], Standin):
            return args[0]
        return tree.tree_map(lambda t: own[id(t)] if id(t) in own else _wrapped(t), made)


def _lstm_cell(inputs, hidden, cx, input_bias=None, hidden_bias=None):
    gates = sum(t for t in (inputs, hidden, input_bias, hidden_bias) if t is not None)
    i, f, g, o = (fn(t) for fn, t in zip(LSTM, gates.chunk(4, 1), strict=True))
    cy = f * cx + i * g
    return o * cy.tanh(), cy, torch.cat([i, f, g, o], 1)


def _lstm_cell_backward(grad_hy, grad_cy, cx, cy, workspace, has_bias):
    (i, f, g, o), hidden = workspace.chunk(4, 1), cy.tanh()
    grad_hy = torch.zeros_like(cy) if grad_hy is None else grad_hy
    grad = grad_hy * o * (1 - hidden**2) + (0 if grad_cy is None else grad_cy)
    parts = [grad * g * i * (1 - i), grad * cx * f * (1 - f), grad * i * (1 - g**2)]
    gates = torch.cat([*parts, grad_hy * hidden * o * (1 - o)], 1)
    return gates, grad * f, gates.sum(0) if has_bias else None


LSTM = torch.sigmoid, torch.sigmoid, torch.tanh, torch.sigmoid
OWN = {  # PyTorch has these for accelerators only
    aten._thnn_fused_lstm_cell.default: _lstm_cell,
    aten._thnn_fused_lstm_cell_backward_impl.default: _lstm_cell_backward,
}


def _raw(value):
    return value.raw if isinstance(value, Standin) else value


def _wrapped(value):
    return Standin(value) if isinstance(value, torch.Tensor) else value


@torch.library.impl("aten::empty_strided", "PrivateUse1")
def empty_strided(size, stride, *, dtype=None, layout=None, device=None, pin_memory=None):
    return Standin(torch.empty_strided(size, stride, dtype=dtype))


@torch.library.impl("aten::empty.memory_format", "PrivateUse1")
def empty(size, *, dtype=None, layout=None, device=None, pin_memory=None, memory_format=None):
    return Standin(torch.empty(size, dtype=dtype, memory_format=memory_format))


@torch.library.impl("aten::_copy_from", "PrivateUse1")
def copy_from(source, target, non_blocking=False):
    _raw(target).copy_(_raw(source))
    return target


_depth = 0


def _before(network, given):
    global _depth
    _depth += 1
    if _depth > 1 or "STANDIN_LOG" not in os.environ:
        return
    row = {"network": type(network).__name__, "process": os.getpid()}
    row["weights"] = sorted({str(t.device) for t in network.state_dict().values() if t.dim()})
    inputs = [t for t in tree.tree_leaves(given) if isinstance(t, torch.Tensor)]
    row["inputs"] = sorted({str(t.device) for t in inputs})
    with Path(os.environ["STANDIN_LOG"]).open("a") as log:
        log.write(json.dumps(row) + "\n")


def _after(network, given, made):
    global _depth
    _depth -= 1


torch.nn.modules.module.register_module_forward_pre_hook(_before)
torch.nn.modules.module.register_module_forward_hook(_after, always_call=True)
