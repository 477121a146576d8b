"""Weights as safetensors, with a JSON beside them that says what they are. Loading runs no code."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from torch import nn

from scslib.models.classifiers import ClassifierInput, build_classifier
from scslib.models.samplers import Sampler


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message names the file and what is wrong."""


def save_classifier(
    path: str | Path,
    network: nn.Module,
    *,
    architecture: str,
    width: int,
    classes,
    view: ClassifierInput,
) -> None:
    """Write PATH (.safetensors) and PATH's .json: architecture, width, classes, preprocessing."""
    about = {"architecture": architecture, "width": width, "classes": list(classes)}
    _save(path, network, {"kind": "classifier", **about, "input": asdict(view)})


def load_classifier(path: str | Path) -> tuple[nn.Module, ClassifierInput, list[str]]:
    """(network in evaluation mode, what it sees, names of its classes)."""
    about = _about(path, "classifier")
    try:
        view = ClassifierInput(**{k: _tuple(v) for k, v in about["input"].items()})
        network = build_classifier(about["architecture"], len(about["classes"]), about["width"])
    except (KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path}: its .json is incomplete ({error})") from error
    return _load(path, network), view, about["classes"]


def save_sampler(path: str | Path, network: Sampler, *, objective: str, classes, features: dict) -> None:
    """Write PATH and its .json. `features`: how the videos were read, and the size of the pictures."""
    about = {"objective": objective, "classes": list(classes), "features": features}
    about |= {"outputs": network.head.out_features, **network.settings}
    _save(path, network, {"kind": "sampler", **about})


def load_sampler(path: str | Path) -> tuple[Sampler, dict]:
    """(network in evaluation mode, the .json's content)."""
    about = _about(path, "sampler")
    try:
        settings = (about["outputs"], about["width"], about["sound_width"])
        network = Sampler(tuple(about["modalities"]), *settings)
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: its .json is incomplete ({error})") from error
    return _load(path, network), about


def fingerprint(path: str | Path) -> str:
    """Of the weights' bytes: results computed with other weights must not be taken for these."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]


def _save(path: str | Path, network: nn.Module, about: dict) -> None:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_model(network, str(path))
    text = json.dumps(about, indent=2, ensure_ascii=False)
    path.with_suffix(".json").write_text(text + "\n", encoding="utf-8")


def _about(path: str | Path, kind: str) -> dict:
    path = Path(path)
    for needed in (path, path.with_suffix(".json")):
        if not needed.is_file():
            raise CheckpointError(f"{needed}: no such file")
    try:
        about = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path.with_suffix('.json')}: not JSON ({error})") from error
    if not isinstance(about, dict) or about.get("kind") != kind:
        raise CheckpointError(f"{path}: not the checkpoint of a {kind}")
    return about


def _load(path: str | Path, network: nn.Module) -> nn.Module:
    try:
        load_model(network, str(path))
    except (SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{path}: the weights do not fit the network ({reason})") from error
    return network.eval()


def _tuple(value):
    return tuple(value) if isinstance(value, list) else value
