"""Recognise published checkpoints and rename their weights.

A family is told by a few keys; torchvision's, VMZ's and pytorch-i3d's names are the kit's own, those of
mmaction2 and kinetics_i3d_pytorch are rewritten. Preprocessing and the eps of batch normalisation belong
to the family, not to the architecture: mmaction2 and VMZ normalise the same CSN in two ways.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch

from scslib.models import torchvision_video
from scslib.models.views import LARGE_INPUT, LONG, SYMMETRIC, View
from scslib.models.width import FULL_WIDTH

log = logging.getLogger(__name__)

WRAPPERS = ("state_dict", "model_state", "model")
PREFIXES = ("module.", "model.", "backbone.")
MARKERS = {
    "stem.0.weight": "torchvision, VMZ or ig65m-pytorch",
    "conv1.conv.weight": "mmaction2 CSN",
    "Conv3d_1a_7x7.conv3d.weight": "pytorch-i3d",
    "conv3d_1a_7x7.conv3d.weight": "kinetics_i3d_pytorch",
}
# 0..255, as mmaction2 writes them, for weights that began with IG-65M
IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)

MMACTION = (
    (r"^conv1\.conv\.", "stem.0."),
    (r"^conv1\.bn\.", "stem.1."),
    (r"\.conv([13])\.conv\.", r".conv\1.0."),
    (r"\.conv([13])\.bn\.", r".conv\1.1."),
    (r"\.downsample\.conv\.", ".downsample.0."),
    (r"\.downsample\.bn\.", ".downsample.1."),
    (r"^cls_head\.fc_cls\.", "fc."),
)
MMACTION_IR = ((r"\.conv2\.0\.conv\.", ".conv2.0."), (r"\.conv2\.0\.bn\.", ".conv2.1."))
MMACTION_IP = (
    (r"\.conv2\.0\.conv\.", ".conv2.0.0."),
    (r"\.conv2\.0\.bn\.", ".conv2.0.1."),
    (r"\.conv2\.1\.conv\.", ".conv2.0.2."),
    (r"\.conv2\.1\.bn\.", ".conv2.1."),
)
HASSONY = (
    (r"^conv3d_0c_1x1\.", "logits."),
    (r"^conv3d_", "Conv3d_"),
    (r"^mixed_", "Mixed_"),
    (r"\.branch_0\.", ".b0."),
    (r"\.branch_([12])\.0\.", r".b\1a."),
    (r"\.branch_([123])\.1\.", r".b\1b."),
    (r"\.batch3d\.", ".bn."),
)


@dataclass(frozen=True)
class Family:
    """The family of a checkpoint: where it comes from, and what follows from it.

    eps: of batch normalisation; None, as the architecture has it. renames: patterns and replacements.
    settings: what else `build_classifier` needs.
    """

    name: str
    architecture: str
    view: View
    eps: float | None = 1e-3
    renames: tuple[tuple[str, str], ...] = ()
    width: int = FULL_WIDTH
    settings: dict = field(default_factory=dict)


def unwrap(content: object) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint by name, out of their wrappers and without prefixes.

    Raises `ValueError` for anything but a dictionary of tensors, and for names that coincide.
    """
    while isinstance(content, Mapping) and (inner := [w for w in WRAPPERS if w in content]):
        content = content[inner[0]]
    if not isinstance(content, Mapping):
        raise ValueError(f"content ({type(content).__name__}) must be a dictionary of tensors")
    state = {}
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            raise ValueError(f"{key!r} ({type(value).__name__}) must be the name of a tensor")
        while prefix := next((p for p in PREFIXES if key.startswith(p)), ""):
            key = key[len(prefix) :]
        if key in state:
            raise ValueError(f"{key!r} is there twice, with and without a prefix")
        state[key] = value
    return state


def recognise(state: Mapping[str, torch.Tensor], file_name: str = "") -> Family:
    """The family of unwrapped weights.

    The published `file_name` settles what the weights do not show: the length of R(2+1)D-34's clips
    (`clip8`) and how mmaction2 normalised (`ig65m`). Raises `ValueError` for weights of no or of two
    families, and for networks that look alike but are others.
    """
    found = [marker for marker in MARKERS if marker in state]
    if len(found) > 1:
        raise ValueError("keys of two families: " + " and ".join(f"{m} ({MARKERS[m]})" for m in found))
    if not found:
        raise _unknown(state, *MARKERS)
    if found[0] == "conv1.conv.weight":
        return _mmaction(state, file_name)
    if found[0] == "Conv3d_1a_7x7.conv3d.weight":
        return Family("pytorch-i3d", "i3d", SYMMETRIC)
    if found[0] == "conv3d_1a_7x7.conv3d.weight":
        return Family("kinetics_i3d_pytorch", "i3d", SYMMETRIC, renames=HASSONY)
    return _video_resnet(state, file_name)


def rename(state: Mapping[str, torch.Tensor], family: Family) -> dict[str, torch.Tensor]:
    """The tensors under the kit's names. Raises `ValueError` where two get the same name."""
    out = {}
    for key, value in state.items():
        new = key
        for pattern, replacement in family.renames:
            new = re.sub(pattern, replacement, new)
        if new in out:
            raise ValueError(f"keys of two families: {new!r} is there under two names")
        out[new] = value
    return out


def _video_resnet(state: Mapping[str, torch.Tensor], file_name: str) -> Family:
    bottlenecks = "layer1.0.conv3.0.weight" in state
    if "stem.3.weight" in state:
        if bottlenecks:
            raise ValueError("R(2+1)D of bottlenecks (VMZ's 152 layers): not one of the kit's networks")
        return _r2plus1d(state, file_name)
    if bottlenecks:
        kind = "ip" if "layer1.0.conv2.0.0.weight" in state else "ir"
        return Family("VMZ", f"{kind}_csn_152", LARGE_INPUT)
    temporal = _size(state, "layer2.0.conv1.0.weight", 2)
    if temporal not in (1, 3):
        raise ValueError(f"layer2.0.conv1.0.weight spans {temporal} frames: 1 is MC3-18, 3 is R3D-18")
    return _torchvision("mc3_18" if temporal == 1 else "r3d_18")


def _torchvision(name: str) -> Family:
    return Family("torchvision", name, torchvision_video.torchvision_view(name), eps=1e-5)


def _r2plus1d(state: Mapping[str, torch.Tensor], file_name: str) -> Family:
    """Torchvision's and VMZ's mid-planes do not fit into each other, nor do their depths."""
    planes = [_size(state, f"layer2.0.conv{i}.0.0.weight", 0) for i in (1, 2)]
    layers = 34 if any(key.startswith("layer3.5.") for key in state) else 18
    if (planes, layers) == ([230, 230], 18):
        return _torchvision("r2plus1d_18")
    if (planes, layers) == ([230, 288], 34):
        rows = state["fc.weight"].shape[0] if "fc.weight" in state else 0
        short = rows == 359 or re.search(r"clip8(?!\d)|(?<!\d)8frms", file_name)
        return Family("VMZ / ig65m-pytorch", "r2plus1d_34", replace(LONG, frames=8) if short else LONG)
    raise ValueError(
        f"R(2+1)D of {layers} layers with {planes[0]} and {planes[1]} mid-planes in layer2.0:"
        " torchvision's 18 layers have 230 and 230, VMZ's 34 layers 230 and 288"
    )


def _mmaction(state: Mapping[str, torch.Tensor], file_name: str) -> Family:
    if "layer1.0.conv2.0.conv.weight" not in state:
        raise _unknown(state, "layer1.0.conv2.0.conv.weight")
    kind = "ip" if "layer1.0.conv2.1.conv.weight" in state else "ir"
    view = LARGE_INPUT
    if "ig65m" in file_name.lower():
        mean, std = ((r / 255, g / 255, b / 255) for r, g, b in (IMAGENET_MEAN, IMAGENET_STD))
        view = replace(LARGE_INPUT, mean=mean, std=std)
    else:
        log.warning("no `ig65m` in the file's name: normalising as mmaction2 does for Sports1M")
    renames = MMACTION + (MMACTION_IP if kind == "ip" else MMACTION_IR)
    return Family("mmaction2", f"{kind}_csn_152", view, renames=renames)


def _size(state: Mapping[str, torch.Tensor], key: str, axis: int) -> int:
    if key not in state or state[key].dim() <= axis:
        raise _unknown(state, key)
    return state[key].shape[axis]


def _unknown(state: Mapping[str, torch.Tensor], *markers: str) -> ValueError:
    first = ", ".join(list(state)[:5]) or "none"
    return ValueError(f"keys of no known family: looked for {', '.join(markers)}; the first are {first}")
