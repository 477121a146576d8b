"""R(2+1)D (Tran et al., CVPR 2018): 3D convolutions as 2D and 1D.

Both networks map (B, 3, T, H, W) to logits (B, classes); `fc` is the head. Between the two halves of a
convolution lie M planes, so many that it has as many weights as the 3D convolution that it replaces.
Torchvision's 18 layers compute M once per block, VMZ's 34 layers once per convolution:

    layer2.0.conv1 (64 -> 128)    layer2.0.conv2 (128 -> 128)
    torchvision   230             230
    VMZ           230             288
"""

from __future__ import annotations

import torchvision
from torch import nn
from torchvision.models.video.resnet import BasicBlock, Conv2Plus1D, R2Plus1dStem, VideoResNet

from scslib.models.resnet3d import at_width, set_eps
from scslib.models.width import FULL_WIDTH


def r2plus1d_18(classes: int, width: int = FULL_WIDTH) -> nn.Module:
    """Torchvision's network: [2, 2, 2, 2] blocks."""
    return at_width(torchvision.models.video.r2plus1d_18(weights=None, num_classes=classes), width)


def r2plus1d_34(classes: int, width: int = FULL_WIDTH) -> nn.Module:
    """VMZ's and ig65m-pytorch's network: [3, 4, 6, 3] blocks, batch normalisation with eps 1e-3."""
    convolutions = [FactorisedConv] * 4
    network = VideoResNet(BasicBlock, convolutions, [3, 4, 6, 3], R2Plus1dStem, num_classes=classes)
    return at_width(set_eps(network, 1e-3), width)


class FactorisedConv(Conv2Plus1D):
    """A 3 x 3 x 3 convolution, split in space and time. Its parts are 1 x 3 x 3 and 3 x 1 x 1. The
    number of planes that the block proposes is ignored.
    """

    def __init__(self, in_planes: int, out_planes: int, midplanes: int, stride: int = 1):
        weights = 27 * in_planes * out_planes
        super().__init__(in_planes, out_planes, weights // (9 * in_planes + 3 * out_planes), stride)
