"""Every classifier is the published network at full width, runs at any width, sees what it should."""

import json
import math
from dataclasses import replace
from functools import cache

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from scslib.models.checkpoints import load_classifier, save_classifier
from scslib.models.classifiers import CLASSIFIERS, build_classifier
from scslib.models.costs import cost_table, measure
from scslib.models.heads import forward_features, head_name, replace_head
from scslib.models.i3d import SamePool, Unit, pad_same
from scslib.models.views import ClassifierInput

# parameters and keys with 400 classes, GMACs at each one's own input (paper.md); CSN and I3D: see below
PUBLISHED = {
    "mc3_18": (11_695_440, 122, 43.343),
    "r3d_18": (33_371_472, 122, 40.697),
    "r2plus1d_18": (31_505_325, 224, 40.519),
    "r2plus1d_34": (63.697, 416, 152.4),
    "ir_csn_152": (29.704, 932, None),
    "ip_csn_152": (33.017, 1232, None),
    "i3d": (12.697, 344, None),
}
NAMES = sorted(PUBLISHED)


def full(name, classes=400):
    with torch.device("meta"):
        return build_classifier(name, classes)


@cache
def cost(name, classes=400):
    return measure(name, classes)


def same_size(parameters, published):
    """Published to the last parameter, or in millions with three decimals."""
    if isinstance(published, int):
        return parameters == published
    return f"{parameters / 1e6:.3f}" == f"{published:.3f}"


def test_the_registry_is_complete():
    assert sorted(CLASSIFIERS) == NAMES
    with pytest.raises(ValueError, match=r"architecture \('i3d_r50'\) must be one of .*'i3d'"):
        build_classifier("i3d_r50", 3)
    for classes, width in ((0, 4), (3, 0)):
        with pytest.raises(ValueError, match="must be > 0"):
            build_classifier("mc3_18", classes, width)


@pytest.mark.parametrize("name", NAMES)
def test_full_width_has_the_published_size_and_cost(name):
    parameters, keys, gmacs = PUBLISHED[name]
    assert same_size(cost(name).parameters, parameters)
    assert len(full(name).state_dict()) == keys
    if gmacs:
        assert cost(name).gmacs == pytest.approx(gmacs, rel=0.01)


def test_r2plus1d_34_has_its_published_size_with_the_kinetics_head():
    sizes = {c: cost("r2plus1d_34", c).parameters for c in (359, 400, 487)}
    assert [c for c, size in sizes.items() if same_size(size, 63.697)] == [400]


def test_csn_and_i3d_cost_what_others_measured():
    """The CSN paper counts at 256 x 256; OpenVINO's page of i3d-rgb-tf counts 79 frames, two per MAC."""
    for name, gmacs in (("ir_csn_152", 96.7), ("ip_csn_152", 108.8)):
        view = replace(CLASSIFIERS[name].view, crop=256)
        assert measure(name, view=view).gmacs == pytest.approx(gmacs, rel=0.01)
    view = replace(CLASSIFIERS["i3d"].view, frames=79)
    assert measure("i3d", view=view).gmacs == pytest.approx(278.981 / 2, rel=0.01)


def test_the_table_names_every_input_and_crops_are_paid_for():
    rows = {row["architecture"]: row for row in cost_table(classes=7, width=8)}
    assert sorted(rows) == NAMES
    assert (rows["i3d"]["frames"], rows["i3d"]["crop"], rows["i3d"]["frame_rate"]) == (64, 224, 25.0)
    one = measure("mc3_18", 7, 8)
    three = measure("mc3_18", 7, 8, view=replace(CLASSIFIERS["mc3_18"].view, crops=3))
    assert rows["mc3_18"]["parameters"] == one.parameters == three.parameters
    assert three.gmacs == pytest.approx(3 * one.gmacs)


@pytest.mark.parametrize("name", ["mc3_18", "r3d_18", "r2plus1d_18"])
def test_torchvisions_inputs_are_those_of_its_weights(name):
    weights = torchvision.models.get_model_weights(name)["KINETICS400_V1"]
    seen, view = weights.transforms(), CLASSIFIERS[name].view
    assert cost(name).parameters == weights.meta["num_params"]
    assert cost(name).gmacs == pytest.approx(weights.meta["_ops"], abs=1e-3)
    assert (view.mean, view.std) == (tuple(seen.mean), tuple(seen.std))
    assert [view.crop] * 2 == seen.crop_size and view.short_side == seen.resize_size[0]
    rule = f"`frame_rate={view.frame_rate:.0f}`, `clips_per_video=5`, and `clip_len={view.frames}`"
    assert rule in weights.meta["_docs"]


@pytest.mark.parametrize("name", NAMES)
def test_narrow_networks_run_forward_and_backward(name):
    torch.manual_seed(0)
    network = build_classifier(name, 5, 4)
    assert list(network.state_dict()) == list(full(name).state_dict())
    clips = torch.randn(2, 3, 8, 48, 64)
    logits = network(clips)
    assert logits.shape == (2, 5)
    F.cross_entropy(logits, torch.tensor([1, 3])).backward()
    missing = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert not missing


@pytest.mark.parametrize("name", NAMES)
def test_the_eps_of_batch_normalisation(name):
    expected = 1e-5 if name in ("mc3_18", "r3d_18", "r2plus1d_18") else 1e-3
    for network in (full(name), build_classifier(name, 2, 2)):
        assert {m.eps for m in network.modules() if isinstance(m, nn.BatchNorm3d)} == {expected}


@pytest.mark.parametrize("name", NAMES)
def test_features_are_what_the_head_sees(name):
    network = build_classifier(name, 5, 4).eval()
    clips = torch.randn(2, 3, 4, 40, 40)
    with torch.inference_mode():
        features, logits = forward_features(network, clips)
        head = network.get_submodule(head_name(network))
        assert features.shape == (2, head.weight.shape[1])
        torch.testing.assert_close(features @ head.weight.flatten(1).T + head.bias, logits)
        torch.testing.assert_close(network(clips), logits)
    assert not head._forward_pre_hooks
    replace_head(network, 9)
    assert forward_features(network, clips)[1].shape == (2, 9)


def test_the_head_is_the_named_layer_else_the_last_linear_one():
    network = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 2))
    assert head_name(network) == "2"
    network.head_name = "0"
    assert head_name(network) == "0"
    with pytest.raises(ValueError, match="must have a linear layer"):
        head_name(nn.Sequential(nn.ReLU()))


def test_depthwise_convolutions_stay_depthwise():
    for name in ("ir_csn_152", "ip_csn_152"):
        for width in (4, 64):
            with torch.device("meta"):
                network = build_classifier(name, 2, width)
            grouped = [m for m in network.modules() if isinstance(m, nn.Conv3d) and m.groups > 1]
            assert len(grouped) == 3 + 8 + 36 + 3
            assert all(m.groups == m.in_channels == m.out_channels for m in grouped)


@pytest.mark.parametrize("size", [1, 2, 7, 8, 9])
@pytest.mark.parametrize(("kernel", "stride"), [(7, 2), (3, 2), (2, 2), (3, 1), (1, 1)])
def test_same_padding_gives_one_output_per_stride(size, kernel, stride):
    """Output i is centred on inputs stride * i ...; the odd zero lies behind (TensorFlow)."""
    clip = torch.arange(1.0, size + 1).view(1, 1, size, 1, 1)
    padded = pad_same(clip, (kernel, 1, 1), (stride, 1, 1)).flatten().tolist()
    starts = range(0, len(padded) - kernel + 1, stride)
    assert len(starts) == math.ceil(size / stride)
    front = next(i for i, v in enumerate(padded) if v)
    assert len(padded) - size - front - front in (0, 1)
    pooled = SamePool((kernel, 1, 1), (stride, 1, 1))(clip).flatten().tolist()
    assert pooled == [max(padded[s : s + kernel]) for s in starts]
    unit = Unit(1, 2, (kernel, 1, 1), (stride, 1, 1)).eval()
    assert unit(clip).shape[2] == len(starts)


def test_i3d_averages_its_head_over_time_and_takes_any_size():
    """The published network averages the logits of 2 x 7 x 7 windows: the ends of a clip count half."""
    network = build_classifier("i3d", 3, 4).eval()
    head, last = network.logits.conv3d, torch.rand(1, 64, 5, 8, 7)
    with torch.inference_mode():
        expected = head(F.avg_pool3d(last, (2, 7, 7), 1)).mean((2, 3, 4))
        torch.testing.assert_close(network.logits(network.average(last)), expected)
        for shape in ((1, 1, 1), (3, 17, 30)):
            assert network(torch.randn(1, 3, *shape)).isfinite().all()


def test_span_counts_frames_of_the_video():
    assert ClassifierInput(frames=16).span(30) == 16
    view = ClassifierInput(frames=16, frame_rate=15.0)
    assert [view.span(rate) for rate in (15, 30, 29.97, 25, 7.5)] == [16, 32, 32, 27, 8]
    assert ClassifierInput(frames=1, frame_rate=60.0).span(5) == 1
    with pytest.raises(ValueError, match=r"video_frame_rate \(0\) must be > 0"):
        view.span(0)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [(4, [0, 1, 2, 3]), (8, [1, 3, 5, 7]), (6, [0, 2, 3, 5]), (2, [0, 0, 1, 1]), (1, [0, 0, 0, 0])],
)
def test_prepare_picks_pictures_evenly(shown, expected):
    view = ClassifierInput(4, 8, 8, mean=(0, 0, 0), std=(1, 1, 1))
    clips = torch.arange(shown, dtype=torch.uint8).view(1, shown, 1, 1, 1).expand(2, -1, 8, 8, 3)
    got = view.prepare(clips)
    assert got.shape == (2, 3, 4, 8, 8)
    assert (got[1, 2, :, 3, 3] * 255).round().tolist() == expected


@pytest.mark.parametrize(("height", "width"), [(8, 13), (13, 8), (9, 9)])
def test_crops_against_a_plain_loop(height, width):
    view = ClassifierInput(frames=2, short_side=8, crop=6, crops=3)
    clips = torch.randint(0, 255, (2, 2, height, width, 3), dtype=torch.uint8)
    got = view.prepare_crops(clips)
    assert got.shape == (6, 3, 2, 6, 6)
    for b in range(2):
        for place in range(3):  # left, centre, right; or top, centre, bottom
            rest, down = max(height, width) - 6, height > width
            along = [0, rest // 2, rest][place]
            top, left = (along, (width - 6) // 2) if down else ((height - 6) // 2, along)
            cut = clips[b : b + 1, :, top : top + 6, left : left + 6]
            expected = replace(view, crops=1, short_side=6).prepare(cut)
            torch.testing.assert_close(got[3 * b + place], expected[0])
    torch.testing.assert_close(got[1::3], view.prepare(clips))
    torch.testing.assert_close(replace(view, crops=1).prepare_crops(clips), view.prepare(clips))


@pytest.mark.parametrize("crops", [1, 3])
def test_differences_are_those_of_the_prepared_pictures(crops):
    view = ClassifierInput(frames=4, short_side=8, crop=6, crops=crops)
    clips = torch.randint(0, 255, (2, 7, 8, 9, 3), dtype=torch.uint8)
    pictures = view.prepare_crops(clips)
    got = replace(view, differences=True).prepare_crops(clips)
    assert got.shape == pictures.shape and not got[:, :, 0].any()
    for t in range(1, 4):
        torch.testing.assert_close(got[:, :, t], pictures[:, :, t] - pictures[:, :, t - 1])


def test_i3d_sees_values_between_minus_one_and_one():
    view = CLASSIFIERS["i3d"].view
    for level, value in ((0, -1.0), (255, 1.0)):
        clips = torch.full((1, 1, 224, 224, 3), level, dtype=torch.uint8)
        assert view.prepare(clips).unique().tolist() == [value]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frames": 0}, r"frames \(0\) must be > 0"),
        ({"crop": 129}, r"crop \(129\) must be in 1..short_side \(128\)"),
        ({"frame_rate": -1.0}, r"frame_rate \(-1.0\) must be >= 0"),
        ({"crops": 2}, r"crops \(2\) must be 1 or 3"),
    ],
)
def test_inputs_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ClassifierInput(**settings)


def test_pictures_smaller_than_the_crop_are_refused():
    with pytest.raises(ValueError, match=r"clips \(100 x 200\) must be at least crop \(112\)"):
        ClassifierInput().prepare(torch.zeros(1, 16, 100, 200, 3, dtype=torch.uint8))


def test_a_json_of_an_earlier_version_still_loads(tmp_path):
    path = tmp_path / "f.safetensors"
    view = ClassifierInput(frames=8, short_side=40, crop=32)
    network = build_classifier("mc3_18", 3, 4)
    save_classifier(path, network, architecture="mc3_18", width=4, classes="abc", view=view)
    about = json.loads(path.with_suffix(".json").read_text())
    del about["eps"], about["input"]["frame_rate"], about["input"]["crops"]
    path.with_suffix(".json").write_text(json.dumps(about))
    assert load_classifier(path)[1] == view
