"""Read weights from untrusted files without running code."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
import torchvision
from safetensors.torch import load_file
from torch import nn
from torchvision.models import WeightsEnum

from scslib.models import torchvision_video

BY_NAME = "torchvision:"
MAGIC = (b"PK\x03\x04", b"\x80")  # torch.save since 2020, and before: both are read with weights_only


# What the settings beside weights may claim: they say how much of a video is held at a time
MOST = {"clip_len": 1024, "frames": 1024, "pictures": 1024, "crops": 3, "frame_rate": 1000}
SIDES = "resize", "crop"  # may be a pair: height and width
MOST |= dict.fromkeys(("iframe_size", "height", "width", "short_side", "size", *SIDES), 8192)


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message names the file and what is wrong."""


def read_weights(path: str | Path) -> object:
    """The content of a file of weights, on the CPU.

    The file is of safetensors (by its suffix) or of `torch.save`. Raises `CheckpointError` for anything
    else; there is no second try that would run a pickle's code.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with path.open("rb") as file:
            start = file.read(8)
        if not start.startswith(MAGIC):
            hint = f"; name its function, too: {path.name}:build" if path.suffix == ".py" else ""
            raise CheckpointError(f"{path}: not a file of weights (it begins with {start!r}){hint}")
        if start.startswith(MAGIC[0]):
            _refuse_bomb(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except Exception as error:  # a broken file can make the readers raise whatever they like
        raise CheckpointError(f"{path}: {_reason(error)}") from error


def _refuse_bomb(path: Path) -> None:
    """torch.save compresses nothing, so that its records are no longer than the file."""
    with zipfile.ZipFile(path) as archive:
        size = sum(record.file_size for record in archive.infolist())
    if size > path.stat().st_size:
        raise CheckpointError(f"{path}: would unpack to {size} bytes, more than torch.save writes")


def bounded(settings: Mapping[str, object]) -> Mapping[str, object]:
    """`settings` of how videos are read. Raises `ValueError` for one beyond `MOST`."""
    for name, most in MOST.items():
        value = settings.get(name, 0)
        kinds = (int, float) if name == "frame_rate" else int
        sides = value if isinstance(value, (list, tuple)) and name in SIDES else [value]
        if not all(isinstance(v, kinds) and 0 <= v <= most for v in sides):
            raise ValueError(f"{name} ({str(value)[:80]}) must be a number in 0..{most}")
    return settings


def named_weights(name: str) -> WeightsEnum:
    """The entry of torchvision's enums that e.g. `torchvision:mc3_18/KINETICS400_V1` means."""
    architecture, _, version = name.removeprefix(BY_NAME).partition("/")
    enums = {a: torchvision.models.get_model_weights(a) for a in torchvision_video.VIDEO_NETWORKS}
    if architecture in enums and version in enums[architecture].__members__:  # DEFAULT among them
        return enums[architecture][version]
    known = ", ".join(f"{BY_NAME}{a}/{weights.name}" for a in enums for weights in enums[a])
    raise CheckpointError(f"{name}: no such weights; torchvision has {known}")


def fetch_weights(name: str) -> dict[str, torch.Tensor]:
    """Download torchvision's weights, or take them from its cache. Raises `CheckpointError`."""
    weights = named_weights(name)
    try:
        return weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except Exception as error:  # no network, no space, a wrong checksum, a broken file in the cache
        reason = f"cannot be fetched from {weights.url} ({_reason(error)})"
        raise CheckpointError(f"{name}: {reason}") from error


def fill(network: nn.Module, state: Mapping[str, torch.Tensor]) -> nn.Module:
    """Load `state` into `network`. Raises `ValueError` that names keys and shapes that do not fit.

    Only the counters of batch normalisation may be missing: weights saved before 2018 have none.
    """
    expected = network.state_dict()
    state = {k: v for k, v in expected.items() if k.endswith("num_batches_tracked")} | dict(state)
    if missing := [k for k in expected if k not in state]:
        raise ValueError(f"{_some(missing)} missing")
    if unknown := [k for k in state if k not in expected]:
        raise ValueError(f"{_some(unknown)} not in the network")
    for key, tensor in expected.items():
        if state[key].shape != tensor.shape:
            raise ValueError(f"{key} {tuple(state[key].shape)} must be {tuple(tensor.shape)}")
    network.load_state_dict(state)
    return network


def _reason(error: Exception) -> str:
    """One line. PyTorch's own messages for pickles advise to run them: not passed on."""
    text = str(error)
    if called := re.search(r"GLOBAL '?([\w.]+)", text):
        return f"holds more than weights: reading it would call {called[1]}, so it is refused"
    if "weights_only" in text:
        return "holds more than weights, so it is refused"
    return (
        f"cannot be read ({type(error).__name__}: {text.splitlines()[0] if text else 'nothing in it'})"
    )


def _some(keys: Iterable[str]) -> str:
    keys = list(keys)
    more = (
        f" and {len(keys) - 3} more keys are" if len(keys) > 3 else " is" if len(keys) == 1 else " are"
    )
    return ", ".join(keys[:3]) + more
