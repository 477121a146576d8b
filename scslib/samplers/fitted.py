"""Samplers of yours that are trained: fit them, keep what they have learnt, load it again.

    @register_sampler("probe", reads=("motion",))
    class Probe:
        def fit(self, videos, labels, dense_scores):
            '''V `Clips`, their classes 0, 1, ..., and f's class probabilities (N, C) of their clips.'''
            self.weights = ...

        def saliency(self, clips):
            return features_of(clips) @ self.weights

What it has learnt must be in attributes: arrays, tensors, numbers, texts, lists and dictionaries of
these; or in layers of PyTorch that `__init__` makes. It is written as a checkpoint is, and loading it
runs no code but the class's own. `__init__` may take `seed`, the number of the training.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import nn

from scslib.jobs.files import replacing
from scslib.models.reading import CheckpointError
from scslib.samplers.base import Fitted
from scslib.samplers.clips import Clips
from scslib.samplers.names import Registry

FITTED, WHOLE = "sampler of a plugin", "module"


class Fitter(NamedTuple):
    """A class with `fit`, and what is read for it."""

    make: Any
    reads: tuple[str, ...]


FITTERS: Registry[Fitter] = Registry("trained sampler")


def fit_own(
    name: str,
    videos: Sequence[Clips],
    labels: Sequence[int],
    dense_scores: Sequence[np.ndarray],
    *,
    seed: int,
) -> Fitted:
    """Train the sampler `name`; see the module for what its `fit` gets.

    Raises `ValueError` where what it has learnt cannot be kept: after loading it must score as before.
    """
    if not videos:
        raise ValueError(f"sampler ({name!r}): no training videos to fit it to")
    torch.manual_seed(seed)
    one = _made(name, seed)
    one.fit(list(videos), list(labels), list(dense_scores))
    learnt = learnt_by(name, one, seed)
    before, after = (np.asarray(s.saliency(videos[0]), float) for s in (one, restored(name, learnt)))
    if before.shape != after.shape or not np.allclose(before, after, rtol=1e-4, atol=1e-6):
        again = "scores otherwise when it is loaded again"
        raise ValueError(f"sampler ({name!r}) {again}: keep what fit learns in attributes of self")
    return learnt


def _made(name: str, seed: int) -> Any:
    make = FITTERS[name].make
    return make(seed=seed) if "seed" in inspect.signature(make).parameters else make()


def learnt_by(name: str, one: Any, seed: int) -> Fitted:
    """What an object has in its attributes. Raises `ValueError` for one that cannot be kept."""
    arrays: dict[str, np.ndarray] = {}
    plain: dict[str, object] = {"seed": seed, "attributes": {}, "tensors": []}
    if isinstance(one, nn.Module):
        arrays |= {f"{WHOLE}/{key}": v.detach().cpu().numpy() for key, v in one.state_dict().items()}
        return Fitted(arrays, plain, FITTERS.origin(name).version)
    attributes: dict[str, object] = {}
    for key, value in vars(one).items():
        if isinstance(value, nn.Module):
            arrays |= {f"{key}/{k}": v.detach().cpu().numpy() for k, v in value.state_dict().items()}
        elif isinstance(value, torch.Tensor):
            arrays[key] = value.detach().cpu().numpy()
        elif isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
            arrays[key] = value
        elif _is_plain(value):
            attributes[key] = value
        else:
            given = f"sampler ({name!r}): attribute {key} ({type(value).__name__})"
            kinds = "arrays, tensors, numbers, texts, lists or dictionaries of these"
            raise ValueError(f"{given} cannot be kept; take {kinds}")
    plain |= {"attributes": attributes}
    plain["tensors"] = [key for key, value in vars(one).items() if isinstance(value, torch.Tensor)]
    return Fitted(arrays, plain, FITTERS.origin(name).version)


def _is_plain(value: object) -> bool:
    """Whether JSON gives the very same back."""
    try:
        return json.loads(json.dumps(value)) == value
    except (TypeError, ValueError):
        return False


def restored(name: str, learnt: Fitted) -> Any:
    """The object of the class `name` with what it has learnt.

    Raises `CheckpointError` where the class has been changed since, or does not fit.
    """
    if learnt.version != FITTERS.origin(name).version:
        changed = "its file has changed since it was trained"
        raise CheckpointError(f"sampler ({name!r}): {changed}; run notebook 05 again")
    one = _made(name, int(str(learnt.plain["seed"])))
    arrays = {key: torch.from_numpy(np.array(value)) for key, value in learnt.arrays.items()}
    try:
        if isinstance(one, nn.Module):
            one.load_state_dict({key.removeprefix(f"{WHOLE}/"): v for key, v in arrays.items()})
            return one.eval()
        _fill(one, learnt, arrays)
    except (RuntimeError, AttributeError, TypeError) as error:
        unfit = f"what it has learnt does not fit its class ({error})"
        raise CheckpointError(f"sampler ({name!r}): {unfit}") from error
    return one


def _fill(one: Any, learnt: Fitted, arrays: Mapping[str, torch.Tensor]) -> None:
    attributes, tensors = learnt.plain["attributes"], learnt.plain["tensors"]
    assert isinstance(attributes, dict) and isinstance(tensors, list)
    for key, value in attributes.items():
        setattr(one, key, value)
    layers: dict[str, dict[str, torch.Tensor]] = {}
    for key, value in arrays.items():
        attribute, slash, rest = key.partition("/")
        if slash:
            layers.setdefault(attribute, {})[rest] = value
        else:
            setattr(one, key, value if key in tensors else learnt.arrays[key])
    for attribute, state in layers.items():
        getattr(one, attribute).load_state_dict(state)
        getattr(one, attribute).eval()


def fitted_checkpoint(folder: Path, name: str, *, seed: int) -> Path:
    """The path of what a sampler of yours has learnt: FOLDER/own-NAME-seedN.safetensors."""
    return folder / f"own-{name}-seed{seed}.safetensors"


def save_fitted(path: Path, name: str, learnt: Fitted) -> None:
    """Write PATH (.safetensors), and PATH's .json."""
    about = {"kind": FITTED, "name": name, "version": learnt.version, "plain": learnt.plain}
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        save_file({key: np.ascontiguousarray(v) for key, v in learnt.arrays.items()}, temporary)
    with replacing(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(about, indent=2), encoding="utf-8")


def load_fitted(folder: Path, *, seed: int) -> dict[str, Fitted]:
    """What samplers of yours have learnt in a run, by their names.

    Raises `CheckpointError` for a broken file.
    """
    found = {}
    for path in sorted(folder.glob(f"own-*-seed{seed}.safetensors")):
        try:
            about = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            found[str(about["name"])] = as_fitted(about, load_file(path))
        except (OSError, ValueError, KeyError, TypeError, RecursionError, SafetensorError) as error:
            raise CheckpointError(f"{path}: broken ({error})") from error
    return found


def as_fitted(about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Fitted:
    """A fitted sampler's content, from a checkpoint's JSON and arrays. Raises `KeyError`, `TypeError`,
    `ValueError` if broken.
    """
    plain = about["plain"]
    if not isinstance(plain["attributes"], dict) or not isinstance(plain["tensors"], list):
        raise TypeError("attributes and tensors must be a dictionary and a list")
    plain = {"seed": int(plain["seed"]), "attributes": plain["attributes"], "tensors": plain["tensors"]}
    return Fitted(dict(arrays), plain, str(about["version"]))
