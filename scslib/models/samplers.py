"""The sampler networks: light, on compressed features and sound (sec. 3.2, 3.3).

Every sampler maps a dictionary of inputs (see `modalities`) to one row per clip: logits of the C
classes (AC) or one saliency (RANK). The scores of a clip's pictures are averaged. The network of a
picture is a ResNet-18 or, lighter, a ShuffleNet (torchvision has the second version; the paper names
one of 26 layers); sound has a VGG of 18 layers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypedDict

import torch
import torchvision
from torch import nn

from scslib.models import specs, timm_frames
from scslib.models.modalities import CHANNELS, MODALITIES, SCALES, VISUAL
from scslib.models.parts import in_parts
from scslib.models.sound_trunk import SoundTrunk
from scslib.models.width import FULL_WIDTH, set_layout, set_width


def _resnet18(modality: str, width: int) -> tuple[nn.Module, int]:
    network = torchvision.models.resnet18(weights=None)
    if modality != "iframes":
        network.conv1 = nn.Conv2d(3, FULL_WIDTH, 3, 1, 1, bias=False)
        network.maxpool = nn.Identity()
    return set_width(network, width, in_channels=CHANNELS[modality]), 8 * width


def _shufflenet(modality: str, width: int) -> tuple[nn.Module, int]:
    first, *stages, last = (max(2, c * width // FULL_WIDTH // 2 * 2) for c in (24, 116, 232, 464, 1024))
    network = torchvision.models.ShuffleNetV2([4, 8, 4], [first, *stages, last])
    stride = 2 if modality == "iframes" else 1
    network.conv1[0] = nn.Conv2d(CHANNELS[modality], first, 3, stride, 1, bias=False)
    if modality != "iframes":
        network.maxpool = nn.Identity()
    return network, last


# With fewer channels oneDNN writes past its memory in this layout, on processors with AVX2 alone: the
# gradient of a 1 x 1 convolution with stride (uxlfoundation/oneDNN, issue 6035; torch 2.11 has it)
BLOCKED = 8

BACKBONES = {"resnet18": _resnet18, "shufflenet": _shufflenet}


class PictureTrunk(nn.Module):
    """A picture network up to its pooled features. They are averaged over the pictures of each clip.

    (B, S, C, H, W) and a mask (B, S) of the pictures that count, to features (B, D): D = 8 * width for
    the ResNet-18, 16 * width for the ShuffleNet. Motion and residuals have 1/16 of the picture's size
    already, so their first layer does not shrink them again: 3 x 3 with stride 1, and no pooling.
    """

    def __init__(self, modality: str, width: int = FULL_WIDTH, backbone: str = "resnet18"):
        super().__init__()
        if backbone not in BACKBONES:
            raise ValueError(f"backbone ({backbone!r}) must be one of {sorted(BACKBONES)}")
        self.network, self.features = BACKBONES[backbone](modality, width)
        self.network.fc = nn.Identity()
        first = next(layer for layer in self.network.modules() if isinstance(layer, nn.Conv2d))
        self.per_pixel = first.out_channels / first.stride[0] ** 2

    def forward(self, pictures: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        return _mean_of_counted(self._features, pictures, counts, training=self.training)

    def _features(self, pictures: torch.Tensor) -> torch.Tensor:
        return in_parts(self.network, pictures, self.per_pixel, training=self.training)


def _mean_of_counted(
    network: Callable[[torch.Tensor], torch.Tensor],
    pictures: torch.Tensor,
    counts: torch.Tensor,
    *,
    training: bool,
) -> torch.Tensor:
    """The mean features (B, D) of the pictures (B, S, C, H, W) that count (B, S); zeros where none does.

    The others are not looked at, but in training: batch norms want as many of every process.
    """
    if training:
        features = network(pictures.flatten(0, 1)).unflatten(0, counts.shape)
    else:
        seen = network(pictures[counts])
        features = seen.new_zeros(*counts.shape, seen.shape[-1])
        features[counts] = seen
    weights = counts.to(features.dtype)[..., None]
    return (features * weights).sum(1) / weights.sum(1).clamp(min=1)


class PretrainedTrunk(nn.Module):
    """An image network of timm up to its pooled features.

    They are averaged over the I-frames of each clip. As `PictureTrunk`, but with the published
    network's own width and normalisation.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, name: str):
        super().__init__()
        self.network = timm_frames.build_trunk(name)
        self.features = timm_frames.feature_count(self.network)
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("std", torch.ones(3))

    def start_from(self, spec: str) -> PretrainedTrunk:
        """Take over the weights and the normalisation of a classifier `timm:...` (see `specs`).

        Raises `ValueError` for any other: the text may stand in a file from elsewhere, and must not
        make code run.
        """
        if specs.parse(spec).kind != "timm":
            raise ValueError(f"iframe_trunk ({spec!r}) must be timm:NAME/WEIGHTS")
        whole, view, _, _ = specs.load_spec(spec)
        assert isinstance(whole, timm_frames.FrameNetwork) and isinstance(view, timm_frames.TimmInput)
        self.network.load_state_dict(whole.trunk.state_dict())
        self.mean.copy_(torch.tensor(view.mean))
        self.std.copy_(torch.tensor(view.std))
        return self

    def forward(self, pictures: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        return _mean_of_counted(self._features, pictures, counts, training=self.training)

    def _features(self, pictures: torch.Tensor) -> torch.Tensor:
        return in_parts(self._seen, pictures, timm_frames.PER_PIXEL, training=self.training)

    def _seen(self, pictures: torch.Tensor) -> torch.Tensor:
        centre, spread = SCALES["iframes"]  # pictures are (levels - centre) / spread
        levels = pictures * spread + centre
        seen = (levels / 255 - self.mean[:, None, None]) / self.std[:, None, None]
        return self.network(seen.contiguous(memory_format=torch.channels_last))


class Settings(TypedDict):
    """What builds a sampler's network again, but for the number of its outputs."""

    modalities: tuple[str, ...]
    width: int
    sound_width: int
    backbone: str
    iframe_trunk: str


class SamplerNetwork(nn.Module):
    """Trunks for the given modalities and one linear head on their concatenated features.

    One modality makes one of the paper's single networks; several make joint training. `outputs` is
    the number of classes (AC) or 1 (RANK). iframe_trunk: a network of timm that sees the I-frames in
    place of the backbone; see `PretrainedTrunk.start_from` for its weights.
    """

    def __init__(
        self,
        modalities: tuple[str, ...],
        outputs: int,
        width: int,
        sound_width: int,
        backbone: str = "resnet18",
        iframe_trunk: str = "",
    ):
        super().__init__()
        for name in modalities:
            if name not in MODALITIES:
                raise ValueError(f"modality ({name!r}) must be one of {MODALITIES}")
        self.modalities = tuple(modalities)
        self.settings = Settings(
            modalities=self.modalities,
            width=width,
            sound_width=sound_width,
            backbone=backbone,
            iframe_trunk=iframe_trunk,
        )
        trunks: dict[str, PictureTrunk | PretrainedTrunk | SoundTrunk] = {}
        for m in modalities:
            if m == "iframes" and iframe_trunk:
                trunks[m] = PretrainedTrunk(iframe_trunk)
            else:
                trunks[m] = PictureTrunk(m, width, backbone) if m in VISUAL else SoundTrunk(sound_width)
        self.trunks = nn.ModuleDict(trunks)
        self.head = nn.Linear(sum(t.features for t in trunks.values()), outputs)
        self.lay_out()

    def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """Scores (B, outputs). A linear head makes the mean of features the mean of logits."""
        return self.head(self.embed(inputs))

    def embed(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """The trunks' pooled features (B, D), which the head sees.

        `<modality>_kept` (B, D), if it is there, are the features of a trunk that stays as it is (see
        `extraction`). In training `heard` (B, modalities), if it is there, says which modalities of each
        clip count: the features of the others are zero, and those that are left so much larger.
        """
        features = []
        for name, trunk in self.trunks.items():
            if name + "_kept" in inputs:
                features.append(inputs[name + "_kept"])
            elif name == "audio":
                features.append(trunk(inputs[name]))
            else:
                features.append(trunk(inputs[name], inputs[name + "_mask"]))
        if self.training and "heard" in inputs:
            share = inputs["heard"].to(features[0].dtype)
            share = share / share.mean(1, keepdim=True)
            features = [part * share[:, n : n + 1] for n, part in enumerate(features)]
        return torch.cat(features, 1)

    def train(self, mode: bool = True) -> SamplerNetwork:
        """Set training as for any module: trunks that do not learn keep what their batch norms have
        seen.
        """
        super().train(mode)
        if not any(weights.requires_grad for weights in self.trunks.parameters()):
            self.trunks.eval()
        return self

    def lay_out(self) -> SamplerNetwork:
        """Lay the weights out for speed on processors.

        Channels last is a third faster there, but a third slower for trunks of fewer channels than a
        block of eight.
        """
        for name, trunk in self.trunks.items():
            if self.settings["sound_width" if name == "audio" else "width"] >= BLOCKED:
                set_layout(trunk, torch.channels_last)
        return self

    def for_ranking(self) -> SamplerNetwork:
        """A copy with a new head of one output: RANK starts from the AC network."""
        copy = _sibling(self, self.modalities, 1)
        copy.trunks.load_state_dict(self.trunks.state_dict())
        for own, theirs in zip(copy.trunks.parameters(), self.trunks.parameters(), strict=True):
            own.requires_grad_(theirs.requires_grad)
        return copy


def _sibling(network: SamplerNetwork, modalities: tuple[str, ...], outputs: int) -> SamplerNetwork:
    """A new network of the same settings, where `network` lies, for these modalities."""
    return SamplerNetwork(
        modalities,
        outputs,
        width=network.settings["width"],
        sound_width=network.settings["sound_width"],
        backbone=network.settings["backbone"],
        iframe_trunk=network.settings["iframe_trunk"],
    ).to(network.head.weight.device)


def joint_network(singles: Sequence[SamplerNetwork]) -> SamplerNetwork:
    """One network of all the modalities of `singles` for joint training (paper, sec. 3.3).

    It begins as the plain mean of what they say. Its trunks are theirs and do not learn: on some dozens
    of videos they would learn these by heart.
    """
    first, head = singles[0], {}
    modalities = tuple(m for single in singles for m in single.modalities)
    network = _sibling(first, modalities, first.head.out_features)
    trunks = {name: trunk for single in singles for name, trunk in single.trunks.items()}
    for name, trunk in network.trunks.items():
        trunk.load_state_dict(trunks[name].state_dict())
    head["weight"] = torch.cat([single.head.weight for single in singles], 1) / len(singles)
    head["bias"] = torch.stack([single.head.bias for single in singles]).mean(0)
    network.head.load_state_dict(head)
    network.trunks.requires_grad_(False).eval()
    return network
