"""What samplers say of clips: from networks that run, and looked up in what they said before."""

import numpy as np
import pandas as pd
import pytest
import torch

from scslib.datasets.manifest import write_dataset
from scslib.models.checkpoints import save_sampler
from scslib.models.samplers import SamplerNetwork
from scslib.samplers.base import Setting
from scslib.samplers.bundle import SamplerBundle, load_trained
from scslib.samplers.extraction import extract_features
from scslib.samplers.features import FeatureSpec
from scslib.samplers.learned import (
    LEARNED,
    NETWORK_INPUTS,
    NetworkScores,
    network_scores,
    saliency_of,
)
from scslib.samplers.registry import make_sampler
from tests.support.streams import panning, tone, write

PLAIN = {"x264-params": "crf=16:keyint=12:min-keyint=12:scenecut=0:bframes=0"}
WHICH = {"objective": "rank", "seed": 1}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """A film with sound, one without, one that cannot be read."""
    folder = tmp_path_factory.mktemp("three")
    write(folder / "loud.mp4", panning(96, 64), "libx264", PLAIN, sounds=[(tone(), 0.0)])
    write(folder / "silent.mp4", panning(96, 64), "libx264", PLAIN)
    (folder / "text.mp4").write_text("no video")
    splits = {"loud": "train", "text": "test", "silent": "test"}
    rows = [(name, f"{name}.mp4", "pan", split) for name, split in splits.items()]
    return write_dataset(
        folder,
        name="three",
        classes=("pan",),
        videos=pd.DataFrame(rows, columns=["video_id", "path", "label", "split"]),
        segments=pd.DataFrame(columns=["video_id", "start_s", "end_s"]),
        licence="CC0-1.0",
        origin="this test",
    )


@pytest.fixture(scope="module")
def features(dataset, tmp_path_factory):
    folder, spec = tmp_path_factory.mktemp("features") / "f", FeatureSpec(clip_len=4)
    return extract_features(dataset, dataset.videos, folder, spec, workers=1)


@pytest.fixture(scope="module")
def scores(dataset, features, tiny_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scores") / "s"
    return network_scores(dataset, features, tiny_run / "checkpoints", folder, workers=1, **WHICH)


@pytest.mark.parametrize("video_id", ["loud", "silent"])
def test_what_is_looked_up_is_what_the_networks_say(features, scores, tiny_run, video_id):
    trained, said = load_trained(tiny_run, **WHICH), Setting(NetworkScores("rank", scores), k=2)
    for name in LEARNED:
        if (name, video_id) == ("audio", "silent"):
            continue
        running, known = trained.sampler(name, k=2), make_sampler(name, said)
        assert known.modalities == running.modalities and known.name == name
        expected = running.saliency(features, video_id)
        assert len(expected) == 10 and np.ptp(expected) > 1e-3
        np.testing.assert_allclose(known.saliency(features, video_id), expected, atol=1e-6)
        some = known.saliency(features, video_id, np.array([7, 2]))
        np.testing.assert_allclose(some, expected[[7, 2]], atol=1e-6)
    found = make_sampler("cascade", said).saliency(features, video_id)
    expected = trained.sampler("cascade", k=2).saliency(features, video_id)
    np.testing.assert_array_equal(found, expected)


def test_every_network_is_there_but_for_the_one_that_hears_where_nothing_sounds(scores, tiny_run):
    assert scores.status["video_id"].tolist() == ["loud", "silent"]
    for name, network in load_trained(tiny_run, **WHICH).networks.items():
        assert network.modalities == NETWORK_INPUTS[name]
        assert scores.get("loud", name).shape == (10, 1)
        assert scores.has("silent", name) == (name != "audio")


def test_they_are_kept_and_those_of_other_weights_or_features_are_others(
    dataset, features, scores, tiny_run, tmp_path
):
    written = [path.stat().st_mtime_ns for path in sorted(scores.folder.iterdir())]
    where = scores.folder.parent / "s"
    for seed, same in ((1, True), (0, False)):
        which = WHICH | {"seed": seed, "workers": 1}
        again = network_scores(dataset, features, tiny_run / "checkpoints", where, **which)
        assert (again.folder == scores.folder) == same
    spec = FeatureSpec(clip_len=4, accumulate=True)
    otherwise = extract_features(dataset, dataset.videos, tmp_path / "f", spec, workers=1)
    which = WHICH | {"workers": 1}
    again = network_scores(dataset, otherwise, tiny_run / "checkpoints", where, **which)
    assert again.folder != scores.folder
    assert [path.stat().st_mtime_ns for path in sorted(scores.folder.iterdir())] == written


def test_with_ac_every_network_has_a_score_for_each_class(dataset, features, tmp_path):
    about = {"objective": "ac", "classes": ["a", "b", "c"], "features": {"clip_len": 4}}
    networks = {}
    for seed, (name, modalities) in enumerate(NETWORK_INPUTS.items()):
        torch.manual_seed(seed)
        networks[name] = SamplerNetwork(modalities, 3, 4, 4).eval()
        save_sampler(tmp_path / f"{name}-ac-seed0.safetensors", networks[name], **about)
    trained = SamplerBundle(networks, "ac", FeatureSpec(clip_len=4))
    which = {"objective": "ac", "seed": 0}
    scores = network_scores(dataset, features, tmp_path, tmp_path / "s", workers=1, **which)
    assert scores.get("loud", "joint").shape == (10, 3)
    for name in LEARNED:
        expected = trained.sampler(name, k=2).saliency(features, "loud")
        assert 1 / 3 <= expected.min() and expected.max() <= 1
        said = Setting(NetworkScores("ac", scores))
        found = make_sampler(name, said).saliency(features, "loud")
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_ac_averages_probabilities_and_rank_scores():
    """Paper, sec. 3.2: of two networks and two clips, by hand."""
    one, two = torch.tensor([[2.0, 0.0], [0.0, 0.0]]), torch.tensor([[0.0, 1.0], [0.0, 3.0]])
    p = 1 / (1 + np.exp([-2.0, 1.0, 0.0, 3.0]))  # of the first class: one's clip 0, two's; clip 1
    expected = [max(m, 1 - m) for m in ((p[0] + p[1]) / 2, (p[2] + p[3]) / 2)]
    np.testing.assert_allclose(saliency_of([one, two], "ac"), expected, atol=1e-6)
    np.testing.assert_allclose(saliency_of([one[:, :1], two[:, :1]], "rank"), [1.0, 0.0])
