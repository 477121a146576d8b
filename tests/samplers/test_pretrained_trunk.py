"""I-frames seen by a published image network: its own input, features that are kept, and what learns."""

from dataclasses import replace

import numpy as np
import pytest
import timm
import torch

from scslib.datasets.synthetic.make import make_synthetic
from scslib.datasets.synthetic.plan import Synthetic
from scslib.models import specs
from scslib.models.checkpoints import CheckpointError, load_sampler, save_sampler
from scslib.models.samplers import PretrainedTrunk, SamplerNetwork
from scslib.samplers.extraction import extract_features
from scslib.samplers.features import FeatureSpec
from scslib.samplers.inputs import sampler_inputs
from scslib.training.recipe import Recipe
from scslib.training.sampler import Lessons, train_joint, train_sampler
from scslib.training.schedule import Schedule
from scslib.video.write import Encoding

SPEC = FeatureSpec(clip_len=4, iframe_size=32, height=48, width=64)
LITE0 = "timm:tf_efficientnet_lite0/pypi"
RECIPE = Recipe(
    Schedule(2, batch=8),
    Schedule(2, batch=8),
    width=2,
    sound_width=2,
    clips_per_video=4,
    iframe_trunk=LITE0,
)


@pytest.fixture(scope="module")
def trunk():
    return PretrainedTrunk("tf_efficientnet_lite0").start_from(LITE0).eval()


@pytest.fixture(scope="module")
def little(tmp_path_factory):
    """Four drawn videos of two classes."""
    spec = Synthetic(
        classes=2, train_videos=2, test_videos=2, duration_s=10.0, encoding=Encoding(64, 48, 8, 8)
    )
    return make_synthetic(tmp_path_factory.mktemp("drawn"), spec)


@pytest.fixture(scope="module")
def features(little, tmp_path_factory):
    return extract_features(little, little.videos, tmp_path_factory.mktemp("f"), SPEC, workers=1)


@pytest.fixture(scope="module")
def kept(little, tmp_path_factory):
    spec = replace(SPEC, iframe_trunk=LITE0)
    folder = tmp_path_factory.mktemp("k")
    return extract_features(little, little.videos, folder, spec, device="cpu", workers=1)


def test_the_trunk_sees_what_its_network_was_made_to_see(trunk):
    levels = torch.randint(0, 256, (1, 2, 3, 64, 64)).float()
    inputs = (levels - 114.75) / 57.0  # as `modalities` says
    network = timm.create_model("tf_efficientnet_lite0", num_classes=0).eval()
    network.load_state_dict(specs.load_spec(LITE0)[0].trunk.state_dict())
    with torch.inference_mode():
        expected = network((levels[0] - 127) / 128).mean(0, keepdim=True)
        found = trunk(inputs, torch.ones(1, 2, dtype=torch.bool))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_kept_features_give_what_the_pictures_give(trunk, features, kept):
    network = SamplerNetwork(("iframes",), 1, 2, 2, iframe_trunk="tf_efficientnet_lite0")
    network.trunks["iframes"].load_state_dict(trunk.state_dict())
    video_id = features.status["video_id"].iloc[0]
    picks = [(video_id, clip) for clip in range(3)]
    with torch.inference_mode():
        by_pictures = network.eval()(sampler_inputs(features, picks, ("iframes",)))
        inputs = sampler_inputs(kept, picks, ("iframes",))
        by_features = network(inputs)
    assert list(inputs) == ["iframes_kept"]
    torch.testing.assert_close(by_features, by_pictures, atol=2e-3, rtol=2e-3)  # float16
    assert by_pictures.std() > 0


@pytest.mark.parametrize("frozen", [True, False])
def test_a_frozen_trunk_stays_as_it_is_and_its_head_learns(frozen, trunk, little, features, kept):
    lessons = lessons_of(little, features)
    seen = kept if frozen else features
    recipe = replace(RECIPE, frozen=frozen)
    trained = train_sampler("iframes", seen, lessons, recipe, classes=2, seed=0)
    for kind, network in trained.networks.items():
        same = [
            torch.equal(weights, network.trunks["iframes"].state_dict()[name])
            for name, weights in trunk.state_dict().items()
            if weights.dim() > 1
        ]
        assert all(same) if frozen else not any(same), kind
    heads = [network.head.weight for network in trained.networks.values()]
    torch.manual_seed(0)
    start = SamplerNetwork(("iframes",), 2, 2, 2, iframe_trunk="tf_efficientnet_lite0")
    assert not torch.equal(heads[0], start.head.weight)


def test_joint_training_takes_the_trunk_along_and_all_come_back(little, features, kept, tmp_path):
    lessons = lessons_of(little, features)
    singles = [
        train_sampler(name, kept, lessons, RECIPE, classes=2, seed=0) for name in ("iframes", "motion")
    ]
    joint = train_joint(singles, kept, lessons, RECIPE, seed=0).networks["rank"]
    save_sampler(tmp_path / "s.safetensors", joint, objective="rank", classes="ab", features={})
    again, about = load_sampler(tmp_path / "s.safetensors")
    inputs = sampler_inputs(features, [(next(iter(lessons.labels)), 0)], again.modalities)
    with torch.inference_mode():
        torch.testing.assert_close(again(inputs), joint.eval()(inputs))
    assert about["iframe_trunk"] == "tf_efficientnet_lite0"


@pytest.mark.parametrize("spec", ["{}:build", "hf:{}", "torchvision:r3d_18"])
def test_only_a_network_of_timm_can_be_a_trunk(spec, tmp_path, trunk):
    """The text may come from a checkpoint's JSON: nothing that it names is run."""
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(ValueError, match="must be timm:NAME/WEIGHTS|must be FILE"):
        trunk.start_from(spec.format(tmp_path / "evil.py"))
    assert not (tmp_path / "ran").exists()


def test_a_sampler_that_names_an_address_is_refused(tmp_path):
    network = SamplerNetwork(("iframes",), 1, 2, 2)
    network.settings["iframe_trunk"] = "hf-hub:somebody/model"
    save_sampler(tmp_path / "s.safetensors", network, objective="rank", classes="ab", features={})
    with pytest.raises(CheckpointError, match="must be one of timm's"):
        load_sampler(tmp_path / "s.safetensors")


def lessons_of(dataset, features) -> Lessons:
    labels = dict(
        zip(dataset.videos["video_id"], map(int, dataset.label_index(dataset.videos)), strict=True)
    )
    targets = {v: np.linspace(0, 1, len(features.get(v, "times"))) for v in labels}
    return Lessons(labels, targets, {}, {})
