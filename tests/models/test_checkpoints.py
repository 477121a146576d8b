"""Weights with their preprocessing; wrong files are refused by name and nothing in them is run."""

import json
import logging
import pickle
import urllib.error
from collections import OrderedDict
from dataclasses import replace

import pytest
import torch
import torchvision
from torch.hub import load_state_dict_from_url
from torchvision.models import get_model, get_model_weights
from torchvision.models.video import MC3_18_Weights
from torchvision.models.video import mc3_18 as torchvision_mc3_18

from scslib.models.checkpoints import (
    CheckpointError,
    checkpoint_name,
    fingerprint,
    identify,
    load_classifier,
    load_sampler,
    save_classifier,
    save_sampler,
)
from scslib.models.classifiers import CLASSIFIERS, Classifier, build_classifier
from scslib.models.samplers import MODALITIES, SamplerNetwork
from scslib.models.torchvision_video import torchvision_view
from scslib.models.views import SHORT, ClassifierInput


def test_a_classifier_comes_back_with_what_it_sees(tmp_path):
    network = build_classifier("mc3_18", 3, 4).eval()
    view = ClassifierInput(frames=8, short_side=40, crop=32)
    path = tmp_path / "f.safetensors"
    save_classifier(path, network, architecture="mc3_18", width=4, classes="abc", view=view)
    loaded, seen, classes = load_classifier(path)
    assert seen == view and classes == ["a", "b", "c"]
    clip = torch.randn(1, 3, 8, 32, 32)
    torch.testing.assert_close(loaded(clip), network(clip))


@pytest.mark.parametrize("architecture", ["r3d_18", "r2plus1d_34", "ip_csn_152", "i3d"])
def test_every_family_comes_back_at_any_width(architecture, tmp_path):
    network = build_classifier(architecture, 3, 4).eval()
    view = ClassifierInput(4, 48, 40, (0.5,) * 3, (0.5,) * 3, frame_rate=12.5, crops=3, differences=True)
    path = tmp_path / "f.safetensors"
    save_classifier(path, network, architecture=architecture, width=4, classes="abc", view=view)
    loaded, seen, _ = load_classifier(path)
    assert seen == view
    clip = torch.randn(1, 3, 4, 40, 40)
    torch.testing.assert_close(loaded(clip), network(clip))


def test_the_eps_of_a_checkpoint_is_kept(tmp_path):
    network = build_classifier("mc3_18", 3, 4).eval()
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm3d):
            layer.eps = 0.5
    path, clip = tmp_path / "f.safetensors", torch.randn(1, 3, 8, 32, 32)
    save_classifier(path, network, architecture="mc3_18", width=4, classes="abc", view=SHORT)
    torch.testing.assert_close(load_classifier(path)[0](clip), network(clip))


@pytest.mark.parametrize(
    ("saved", "wanted", "kept"),
    [
        ("abc", "abc", True),
        ("abc", "abcd", False),
        ("abc", "cba", False),  # the same rows would stand for other classes
        ("012", "abc", True),  # a published checkpoint that gets names
    ],
)
def test_a_head_on_demand(saved, wanted, kept, tmp_path, caplog):
    network = build_classifier("mc3_18", 3, 4)
    path = tmp_path / "f.safetensors"
    save_classifier(path, network, architecture="mc3_18", width=4, classes=saved, view=SHORT)
    with caplog.at_level(logging.INFO):
        loaded, _, classes = load_classifier(path, classes=wanted)
    assert classes == list(wanted) and loaded.fc.weight.shape == (len(wanted), 32)
    trunk = (n.layer4[1].conv1[0].weight for n in (loaded, network))
    assert torch.equal(*trunk)
    same = loaded.fc.weight.shape == network.fc.weight.shape
    assert (same and torch.equal(loaded.fc.weight, network.fc.weight)) == kept
    assert ("a new head" in caplog.text) != kept


def test_a_published_file_gets_class_names_and_another_head(tmp_path):
    path = tmp_path / "mc3.pth"
    state = torchvision_mc3_18(num_classes=5).state_dict()
    torch.save(state, path)
    loaded, _, classes = load_classifier(path)
    assert classes == ["0", "1", "2", "3", "4"] and torch.equal(loaded.fc.weight, state["fc.weight"])
    loaded, _, classes = load_classifier(path, classes="abcde")
    assert classes == list("abcde") and torch.equal(loaded.fc.weight, state["fc.weight"])
    assert load_classifier(path, classes="ab")[0].fc.weight.shape == (2, 512)
    torch.save({k: v for k, v in state.items() if not k.startswith("fc.")}, path)
    with pytest.raises(CheckpointError, match="mc3_18 without a head: `classes` must be given"):
        load_classifier(path)
    loaded, _, classes = load_classifier(path, classes="abc")
    assert classes == ["a", "b", "c"] and loaded.fc.weight.shape == (3, 512)


def as_a_notebook(path, classes, out):
    """What notebooks 03 and 09 do with a checkpoint: load it, ask what it is, and save it."""
    network, view, names = load_classifier(path, classes=classes)
    family = identify(path)
    about = {"architecture": family.architecture, "width": family.width, "settings": family.settings}
    save_classifier(out, network, **about, classes=names, view=view)
    return network, family, load_classifier(out)


def served(name, folder, monkeypatch):
    """Random weights in the shapes of torchvision's `name`, fetched from a file instead of the network.

    The download is torch.hub's own, but for the address and the checksum, which random weights lack.
    """
    architecture, version = name.removeprefix("torchvision:").split("/")
    state = get_model(architecture).state_dict()
    weights = get_model_weights(architecture)[version]
    torch.save(state, folder / "server.pth")
    fetch, asked = load_state_dict_from_url, []

    def fetch_here(url, *args, check_hash, **options):
        asked.append(url)
        assert check_hash
        return fetch((folder / "server.pth").as_uri(), *args, **options)

    monkeypatch.setattr(torch.hub, "_hub_dir", str(folder / "hub"))
    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", fetch_here)
    return state, weights, asked


@pytest.mark.parametrize("architecture", ["mc3_18", "r3d_18", "r2plus1d_18"])
def test_torchvisions_names_are_taken_as_notebooks_take_them(architecture, tmp_path, monkeypatch):
    name = f"torchvision:{architecture}/KINETICS400_V1"
    state, weights, asked = served(name, tmp_path, monkeypatch)
    network, family, again = as_a_notebook(
        name, "abc", tmp_path / f"{checkpoint_name(name)}.safetensors"
    )
    assert set(asked) == {weights.url}
    assert (family.name, family.architecture) == ("torchvision", f"torchvision:{architecture}")
    assert again[1] == torchvision_view(architecture) and again[2] == ["a", "b", "c"]
    for key, tensor in again[0].state_dict().items():
        expected = network.fc.state_dict()[key[3:]] if key.startswith("fc.") else state[key]
        assert torch.equal(tensor, expected), key


def test_short_names_differ_where_torchvisions_do():
    assert checkpoint_name("torchvision:mc3_18/KINETICS400_V1") == "mc3_18-KINETICS400_V1"
    assert checkpoint_name("torchvision:r3d_18/KINETICS400_V1") == "r3d_18-KINETICS400_V1"
    assert checkpoint_name("there/ircsn_ig65m.pth") == "ircsn_ig65m"


@pytest.mark.parametrize("classes", ["abc", "vwxyz"])
def test_a_narrow_checkpoint_of_the_kit_is_saved_as_what_it_is(classes, tmp_path):
    path, view = tmp_path / "f.safetensors", ClassifierInput(frames=8, short_side=40, crop=32)
    network = build_classifier("r2plus1d_18", 3, 4)
    save_classifier(path, network, architecture="r2plus1d_18", width=4, classes="abc", view=view)
    _, family, (again, seen, names) = as_a_notebook(path, classes, tmp_path / "again.safetensors")
    assert (family.architecture, family.width, family.view) == ("r2plus1d_18", 4, view)
    assert seen == view and names == list(classes) and again.fc.weight.shape == (len(classes), 32)
    trunk = (n.layer4[1].conv1[0][0].weight for n in (again, network))
    assert torch.equal(*trunk)


@pytest.mark.parametrize(
    "wrong", [{"width": 64}, {"classes": "abcd"}, {"architecture": "r3d_18"}, {"architecture": "i3d"}]
)
def test_what_could_not_be_loaded_again_is_not_saved(wrong, tmp_path):
    path, network = tmp_path / "f.safetensors", build_classifier("mc3_18", 3, 4)
    about = {"architecture": "mc3_18", "width": 4, "classes": "abc", "view": SHORT} | wrong
    fits = f"{about['architecture']} of width {about['width']} and {len(about['classes'])} classes"
    with pytest.raises(ValueError, match=f"network does not fit {fits}"):
        save_classifier(path, network, **about)
    assert not list(tmp_path.iterdir())


def test_a_network_without_batch_normalisation_comes_back(tmp_path, monkeypatch):
    def plain(classes, width):
        layers = {"first": torch.nn.Conv3d(3, width, 3), "pool": torch.nn.AdaptiveAvgPool3d(1)}
        layers |= {"flat": torch.nn.Flatten(), "fc": torch.nn.Linear(width, classes)}
        return torch.nn.Sequential(OrderedDict(layers))

    monkeypatch.setitem(CLASSIFIERS, "plain", Classifier(plain, SHORT))
    path, clip = tmp_path / "f.safetensors", torch.randn(1, 3, 8, 32, 32)
    network = build_classifier("plain", 3, 4)
    save_classifier(path, network, architecture="plain", width=4, classes="abc", view=SHORT)
    _, family, loaded = as_a_notebook(path, "abc", tmp_path / "again.safetensors")
    assert family.eps is None
    torch.testing.assert_close(loaded[0](clip), network(clip))


def test_torchvisions_weights_by_name_come_with_their_classes(tmp_path, monkeypatch):
    name = "torchvision:mc3_18/KINETICS400_V1"
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    cached = tmp_path / "checkpoints" / "mc3_18-a90a0ba3.pth"
    cached.parent.mkdir()
    state = torchvision_mc3_18().state_dict()
    torch.save(state, cached)
    loaded, view, classes = load_classifier(name)
    assert (
        view == torchvision_view("mc3_18")
        and classes == MC3_18_Weights.KINETICS400_V1.meta["categories"]
    )
    assert torch.equal(loaded.fc.weight, state["fc.weight"]) and not loaded.training
    assert load_classifier(name, classes="ab")[0].fc.weight.shape == (2, 512)
    cached.write_bytes(cached.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=f"{name}: cannot be fetched"):
        load_classifier(name)
    assert len(fingerprint(name)) == 16
    assert fingerprint(name) != fingerprint("torchvision:r3d_18/KINETICS400_V1")
    assert fingerprint(name) == fingerprint("torchvision:mc3_18")  # its usual weights
    assert fingerprint(name) != fingerprint(f"{name}?frames=8")


def test_without_network_the_error_is_one_line(tmp_path, monkeypatch):
    def offline(*args, **kwargs):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    monkeypatch.setattr(torch.hub, "urlopen", offline)
    with pytest.raises(CheckpointError) as caught:
        load_classifier("torchvision:mc3_18/KINETICS400_V1")
    message = str(caught.value)
    assert message.startswith("torchvision:mc3_18/KINETICS400_V1: cannot be fetched from https://")
    assert "Name or service not known" in message and "\n" not in message


@pytest.mark.parametrize("name", ["resnet50/IMAGENET1K_V1", "mc3_18/V9", "i3d", "i3d/KINETICS400_V1"])
def test_unknown_names_are_answered_with_the_known_ones(name):
    for ask in (load_classifier, identify, fingerprint):
        with pytest.raises(CheckpointError) as caught:
            ask(f"torchvision:{name}")
        known = str(caught.value).partition("torchvision has ")[2].split(", ")
        assert "torchvision:r2plus1d_18/KINETICS400_V1" in known and len(known) == len(set(known))


def test_a_checkpoint_of_the_kit_without_its_json_is_refused(tmp_path):
    path = tmp_path / "f.safetensors"
    network = build_classifier("mc3_18", 3, 4)
    save_classifier(path, network, architecture="mc3_18", width=4, classes="abc", view=SHORT)
    path.with_suffix(".json").unlink()
    with pytest.raises(CheckpointError, match="stem.0.weight .4, 3, 3, 7, 7. must be .64.*f.json"):
        load_classifier(path)


@pytest.mark.parametrize(
    "wrong",
    [{"architecture": "i3d_r50"}, {"classes": []}, {"width": 0}, {"input": {"crops": 2}}, {"input": 3}],
)
def test_a_json_that_makes_no_sense_is_refused_by_name(wrong, tmp_path):
    path = tmp_path / "f.safetensors"
    network = build_classifier("mc3_18", 3, 4)
    view = replace(SHORT, frames=8)
    save_classifier(path, network, architecture="mc3_18", width=4, classes="abc", view=view)
    about = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps(about | wrong))
    with pytest.raises(CheckpointError, match="f.safetensors: its .json is incomplete"):
        load_classifier(path)


def test_a_sampler_comes_back(tmp_path):
    network = SamplerNetwork(MODALITIES, 3, 2, 2).eval()
    path = tmp_path / "s.safetensors"
    save_sampler(path, network, objective="ac", classes="abc", features={"clip_len": 16})
    loaded, about = load_sampler(path)
    assert about["objective"] == "ac" and about["features"] == {"clip_len": 16}
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[name])


def test_wrong_files_are_refused_by_name(tmp_path):
    path = tmp_path / "f.safetensors"
    with pytest.raises(CheckpointError, match="f.safetensors: no such file"):
        load_classifier(path)
    network = build_classifier("mc3_18", 3, 4)
    view = ClassifierInput()
    save_classifier(path, network, architecture="mc3_18", width=4, classes="abc", view=view)
    with pytest.raises(CheckpointError, match="not the checkpoint of a sampler"):
        load_sampler(path)
    about = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps(about | {"width": 8}))
    with pytest.raises(CheckpointError, match="do not fit"):
        load_classifier(path)


def test_a_pickle_is_not_run(tmp_path):
    witness = tmp_path / "witness"

    class Bomb:
        def __reduce__(self):
            return (witness.write_text, ("boom",))

    path = tmp_path / "f.safetensors"
    network = build_classifier("mc3_18", 3, 4)
    save_classifier(path, network, architecture="mc3_18", width=4, classes="abc", view=ClassifierInput())
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(CheckpointError):
        load_classifier(path)
    assert not witness.exists()
