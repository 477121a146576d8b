"""Published checkpoints load, whatever they call their weights; what only looks like one is refused.

The names and shapes are made in published.py, from the networks' descriptions, and so are the outputs.
"""

import logging
import pickle
import re
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from scslib.models.checkpoints import CheckpointError, identify, load_classifier, save_classifier
from scslib.models.published import recognise, unwrap
from scslib.models.torchvision_video import torchvision_view
from scslib.models.views import LARGE_INPUT, LONG, SYMMETRIC
from tests.support.published import Reference, csn, i3d, r2plus1d, r3d, to_hassony, to_mmaction

IG65M = replace(
    LARGE_INPUT,
    mean=tuple(v / 255 for v in (123.675, 116.28, 103.53)),
    std=tuple(v / 255 for v in (58.395, 57.12, 57.375)),
)
FAMILIES = {
    # file name: family, architecture, view, eps, kind, shapes in the kit's names
    "mc3_18.pth": (
        "torchvision",
        "mc3_18",
        torchvision_view("mc3_18"),
        1e-5,
        "mc3",
        lambda: r3d(1, 400),
    ),
    "r3d_18.pth": (
        "torchvision",
        "r3d_18",
        torchvision_view("r3d_18"),
        1e-5,
        "r3d",
        lambda: r3d(3, 400),
    ),
    "r2plus1d_18.pth": (
        "torchvision",
        "r2plus1d_18",
        torchvision_view("r2plus1d_18"),
        1e-5,
        "r2plus1d",
        lambda: r2plus1d((2, 2, 2, 2), False, 400),
    ),
    "r2plus1d_34_clip32_ft_kinetics.pth": (
        "VMZ / ig65m-pytorch",
        "r2plus1d_34",
        LONG,
        1e-3,
        "r2plus1d",
        lambda: r2plus1d((3, 4, 6, 3), True, 400),
    ),
    "irCSN_152_ig65m.pth": ("VMZ", "ir_csn_152", LARGE_INPUT, 1e-3, "ir", lambda: csn("ir", 359)),
    "ipCSN_152.safetensors": ("VMZ", "ip_csn_152", LARGE_INPUT, 1e-3, "ip", lambda: csn("ip", 400)),
    "ircsn_ig65m.pth": ("mmaction2", "ir_csn_152", IG65M, 1e-3, "ir", lambda: csn("ir", 400)),
    "ipcsn_sports1m.pth": ("mmaction2", "ip_csn_152", LARGE_INPUT, 1e-3, "ip", lambda: csn("ip", 487)),
    "rgb_imagenet.pt": ("pytorch-i3d", "i3d", SYMMETRIC, 1e-3, "i3d", lambda: i3d(400)),
    "model_rgb.pth": ("kinetics_i3d_pytorch", "i3d", SYMMETRIC, 1e-3, "i3d", lambda: i3d(400)),
}
PUBLISHED_SIZES = {
    # keys and parameters, with 400 classes
    "mc3_18.pth": (122, 11_695_440),
    "r2plus1d_18.pth": (224, 31_505_325),
    "r2plus1d_34_clip32_ft_kinetics.pth": (416, 63.697e6),
    "ircsn_ig65m.pth": (932, 29.704e6),
    "ipCSN_152.safetensors": (1232, 33.017e6),
    "rgb_imagenet.pt": (344 - 57, 12.697e6),  # without the counters
}


def values(shapes, kind):
    """Random weights that keep the signal's size through 152 layers: a block adds a little to it. The
    variances are so small that eps matters."""
    draw = torch.Generator().manual_seed(0)
    last = {"i3d": "none", "ir": ".conv3.1.", "ip": ".conv3.1."}.get(kind, ".conv2.1.")
    state = {}
    for key, shape in shapes.items():
        between_0_and_1 = torch.rand(shape, generator=draw)
        if key.endswith("num_batches_tracked"):
            state[key] = torch.tensor(7)
        elif key.endswith("running_var"):
            state[key] = 0.005 + 0.01 * between_0_and_1
        elif len(shape) > 1:
            fan = torch.Size(shape[1:]).numel()
            size = 1.0 if key.startswith(("fc.", "logits.")) else 0.1
            state[key] = torch.randn(shape, generator=draw) * (size / fan**0.5)
        elif key.endswith("weight"):
            state[key] = (0.2 if last in key else 1.2) + 0.2 * between_0_and_1
        else:
            state[key] = 0.1 * between_0_and_1 - 0.05
    return state


def two_clips():
    """Two textures that move, one bright and one dark: noise would look the same to every network."""
    frames, rows, columns = torch.meshgrid(*(torch.arange(n) for n in (9, 33, 50)), indexing="ij")
    first = torch.sin(rows / 3 + frames) + 0.5
    second = torch.cos(columns / 5 - frames / 2) * (rows > 11) - 0.5
    colours = torch.tensor([1.0, 0.6, -0.8]).view(3, 1, 1, 1)
    return torch.stack([first * colours, second * colours.flip(0)])


def foreign(state, file_name):
    """The file's content, with the wrapping that this family's files have, or might have."""
    family, kind = FAMILIES[file_name][0], FAMILIES[file_name][4]
    if family == "mmaction2":
        renamed = {to_mmaction(k, kind): v for k, v in state.items()}
        return {"meta": {"epoch": 58, "config": "..."}, "state_dict": renamed}
    if family == "kinetics_i3d_pytorch":
        return {to_hassony(k): v for k, v in state.items()}
    if file_name == "r3d_18.pth":
        return {"state_dict": {f"module.model.{k}": v for k, v in state.items()}}
    if file_name == "r2plus1d_18.pth":
        return {"model_state": {f"model.{k}": v for k, v in state.items()}, "epoch": 3}
    return state


def write(path, content):
    if path.suffix == ".safetensors":
        save_file(content, path)
    else:  # the old files of I3D have the format of before 2020
        torch.save(content, path, _use_new_zipfile_serialization=path.name != "rgb_imagenet.pt")


def hollow(shapes):
    """Tensors of the right shapes that take no room, in memory or on disk."""
    return {k: torch.zeros(()).expand(shape) for k, shape in shapes.items()}


@pytest.mark.parametrize("file_name", FAMILIES)
def test_a_published_file_loads_saves_and_computes_the_same(file_name, tmp_path, caplog):
    name, architecture, view, eps, kind, make = FAMILIES[file_name]
    state = values(make(), kind)
    path = tmp_path / file_name
    write(path, foreign(state, file_name))
    with caplog.at_level(logging.INFO):
        network, seen, classes = load_classifier(path)
    assert f"{architecture} of {name}" in caplog.text
    assert seen == view and not network.training
    assert {m.eps for m in network.modules() if isinstance(m, torch.nn.BatchNorm3d)} == {eps}
    count = len(state["logits.conv3d.bias" if kind == "i3d" else "fc.bias"])
    assert classes == [str(i) for i in range(count)]
    clips = two_clips()
    with torch.inference_mode():
        reference = Reference(state, eps)
        expected = reference.inception(clips) if kind == "i3d" else reference.resnet(clips, kind)
        got = network(clips)
        assert (expected[0] - expected[1]).std() > 1e-2  # it does look at the clips
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)
        own = tmp_path / "own.safetensors"
        save_classifier(own, network, architecture=architecture, width=64, classes=classes, view=seen)
        again, view_again, classes_again = load_classifier(own)
        torch.testing.assert_close(again(clips), expected, atol=1e-5, rtol=1e-5)
    assert (view_again, classes_again) == (view, classes)


@pytest.mark.parametrize("file_name", PUBLISHED_SIZES)
def test_the_shapes_made_here_are_the_published_ones(file_name):
    shapes = FAMILIES[file_name][5]()
    keys, parameters = PUBLISHED_SIZES[file_name]
    trained = [v for k, v in shapes.items() if k.split(".")[-1] in ("weight", "bias")]
    total = sum(torch.Size(v).numel() for v in trained)
    assert len(shapes) == keys
    assert total == parameters if isinstance(parameters, int) else abs(total - parameters) < 500


def test_the_foreign_names_are_those_that_the_repositories_print():
    ir = {to_mmaction(k, "ir") for k in csn("ir", 400)}
    ip = {to_mmaction(k, "ip") for k in csn("ip", 400)}
    assert {"backbone.conv1.conv.weight", "backbone.conv1.bn.bias", "cls_head.fc_cls.bias"} <= ir & ip
    assert {"backbone.layer1.0.conv2.0.conv.weight", "backbone.layer1.0.conv2.0.bn.bias"} <= ir
    assert {"backbone.layer4.2.conv2.1.conv.weight", "backbone.layer4.2.conv2.1.bn.bias"} <= ip
    assert "backbone.layer4.0.downsample.conv.weight" in ir and len(ir) == 932 and len(ip) == 1232
    names = {to_hassony(k) for k in i3d(400)}
    assert {"conv3d_1a_7x7.conv3d.weight", "mixed_3b.branch_1.1.batch3d.running_var"} <= names
    assert {"mixed_5c.branch_3.1.conv3d.weight", "conv3d_0c_1x1.conv3d.bias"} <= names


@pytest.mark.parametrize(
    ("file_name", "classes", "frames"),
    [
        ("r2plus1d_34_clip8_ft_kinetics_from_ig65m-0aa0550b.pth", 400, 8),
        ("r2plus1d_34_clip32_ft_kinetics_from_ig65m-ade133f1.pth", 400, 32),
        ("weights.pth", 359, 8),
        ("weights.pth", 487, 32),
    ],
)
def test_r2plus1d_34_has_clips_of_8_or_32_frames(file_name, classes, frames):
    family = recognise(hollow(r2plus1d((3, 4, 6, 3), True, classes)), file_name)
    assert family.view.frames == frames and family.view.frame_rate == 15.0


def test_how_mmaction2_normalised_is_in_the_name_or_is_warned_of(caplog):
    state = unwrap(hollow({to_mmaction(k, "ir"): v for k, v in csn("ir", 400).items()}))
    ig65m = recognise(state, "ircsn_ig65m_pretrained_bnfrozen_r152_32x2x1_58e_kinetics400_rgb.pth")
    assert [round(v * 255, 3) for v in ig65m.view.mean] == [123.675, 116.28, 103.53]
    assert not caplog.records
    other = recognise(state, "ircsn.pth")
    assert [round(v * 255, 5) for v in other.view.mean] == [110.2008, 100.63983, 95.99475]
    assert "normalising as mmaction2 does for Sports1M" in caplog.text


def refused(tmp_path, content, name="weights.pth"):
    """The message, which must be one line and begin with the file's name."""
    path = tmp_path / name
    write(path, content)
    with pytest.raises(CheckpointError) as caught:
        load_classifier(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    return message.removeprefix(f"{path}: ")


def test_mid_planes_of_the_other_repository_are_refused(tmp_path):
    vmz18 = refused(tmp_path, hollow(r2plus1d((2, 2, 2, 2), True, 400)))
    assert vmz18.startswith("R(2+1)D of 18 layers with 230 and 288 mid-planes")
    torchvision34 = refused(tmp_path, hollow(r2plus1d((3, 4, 6, 3), False, 400)))
    assert torchvision34.startswith("R(2+1)D of 34 layers with 230 and 230 mid-planes")
    mixed = r2plus1d((2, 2, 2, 2), False, 400)
    mixed |= {k: v for k, v in r2plus1d((2, 2, 2, 2), True, 400).items() if k.startswith("layer4")}
    message = refused(tmp_path, hollow(mixed))
    assert (
        "torchvision's r2plus1d_18, but layer4.0.conv2.0.0.weight (1152, 512, 1, 3, 3) must be"
        in message
    )


def test_keys_of_two_families_are_refused(tmp_path):
    both = hollow(csn("ir", 400)) | {to_mmaction(k, "ir"): v for k, v in hollow(csn("ir", 400)).items()}
    message = refused(tmp_path, both)
    assert message.startswith("keys of two families: stem.0.weight (torchvision, VMZ")
    assert "conv1.conv.weight (mmaction2 CSN)" in message
    both = hollow(i3d(400)) | {to_hassony(k): v for k, v in hollow(i3d(400)).items()}
    assert "Conv3d_1a_7x7.conv3d.weight (pytorch-i3d) and conv3d_1a" in refused(tmp_path, both)
    blocks = hollow({k: v for k, v in csn("ir", 400).items() if not k.startswith("layer3.7.")})
    blocks |= hollow({k: v for k, v in csn("ip", 400).items() if k.startswith("layer3.7.")})
    assert "but layer3.7.conv2.0.weight is missing" in refused(tmp_path, blocks)
    half = {to_hassony(k) if "Mixed_5" in k else k: v for k, v in hollow(i3d(400)).items()}
    assert "Mixed_5b.b0.conv3d.weight, Mixed_5b.b0.bn.weight" in refused(tmp_path, half)
    twice = hollow(i3d(400)) | {"module.logits.conv3d.bias": torch.zeros(400)}
    assert "'logits.conv3d.bias' is there twice" in refused(tmp_path, twice)
    renamed = {to_mmaction(k, "ir"): v for k, v in hollow(csn("ir", 400)).items()}
    message = refused(tmp_path, renamed | {"fc.weight": torch.zeros(400, 2048)})
    assert message == "keys of two families: 'fc.weight' is there under two names"


def test_missing_and_unknown_keys_are_named(tmp_path):
    shapes = r3d(1, 400)
    del shapes["layer4.1.conv2.1.running_mean"]
    assert "layer4.1.conv2.1.running_mean is missing" in refused(tmp_path, hollow(shapes))
    more = r3d(1, 400) | {f"attention.{i}": (3,) for i in range(5)}
    message = refused(tmp_path, hollow(more))
    assert "attention.0, attention.1, attention.2 and 2 more keys are not in the network" in message
    narrow = {k: v[:1] + (5,) + v[2:] if k == "stem.0.weight" else v for k, v in r3d(1, 400).items()}
    assert "stem.0.weight (64, 5, 3, 7, 7) must be (64, 3, 3, 7, 7)" in refused(tmp_path, hollow(narrow))


def test_networks_that_look_alike_are_refused(tmp_path):
    """R(2+1)D-152, mmaction2's I3D of a ResNet-50, and a kernel that is neither MC3's nor R3D's."""
    deep = hollow({"stem.0.weight": (45, 3, 1, 7, 7), "stem.3.weight": (64, 45, 3, 1, 1)})
    deep |= hollow({"layer1.0.conv3.0.weight": (256, 64, 1, 1, 1)})
    assert "152 layers" in refused(tmp_path, deep)
    i3d50 = {"backbone.conv1.conv.weight": (64, 3, 5, 7, 7), "backbone.layer1.0.conv2.conv.weight": ()}
    message = refused(tmp_path, hollow(i3d50))
    assert "looked for layer1.0.conv2.0.conv.weight; the first are conv1.conv.weight" in message
    other = hollow(r3d(5, 400))
    assert "spans 5 frames" in refused(tmp_path, other)


def test_unknown_keys_are_shown_beside_the_markers(tmp_path):
    content = {"module.conv1.weight": torch.zeros(64, 3, 7, 7), "module.bn1.weight": torch.zeros(64)}
    message = refused(tmp_path, content)
    for marker in ("stem.0.weight", "conv1.conv.weight", "Conv3d_1a_7x7.conv3d.weight", "conv3d_1a_7x7"):
        assert marker in message
    assert message.endswith("the first are conv1.weight, bn1.weight")
    assert refused(tmp_path, {}).endswith("the first are none")
    with pytest.raises(CheckpointError, match="keys of no known family"):
        identify(tmp_path / "weights.pth")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch.zeros(3), "content (Tensor) must be a dictionary of tensors"),
        ({"state_dict": [torch.zeros(3)]}, "content (list) must be a dictionary of tensors"),
        ({"stem.0.weight": torch.zeros(3), "epoch": 3}, "'epoch' (int) must be the name of a tensor"),
    ],
)
def test_what_is_no_dictionary_of_tensors_is_refused(content, message, tmp_path):
    assert refused(tmp_path, content) == message


class Bomb:
    def __init__(self, witness):
        self.witness = witness

    def __reduce__(self):
        return (exec, (f"open({str(self.witness)!r}, 'w').close()",))


@pytest.mark.parametrize("how", ["pickle", "torch", "torch-old"])
def test_a_pickle_with_code_is_refused_and_not_run(how, tmp_path):
    witness, path = tmp_path / "witness", tmp_path / "weights.pth"
    content = {"stem.0.weight": Bomb(witness)}
    if how == "pickle":
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=how == "torch")
    with pytest.raises(
        CheckpointError, match="reading it would call .*exec, so it is refused"
    ) as caught:
        load_classifier(path)
    assert not witness.exists() and "weights_only" not in str(caught.value)


@pytest.mark.parametrize("name", ["weights.pth", "old.pth", "weights.safetensors"])
def test_a_truncated_file_is_refused(name, tmp_path):
    path = tmp_path / name
    state = {"stem.0.weight": torch.randn(64, 3, 3, 7, 7)}
    if path.suffix == ".safetensors":
        write(path, state)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=name != "old.pth")
    whole = path.read_bytes()
    for share in (0.0, 0.5, 0.98):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(CheckpointError, match=name) as caught:
            load_classifier(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_a_text_file_is_refused(name, tmp_path):
    path = tmp_path / name
    path.write_text("version https://git-lfs.github.com/spec/v1\n")
    reason = "not a file of weights (it begins with b'version '" if ".pth" in name else "cannot be read"
    with pytest.raises(CheckpointError, match=re.escape(reason)):
        load_classifier(path)
    with pytest.raises(CheckpointError, match="no such file"):
        load_classifier(tmp_path / "none.pth")
