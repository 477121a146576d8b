"""Image networks of timm over the frames of a clip as f: `timm:NAME[/WEIGHTS]`.

The features of the frames are averaged before the head, the segment consensus of TSN (Wang et al., ECCV
2016), which the slides cite: with a linear head that is the mean of the frames' logits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from scslib.models.parts import in_parts
from scslib.models.reading import fill
from scslib.models.views import View, scaled_levels
from scslib.models.width import set_layout

# The package's file of weights: TensorFlow's EfficientNet-Lite0, trained on ImageNet. It sees 0..255
# minus 127, divided by 128.
LITE0 = "tf_efficientnet_lite0"
LITE0_MEAN, LITE0_STD = (127 / 255,) * 3, (128 / 255,) * 3
PER_PIXEL = 8  # see `in_parts`: so has EfficientNet, and others have about as many


@dataclass(frozen=True)
class TimmInput(View):
    """Timm's preprocessing for evaluation, with PIL, frame by frame.

    size: pixels of the square that the network sees. The rest are timm's own words for what its
    `create_transform` takes.
    """

    frames: int
    clip_len: int
    frame_rate: float
    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str = "bicubic"
    crop_pct: float = 0.875
    crop_mode: str = "center"

    def fit(self, clips: torch.Tensor) -> torch.Tensor:
        from PIL import Image

        resize = self._resize()
        frames = self.some(clips).cpu()
        images = [np.asarray(resize(Image.fromarray(frame.numpy()))) for frame in frames.flatten(0, 1)]
        return torch.from_numpy(np.stack(images)).unflatten(0, frames.shape[:2])

    def normalise(self, fitted: torch.Tensor, *, crops: int | None = None) -> torch.Tensor:
        return scaled_levels(fitted, self.mean, self.std)

    def _resize(self):
        """The steps of timm's transform before the image becomes a tensor."""
        from timm.data import create_transform
        from timm.data.transforms import MaybeToTensor
        from torchvision.transforms import Compose

        whole = create_transform(
            (3, self.size, self.size),
            interpolation=self.interpolation,
            crop_pct=self.crop_pct,
            crop_mode=self.crop_mode,
        )
        steps = whole.transforms
        return Compose(steps[: next(i for i, s in enumerate(steps) if isinstance(s, MaybeToTensor))])


class FrameNetwork(nn.Module):
    """An image network on each frame of a clip, and a linear head. The head sees the mean of its
    features.

    (B, 3, T, H, W) to logits (B, classes). temporal: a convolution over three frames, each feature by
    itself, is added to the features before the mean; it begins as zero.
    """

    head_name = "head"

    def __init__(self, trunk: nn.Module, classes: int, *, temporal: bool = False):
        super().__init__()
        width = feature_count(trunk)
        self.trunk = trunk
        self.temporal = nn.Conv1d(width, width, 3, padding=1, groups=width) if temporal else None
        if self.temporal is not None:
            for weights in self.temporal.parameters():
                nn.init.zeros_(weights)
        self.head = nn.Linear(width, classes)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        shown = clips.shape[2]
        frames = clips.transpose(1, 2).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        features = in_parts(self.trunk, frames, PER_PIXEL, training=self.training)
        features = features.unflatten(0, (-1, shown))
        if self.temporal is not None:
            features = features + self.temporal(features.transpose(1, 2)).transpose(1, 2)
        return self.head(features.mean(1))


def feature_count(trunk: nn.Module) -> int:
    """How many pooled features an image network of timm has."""
    return getattr(trunk, "head_hidden_size" if hasattr(trunk, "head_hidden_size") else "num_features")


def check_name(name: str) -> None:
    """Refuse a name that is none of timm's own networks. Raises `ValueError`: it could be an address."""
    import timm

    if name not in timm.list_models():
        close = ", ".join(timm.list_models(f"*{name[:12]}*")[:5]) or "timm.list_models() has them"
        raise ValueError(f"network ({name!r}) must be one of timm's, such as {close}")


def build_timm(name: str, classes: int, *, temporal: bool = False) -> FrameNetwork:
    """A freshly initialised network. Raises `ValueError` for a name that timm does not know."""
    return FrameNetwork(build_trunk(name), classes, temporal=temporal)


def build_trunk(name: str) -> nn.Module:
    """A freshly initialised image network up to its pooled features. Raises as `build_timm`."""
    import timm

    check_name(name)
    trunk = timm.create_model(name, pretrained=False, num_classes=0)
    return set_layout(trunk, torch.channels_last)


def timm_view(name: str, tag: str = "", *, frames: int = 2, size: int = 0) -> TimmInput:
    """What a network was made to see: 1.28 s of video, `frames` frames at `size` pixels (0: its own)."""
    import timm
    from timm.data import resolve_data_config

    check_name(name)
    config = timm.get_pretrained_cfg(f"{name}.{tag}" if tag else name, allow_unregistered=False)
    assert config is not None  # for unregistered ones it raises
    settings = resolve_data_config(pretrained_cfg=config.to_dict())
    return TimmInput(
        frames=frames,
        clip_len=16,
        frame_rate=12.5,
        size=size or settings["input_size"][1],
        mean=tuple(settings["mean"]),
        std=tuple(settings["std"]),
        interpolation=settings["interpolation"],
        crop_pct=settings["crop_pct"],
        crop_mode=settings["crop_mode"],
    )


def from_image_network(
    name: str, state: Mapping[str, torch.Tensor], *, temporal: bool = False
) -> FrameNetwork:
    """A network with the weights of an image network of timm's names. Its head's are among them.

    Raises `ValueError` where they do not fit.
    """
    import timm

    check_name(name)
    config = timm.get_pretrained_cfg(name)
    head = config.classifier if config else None
    if not isinstance(head, str) or f"{head}.bias" not in state:
        raise ValueError(f"weights must have a linear head {head!r}")
    rows = len(state[f"{head}.bias"])
    whole: Any = timm.create_model(name, pretrained=False, num_classes=rows)  # has methods of timm's
    fill(whole, state)
    network = build_timm(name, whole.num_classes, temporal=temporal)
    network.head.load_state_dict(whole.get_classifier().state_dict())
    whole.reset_classifier(0)
    network.trunk.load_state_dict(whole.state_dict())
    return network


def by_order(name: str, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights under other names in timm's order, under timm's names. Raises `ValueError` by shape."""
    import timm

    wanted = timm.create_model(name, pretrained=False).state_dict()
    if len(state) != len(wanted):
        raise ValueError(f"{len(state)} weights must be {len(wanted)}, those of timm's {name}")
    for (key, mine), (other, theirs) in zip(wanted.items(), state.items(), strict=True):
        if mine.shape != theirs.shape:
            raise ValueError(f"{other} {tuple(theirs.shape)} must be {tuple(mine.shape)} ({key})")
    return dict(zip(wanted, state.values(), strict=True))


def class_names() -> list[str]:
    """What the 1,000 classes of ImageNet are called."""
    from timm.data import ImageNetInfo

    info = ImageNetInfo()
    return [info.index_to_description(i) for i in range(info.num_classes())]
