"""Samplers of a user's that are trained: what they have learnt is kept as numbers, and comes back."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open

from scslib.models.reading import CheckpointError
from scslib.samplers import register_sampler
from scslib.samplers.base import Setting
from scslib.samplers.clips import Clips
from scslib.samplers.features import VideoFeatures
from scslib.samplers.fitted import fit_own, fitted_checkpoint, load_fitted, save_fitted
from scslib.samplers.names import Origin, registering
from scslib.samplers.registry import make_sampler, sampler_names

HERE = Origin("tests/samplers/test_fitted.py", "1")


class Numbers:
    """Learns in attributes of every kind."""

    def __init__(self, seed=0):
        self.seed = seed

    def fit(self, videos, labels, dense_scores):
        self.weights = np.array([len(videos), sum(labels)], float)
        self.tensor = torch.arange(3.0)
        self.settings = {"names": ["a", "b"], "rate": 0.5, "none": None}
        self.total = float(sum(scores.sum() for scores in dense_scores))
        self.layer = torch.nn.Linear(1, 1)

    def saliency(self, clips):
        return clips.bytes * self.weights[0] + self.tensor.sum().item() + self.total + self.seed


class Layers(Numbers):
    """The same with a layer that is there before it learns."""

    def __init__(self, seed=0):
        super().__init__(seed)
        self.layer = torch.nn.Linear(1, 1)

    def fit(self, videos, labels, dense_scores):
        super().fit(videos, labels, dense_scores)
        with torch.no_grad():
            self.layer.weight.fill_(len(labels) / 7)

    @torch.no_grad()
    def saliency(self, clips):
        return self.layer(torch.tensor(clips.bytes, dtype=torch.float32)[:, None])[:, 0].numpy()


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.head = torch.nn.Linear(1, 1)

    def fit(self, videos, labels, dense_scores):
        optimizer = torch.optim.SGD(self.parameters(), 0.01)
        for clips, label, scores in zip(videos, labels, dense_scores, strict=True):
            x = torch.tensor(clips.bytes, dtype=torch.float32)[:, None] / 10
            loss = ((self.head(x)[:, 0] - torch.tensor(scores[:, label])) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    @torch.no_grad()
    def saliency(self, clips):
        return self.head(torch.tensor(clips.bytes, dtype=torch.float32)[:, None] / 10)[:, 0].numpy()


@pytest.fixture(autouse=True)
def registered():
    with registering(HERE):
        for own in (Numbers, Layers, Network):
            register_sampler(own.__name__.lower())(own)
    yield
    with registering(HERE):
        pass


def video(*sizes):
    arrays = {"times": np.zeros((len(sizes), 2)), "bytes": np.array(sizes)}
    return VideoFeatures(arrays)


VIDEOS = [Clips(video(3, 1, 2), ""), Clips(video(5, 4), "")]
SCORES = [np.full((3, 2), 0.5), np.full((2, 2), 0.25)]


@pytest.mark.parametrize("name", ["layers", "network"])
def test_what_was_learnt_comes_back_from_a_file(tmp_path, name):
    learnt = fit_own(name, VIDEOS, [0, 1], SCORES, seed=3)
    save_fitted(fitted_checkpoint(tmp_path, name, seed=3), name, learnt)
    assert load_fitted(tmp_path, seed=2) == {}
    setting = [Setting(fitted=f) for f in ({name: learnt}, load_fitted(tmp_path, seed=3))]
    before, after = (make_sampler(name, s).saliency(video(7, 8), "") for s in setting)
    assert before.tolist() == after.tolist() and np.ptp(before) > 0


def test_the_same_seed_learns_the_same_and_another_something_else():
    one, again, other = (
        make_sampler(
            "network", Setting(fitted={"network": fit_own("network", VIDEOS, [0, 1], SCORES, seed=s)})
        )
        for s in (3, 3, 4)
    )
    found = [sampler.saliency(video(7, 8), "").tolist() for sampler in (one, again, other)]
    assert found[0] == found[1] != found[2]


def test_layers_that_only_fit_makes_are_refused():
    with pytest.raises(CheckpointError, match="'numbers'.* what it has learnt does not fit its class"):
        fit_own("numbers", VIDEOS, [0, 1], SCORES, seed=1)


def test_the_file_holds_numbers_and_json_alone(tmp_path):
    path = fitted_checkpoint(tmp_path, "layers", seed=1)
    save_fitted(path, "layers", fit_own("layers", VIDEOS, [0, 1], SCORES, seed=1))
    with safe_open(path, "numpy") as file:
        assert sorted(file.keys()) == ["layer/bias", "layer/weight", "tensor", "weights"]
    about = json.loads(path.with_suffix(".json").read_text())
    assert about["plain"]["attributes"]["settings"] == {"names": ["a", "b"], "rate": 0.5, "none": None}


def test_code_that_changed_since_the_training_is_refused():
    learnt = fit_own("network", VIDEOS, [0, 1], SCORES, seed=0)
    with registering(Origin(HERE.place, "2")):
        register_sampler("network")(Network)
    with pytest.raises(CheckpointError, match="'network'.*its file has changed since it was trained"):
        make_sampler("network", Setting(fitted={"network": learnt}))


@pytest.mark.parametrize(
    "broken", ["{", "[]", '{"name": 1}', '{"name": "x", "version": "1", "plain": {}}']
)
def test_a_broken_file_is_named(tmp_path, broken):
    path = fitted_checkpoint(tmp_path, "network", seed=0)
    save_fitted(path, "network", fit_own("network", VIDEOS, [0, 1], SCORES, seed=0))
    path.with_suffix(".json").write_text(broken)
    with pytest.raises(CheckpointError, match=f"{path.name}: broken"):
        load_fitted(tmp_path, seed=0)


def test_an_untrained_one_says_what_to_do():
    assert {"numbers", "layers", "network"} == set(sampler_names("fitted"))
    with pytest.raises(ValueError, match="'network'.* is not trained: name its file in notebook 05's"):
        make_sampler("network", Setting())
    with pytest.raises(ValueError, match="'network'.*no training videos"):
        fit_own("network", [], [], [], seed=0)
