"""Any classifier by one string: it answers as its own library does, and comes back from a checkpoint."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
import torchvision
import transformers
from PIL import Image

from scslib.jobs import user_files
from scslib.jobs.user_files import NAMED
from scslib.models import specs, timm_frames, torchvision_video
from scslib.models.checkpoints import (
    CheckpointError,
    checkpoint_name,
    fingerprint,
    identify,
    load_classifier,
    save_classifier,
)
from scslib.training.dense_scores import classify

TINY = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
CROP = {"crop_size": {"height": 64, "width": 64}}
HUB = {
    "VideoMAE": ({"image_size": 64, "num_frames": 8, **TINY}, "VideoMAEImageProcessor", 64),
    "Timesformer": ({"image_size": 64, "num_frames": 4, **TINY}, "VideoMAEImageProcessor", 64),
    "Vivit": (
        {"image_size": 64, "num_frames": 8, "tubelet_size": [2, 16, 16], **TINY},
        "VivitImageProcessor",
        72,
    ),
    "VJEPA2": (
        {
            "crop_size": 64,
            "frames_per_clip": 8,
            "pred_hidden_size": 32,
            "pred_num_attention_heads": 2,
            "pred_num_hidden_layers": 1,
            "num_pooler_layers": 1,
            **TINY,
        },
        "VJEPA2VideoProcessor",
        72,
    ),
}


def drawn_clips(frames: int, count: int = 2) -> np.ndarray:
    """Clips (count, frames, 120, 160, 3) that are smooth, as pictures are, and differ."""
    rng = np.random.default_rng(frames)
    coarse = torch.from_numpy(rng.integers(0, 256, (count * frames, 3, 6, 8), dtype=np.uint8))
    fine = torch.nn.functional.interpolate(coarse.float(), (120, 160), mode="bilinear")
    return fine.round().byte().permute(0, 2, 3, 1).unflatten(0, (count, frames)).numpy()


def hub_folder(name: str, folder) -> torch.nn.Module:
    """A checkpoint as transformers writes it, with random weights and unusual mean and std."""
    torch.manual_seed(0)
    settings, kind, side = HUB[name]
    config = getattr(transformers, f"{name}Config")(num_labels=5, **settings)
    model = getattr(transformers, f"{name}ForVideoClassification")(config).eval()
    model.classifier.weight.data *= 100  # probabilities that differ
    model.save_pretrained(folder)
    colours = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.4]}
    getattr(transformers, kind)(size={"shortest_edge": side}, **CROP, **colours).save_pretrained(folder)
    return model


@pytest.mark.parametrize("name", HUB)
def test_transformers_models_give_the_librarys_probabilities(name, tmp_path):
    model = hub_folder(name, tmp_path / "model")
    network, view, names = load_classifier(f"hf:{tmp_path / 'model'}")
    clips = drawn_clips(view.frames)
    auto = transformers.AutoVideoProcessor if name == "VJEPA2" else transformers.AutoImageProcessor
    processor = auto.from_pretrained(tmp_path / "model")
    with torch.inference_mode():
        inputs = processor([list(clip) for clip in clips], return_tensors="pt")
        expected = model(**inputs).logits.softmax(1).numpy()
    np.testing.assert_allclose(classify(network, view, clips), expected, atol=1e-4)
    assert names == [f"LABEL_{i}" for i in range(5)] and np.ptp(expected, 1).min() > 0.01


@pytest.mark.parametrize("name", torchvision_video.VIDEO_NETWORKS)
def test_torchvisions_inputs_are_those_of_its_own_presets(name):
    view = torchvision_video.torchvision_view(name)
    clips = torch.from_numpy(drawn_clips(view.frames))
    preset = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    torch.testing.assert_close(view.prepare(clips), preset(clips.permute(0, 1, 4, 2, 3)))


@pytest.mark.parametrize("name", ["r3d_18", "s3d", "mvit_v2_s", "swin3d_t"])
def test_torchvision_networks_give_the_librarys_probabilities(name, tmp_path):
    torch.manual_seed(0)
    whole = torchvision.models.get_model(name, num_classes=7).eval()
    torch.save(whole.state_dict(), tmp_path / "w.pth")
    spec = f"torchvision:{name}/{tmp_path / 'w.pth'}" + ("?frames=16" if name == "s3d" else "")
    network, view, _ = load_classifier(spec)
    clips = drawn_clips(view.frames, count=1)
    preset = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    with torch.inference_mode():
        expected = whole(preset(torch.from_numpy(clips).permute(0, 1, 4, 2, 3))).softmax(1)
    np.testing.assert_allclose(classify(network, view, clips), expected.numpy(), atol=1e-4)


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_050"])
def test_timm_networks_give_the_mean_of_the_frames_logits(name, tmp_path):
    torch.manual_seed(0)
    whole = timm.create_model(name, num_classes=9).eval()
    torch.save(whole.state_dict(), tmp_path / "w.pth")
    network, view, names = load_classifier(f"timm:{name}/{tmp_path / 'w.pth'}?frames=4&size=64")
    assert names == [str(i) for i in range(9)] and view.length == 16
    (clip,) = clips = drawn_clips(16, count=1)
    config = timm.data.resolve_model_data_config(whole) | {"input_size": (3, 64, 64)}
    transform = timm.data.create_transform(**config, is_training=False)
    shown = torch.stack([transform(Image.fromarray(clip[i])) for i in (2, 6, 10, 14)])
    with torch.inference_mode():
        expected = whole(shown).mean(0, keepdim=True).softmax(1)
    np.testing.assert_allclose(classify(network, view, clips), expected.numpy(), atol=1e-4)


def test_a_temporal_convolution_begins_as_the_mean_of_the_frames():
    torch.manual_seed(0)
    plain = timm_frames.build_timm("resnet18", 3).eval()
    moving = timm_frames.build_timm("resnet18", 3, temporal=True).eval()
    moving.load_state_dict(plain.state_dict(), strict=False)
    clips = torch.randn(2, 3, 4, 64, 64)
    torch.testing.assert_close(moving(clips), plain(clips))
    torch.nn.init.ones_(moving.temporal.weight)
    assert not torch.allclose(moving(clips), plain(clips))


USERS = """
import torch
from scslib.models.views import ClassifierInput

def build():
    torch.manual_seed(0)
    layers = torch.nn.AdaptiveAvgPool3d(1), torch.nn.Flatten(), torch.nn.Linear(3, 2)
    return torch.nn.Sequential(*layers), ClassifierInput(8, 40, 32), ["dark", "bright"]
"""


@pytest.fixture
def own_file(tmp_path, monkeypatch):
    monkeypatch.setenv(NAMED, "")
    path = tmp_path / "my_f.py"
    path.write_text(USERS)
    return path


def every_kind(tmp_path, own_file) -> list[str]:
    hub_folder("VideoMAE", tmp_path / "model")
    state = torchvision.models.get_model("r3d_18", num_classes=7).state_dict()
    torch.save(state, tmp_path / "r3d.pth")
    return [
        f"hf:{tmp_path / 'model'}?frame_rate=5",
        f"torchvision:r3d_18/{tmp_path / 'r3d.pth'}?frames=8",
        "timm:tf_efficientnet_lite0/pypi?size=64&temporal=1",
        f"{own_file}:build",
    ]


def test_each_kind_comes_back_from_a_checkpoint_with_another_head(tmp_path, own_file):
    for number, spec in enumerate(every_kind(tmp_path, own_file)):
        path = tmp_path / f"{number}.safetensors"
        network, view, _ = load_classifier(spec, classes="abc")
        family = identify(spec)
        save_classifier(
            path,
            network,
            architecture=family.architecture,
            width=family.width,
            settings=family.settings,
            classes="abc",
            view=view,
        )
        again, seen, names = load_classifier(path)
        clips = drawn_clips(view.length)
        assert names == ["a", "b", "c"] and specs.view_as_json(seen) == specs.view_as_json(view)
        np.testing.assert_array_equal(classify(again, seen, clips), classify(network, view, clips))
        assert len({fingerprint(spec), fingerprint(path)}) == 2


def test_options_say_what_is_seen(tmp_path, own_file):
    hub, resnet, lite, _ = (load_classifier(spec)[1] for spec in every_kind(tmp_path, own_file))
    assert (hub.frame_rate, resnet.frames, lite.size) == (5.0, 8, 64)
    assert replace(resnet, frames=16) == torchvision_video.torchvision_view("r3d_18")


def test_code_of_a_checkpoint_runs_only_where_the_user_has_named_it(tmp_path, own_file, monkeypatch):
    spec, path = f"{own_file}:build", tmp_path / "f.safetensors"
    network, view, names = load_classifier(spec)
    family = identify(spec)
    about = {"architecture": family.architecture, "width": family.width, "settings": family.settings}
    save_classifier(path, network, **about, classes=names, view=view)
    monkeypatch.setenv(NAMED, "")
    with pytest.raises(CheckpointError, match=f"nobody has named it.*SCS_CODE={own_file}"):
        load_classifier(path)
    monkeypatch.setenv(NAMED, os.pathsep.join(["/elsewhere.py", str(own_file)]))
    assert load_classifier(path)[2] == ["dark", "bright"]
    own_file.write_text(USERS + "\n# more\n")
    with pytest.raises(CheckpointError, match="has changed since"):
        load_classifier(path)


@pytest.mark.parametrize(
    ("architecture", "settings"),
    [
        ("timm:hf-hub:somebody/model", {}),
        ("timm:local-dir:/tmp", {}),
        ("torchvision:densenet121", {}),
        ("hf:x", {"config": {"model_type": "videomae", "auto_map": {"AutoConfig": "evil.Config"}}}),
        ("hf:x", {"config": {"model_type": "no such"}}),
        ("code:/tmp/evil.py:build", {"sha256": ""}),
        ("nothing:x", {}),
    ],
)
def test_a_hostile_json_builds_nothing_and_reaches_nowhere(
    architecture, settings, tmp_path, monkeypatch
):
    monkeypatch.setenv(NAMED, "")
    spec = "timm:tf_efficientnet_lite0/pypi?size=64"
    network, view, names = load_classifier(spec)
    path = tmp_path / "f.safetensors"
    save_classifier(
        path,
        network,
        architecture=identify(spec).architecture,
        width=64,
        classes=names,
        view=view,
        settings={},
    )
    about = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(
        json.dumps(about | {"architecture": architecture, "settings": settings})
    )
    with pytest.raises(CheckpointError, match="f.safetensors|evil.py"):
        load_classifier(path)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("timm:resnet18/nothere?frames=2", "nothere"),
        ("timm:resnet18/pypi", "tf_efficientnet_lite0"),
        ("timm:resnet1800", "must be one of timm's"),
        ("timm:resnet18?pictures=2", "must be one of frames, frame_rate, clip_len, size, temporal"),
        ("timm:resnet18?frames=two", "frames .'two'. must be a number"),
        ("hf:/no/such/folder", "/no/such/folder"),
        ("torchvision:vgg11", "no such weights"),
        ("no_such.py:build", "no such file"),
    ],
)
def test_a_wrong_spec_is_answered_in_one_line(spec, said):
    with pytest.raises(CheckpointError, match=said) as caught:
        load_classifier(spec)
    assert "\n" not in str(caught.value)


def test_short_names_tell_specs_apart():
    assert (
        checkpoint_name("timm:tf_efficientnet_lite0/pypi?size=64") == "tf_efficientnet_lite0-pypi-size64"
    )
    assert checkpoint_name("hf:MCG-NJU/videomae-base") == "videomae-base"
    assert checkpoint_name("here/my_f.py:build") == "my_f"


def test_paths_in_specs_become_whole(tmp_path, monkeypatch):
    monkeypatch.setenv(NAMED, "")
    monkeypatch.chdir(tmp_path)
    for name in ("w.pth", "my_f.py"):
        (tmp_path / name).write_text("")
    (tmp_path / "model").mkdir()
    whole = {
        "w.pth": f"{tmp_path}/w.pth",
        "torchvision:s3d/w.pth?frames=8": f"torchvision:s3d/{tmp_path}/w.pth?frames=8",
        "torchvision:s3d/KINETICS400_V1": "torchvision:s3d/KINETICS400_V1",
        "timm:resnet18?frames=2": "timm:resnet18?frames=2",
        "hf:model": f"hf:{tmp_path}/model",
        "hf:MCG-NJU/videomae-base": "hf:MCG-NJU/videomae-base",
        "my_f.py:build": f"{tmp_path}/my_f.py:build",
        "": "",
    }
    assert {text: user_files.whole(text) for text in whole} == whole
    assert user_files.is_allowed("my_f.py:build") and not user_files.is_allowed("other.py:build")
