"""Weights with their preprocessing; wrong files are refused by name and nothing in them is run."""

import json
import pickle

import pytest
import torch

from scslib.models.checkpoints import (
    CheckpointError,
    load_classifier,
    load_sampler,
    save_classifier,
    save_sampler,
)
from scslib.models.classifiers import ClassifierInput, build_classifier
from scslib.models.samplers import MODALITIES, Sampler


def test_a_classifier_comes_back_with_what_it_sees(tmp_path):
    network = build_classifier("mc3_18", 3, 4).eval()
    view = ClassifierInput(frames=8, short_side=40, crop=32)
    path = tmp_path / "f.safetensors"
    save_classifier(path, network, architecture="mc3_18", width=4, classes="abc", view=view)
    loaded, seen, classes = load_classifier(path)
    assert seen == view and classes == ["a", "b", "c"]
    clip = torch.randn(1, 3, 8, 32, 32)
    torch.testing.assert_close(loaded(clip), network(clip))


def test_a_sampler_comes_back(tmp_path):
    network = Sampler(MODALITIES, 3, 2, 2).eval()
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
