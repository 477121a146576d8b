"""ir-CSN-152 and ip-CSN-152 (Tran et al., ICCV 2019).

Bottlenecks [3, 8, 36, 3] whose 3 x 3 x 3 convolution is depthwise, so that channels interact in
1 x 1 x 1 convolutions alone. Interaction-reduced (ir) leaves it at that; interaction-preserved (ip)
puts one more 1 x 1 x 1 in front of it. Both map (B, 3, T, H, W) to logits (B, classes); `fc` is the
head. With width = 64 the keys are VMZ's.
"""

from __future__ import annotations

from torch import nn
from torchvision.models.video.resnet import BasicStem, Bottleneck, Conv3DSimple, VideoResNet

from scslib.models.resnet3d import at_width, set_eps
from scslib.models.width import FULL_WIDTH


def ir_csn_152(classes: int, width: int = FULL_WIDTH) -> nn.Module:
    """Interaction-reduced: 1 x 1 x 1, depthwise, 1 x 1 x 1."""
    return _csn(Depthwise, classes, width)


def ip_csn_152(classes: int, width: int = FULL_WIDTH) -> nn.Module:
    """Interaction-preserved: 1 x 1 x 1, 1 x 1 x 1, depthwise, 1 x 1 x 1."""
    return _csn(MixThenDepthwise, classes, width)


def _csn(convolution: type[nn.Module], classes: int, width: int) -> nn.Module:
    layers = [3, 8, 36, 3]
    network = VideoResNet(Bottleneck, [convolution] * 4, layers, PoolingStem, num_classes=classes)
    return at_width(set_eps(network, 1e-3), width)


class PoolingStem(BasicStem):
    """A stem of one convolution and one pooling that do not shorten time. The former is 3 x 7 x 7 with
    stride (1, 2, 2), the latter 1 x 3 x 3 max-pooling.
    """

    def __init__(self):
        super().__init__()
        self.append(nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)))


class Depthwise(nn.Conv3d):
    """3 x 3 x 3, one filter a channel; it carries the block's stride."""

    get_downsample_stride = staticmethod(Conv3DSimple.get_downsample_stride)

    def __init__(self, in_planes: int, out_planes: int, midplanes: int, stride: int = 1):
        super().__init__(in_planes, out_planes, 3, stride, 1, groups=in_planes, bias=False)


class MixThenDepthwise(nn.Sequential):
    """1 x 1 x 1 and its normalisation, without ReLU, then the depthwise convolution."""

    get_downsample_stride = staticmethod(Conv3DSimple.get_downsample_stride)

    def __init__(self, in_planes: int, out_planes: int, midplanes: int, stride: int = 1):
        super().__init__(
            nn.Conv3d(in_planes, out_planes, 1, bias=False),
            nn.BatchNorm3d(out_planes),
            Depthwise(out_planes, out_planes, midplanes, stride),
        )
