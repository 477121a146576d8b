"""Save and load weights as safetensors with a JSON beside; loads no code.

Classifiers that others have published are recognised and loaded, too (see `published`).
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_model, save_file
from torch import nn

from scslib.jobs.files import replacing
from scslib.jobs.fingerprint import weights_checksum
from scslib.models import specs
from scslib.models.classifiers import build_classifier
from scslib.models.heads import HEADS, head_name, replace_head
from scslib.models.published import Family, recognise, rename, unwrap
from scslib.models.reading import CheckpointError, bounded, fill, read_weights
from scslib.models.resnet3d import set_eps
from scslib.models.samplers import SamplerNetwork
from scslib.models.views import View
from scslib.models.width import Network

log = logging.getLogger(__name__)


def save_classifier(
    path: str | Path,
    network: nn.Module,
    *,
    architecture: str,
    width: int,
    classes,
    view: View,
    settings: dict | None = None,
) -> None:
    """Write PATH (.safetensors) and PATH's .json: how to build it (see `build_classifier`), classes,
    preprocessing.

    Raises `ValueError` for a network that is not of this architecture, width and number of classes: it
    could not be loaded again.
    """
    names, settings = list(classes), settings or {}
    build = partial(build_classifier, architecture, len(names), width, settings)
    wanted = {} if architecture.startswith("code:") else _shapes(build)
    found = {key: list(value.shape) for key, value in network.state_dict().items()}
    if differing := _differing(wanted, found):
        wide = f"width {width} and {len(names)} classes"
        raise ValueError(f"network does not fit {architecture} of {wide} ({differing})")
    norms = (m.eps for m in network.modules() if isinstance(m, nn.BatchNorm3d))
    about = {
        "kind": "classifier",
        "architecture": architecture,
        "width": width,
        "classes": names,
        "settings": settings,
        "eps": next(norms, None),
        "input": specs.view_as_json(view),
    }
    _save(path, network, about)


def load_classifier(
    path: str | Path,
    *,
    classes: Sequence[str] | None = None,
    device: torch.device | str = "cpu",
) -> tuple[nn.Module, View, list[str]]:
    """The network of a classifier, what it sees, and its classes' names. The network is in evaluation
    mode on `device`.

    PATH is a checkpoint of the kit; or a published file (.pth, .pt, .safetensors) of torchvision, VMZ,
    ig65m-pytorch, mmaction2 (CSN), pytorch-i3d or kinetics_i3d_pytorch; or a classifier of another
    library or of yours, such as `torchvision:mc3_18/KINETICS400_V1` or `my_f.py:build` (see `specs`).
    The log says what it was taken for.

    `classes` names the classes: where the checkpoint has others, or another number of them, the head is
    made anew. A published file does not name its classes: they are "0", "1", ...
    Raises `CheckpointError` for everything that is not such a checkpoint.
    """
    if specs.is_spec(str(path)):
        network, view, names, _ = specs.load_spec(str(path))
    elif _is_own(path):
        network, view, names = _own(path)
    else:
        network, view, names = _published(path, read_weights(path), classes)
    if classes is not None:
        if len(classes) != len(names) or names not in (list(classes), _numbers(len(names))):
            log.info("%s: a new head for %d classes", path, len(classes))
            replace_head(network, len(classes))
        names = list(classes)
    return network.eval().to(device), view, names


def identify(path: str | Path) -> Family:
    """What `load_classifier` takes PATH for: its family, architecture, width and input.

    Raises `CheckpointError` for a file that is none.
    """
    if specs.is_spec(str(path)):
        return specs.family(str(path))
    if _is_own(path):
        return _own_family(path)[0]
    return _recognise(path, read_weights(path))[1]


def checkpoint_name(path: str | Path) -> str:
    """What a checkpoint is called in tables: the file's name; `mc3_18-KINETICS400_V1` by torchvision."""
    return specs.spec_short_name(str(path)) if specs.is_spec(str(path)) else Path(path).stem


def _is_own(path: str | Path) -> bool:
    return Path(path).suffix == ".safetensors" and Path(path).with_suffix(".json").is_file()


def _own_family(path: str | Path) -> tuple[Family, list[str]]:
    """Of a checkpoint of the kit, and the names of its classes."""
    about = _about(path, "classifier")
    with _complete(path):
        family = Family(
            "the kit",
            about["architecture"],
            specs.view_from_json(about["input"]),
            eps=about.get("eps"),
            width=about["width"],
            settings=about.get("settings", {}),
        )
        return family, about["classes"]


def _own(path: str | Path) -> tuple[nn.Module, View, list[str]]:
    family, names = _own_family(path)
    log.info("%s: a %s of the kit", path, family.architecture)
    with _complete(path):
        build = partial(build_classifier, family.architecture, len(names), family.width, family.settings)
        if family.architecture.startswith("code:"):
            network = build()
        else:
            network = _built(path, lambda: set_eps(build(), family.eps))
    return _load(path, network), family.view, names


@contextlib.contextmanager
def _complete(path: str | Path) -> Iterator[None]:
    """Within it, what makes no sense is PATH's .json, and is refused by name."""
    try:
        yield
    except CheckpointError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        raise CheckpointError(f"{path}: its .json is incomplete ({error})") from error


def _recognise(path: str | Path, content: object) -> tuple[dict[str, torch.Tensor], Family]:
    try:
        state = unwrap(content)
        family = recognise(state, Path(path).name)
        return rename(state, family), family
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _published(
    path: str | Path, content: object, classes: Sequence[str] | None
) -> tuple[nn.Module, View, list[str]]:
    state, family = _recognise(path, content)
    log.info("%s: %s of %s", path, family.architecture, family.name)
    rows = next((len(state[f"{h}.weight"]) for h in HEADS if f"{h}.weight" in state), 0)
    if not rows and classes is None:
        raise CheckpointError(f"{path}: {family.architecture} without a head: `classes` must be given")
    names = _numbers(rows) if rows or classes is None else list(classes)
    network = set_eps(build_classifier(family.architecture, len(names)), family.eps)
    if not rows:  # only the trunk was published
        head = head_name(network)
        state |= {k: v for k, v in network.state_dict().items() if k.startswith(f"{head}.")}
    try:
        fill(network, state)
    except ValueError as error:
        own = f"; a checkpoint of the kit needs {Path(path).with_suffix('.json').name} beside it"
        raise CheckpointError(
            f"{path}: has the marks of {family.name}'s {family.architecture}, but {error}"
            + own * (Path(path).suffix == ".safetensors")
        ) from error
    return network, family.view, names


def save_sampler(
    path: str | Path, network: SamplerNetwork, *, objective: str, classes, features: dict
) -> None:
    """Write PATH and its .json. `features`: how the videos were read, and the size of the pictures."""
    about = {"kind": "sampler", "objective": objective, "classes": list(classes), "features": features}
    _save(path, network, about | {"outputs": network.head.out_features} | network.settings)


def load_sampler(path: str | Path) -> tuple[SamplerNetwork, dict]:
    """The network of a sampler, in evaluation mode, and its .json's content."""
    about = _about(path, "sampler")
    with _complete(path):
        build = partial(
            SamplerNetwork,
            outputs=about["outputs"],
            width=about["width"],
            sound_width=about["sound_width"],
            backbone=about.get("backbone", "resnet18"),  # which earlier versions did not name
            iframe_trunk=about.get("iframe_trunk", ""),  # nor this
            modalities=tuple(about["modalities"]),
        )
        network = _built(path, build)
        bounded(about.get("features", {}))
    return _load(path, network), about


def fingerprint(path: str | Path) -> str:
    """A checksum of the weights and what is said of them: other results must not be taken for theirs."""
    if specs.is_spec(str(path)):
        return specs.spec_fingerprint(str(path))
    return weights_checksum(path)


def _save(path: str | Path, network: nn.Module, about: dict) -> None:
    path, text = Path(path), json.dumps(about, indent=2, ensure_ascii=False)
    with replacing(path) as weights, replacing(path.with_suffix(".json")) as description:
        state = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
        save_file(state, str(weights))
        description.write_text(text + "\n", encoding="utf-8")


def _about(path: str | Path, kind: str) -> dict:
    path = Path(path)
    for needed in (path, path.with_suffix(".json")):
        if not needed.is_file():
            raise CheckpointError(f"{needed}: no such file")
    try:
        about = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path.with_suffix('.json')}: not JSON ({error})") from error
    if not isinstance(about, dict) or about.get("kind") != kind:
        raise CheckpointError(f"{path}: not the checkpoint of a {kind}")
    return about


def _built(path: str | Path, build: Callable[[], Network]) -> Network:
    """`build()`, which takes no memory before the weights fit, whatever size is claimed."""
    try:
        wanted = _shapes(build)
        with safe_open(path, framework="pt") as file:
            found = {key: file.get_slice(key).get_shape() for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, RuntimeError) as error:
        raise _unfit(path, str(error).splitlines()[0]) from error
    if differing := _differing(wanted, found):
        raise _unfit(path, differing)
    return build()


def _shapes(build: Callable[[], nn.Module]) -> dict[str, list[int]]:
    """The shapes of the weights of `build()`, without the memory that they would take."""
    with torch.device("meta"):
        return {key: list(value.shape) for key, value in build().state_dict().items()}


def _differing(wanted: dict[str, list[int]], found: dict[str, list[int]]) -> str:
    """The first wanted weight that is not there in its shape, in words; empty if all are."""
    for key, shape in wanted.items():
        if found.get(key) != shape:
            return f"{key} is {found.get(key)}, not {shape}"
    return ""


def _unfit(path: str | Path, reason: str) -> CheckpointError:
    return CheckpointError(f"{path}: the weights do not fit the network ({reason})")


def _load(path: str | Path, network: Network) -> Network:
    try:
        load_model(network, str(path))
    except (SafetensorError, RuntimeError) as error:
        raise _unfit(path, str(error).splitlines()[0]) from error
    return network.eval()


def _numbers(count: int) -> list[str]:
    return [str(i) for i in range(count)]
