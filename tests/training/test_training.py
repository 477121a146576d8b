"""Samplers and classifier learn what they should, from features whose truth is known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.models import shufflenet_v2_x1_0
from torchvision.models.video import mc3_18 as torchvision_mc3_18

from scslib.models.checkpoints import load_sampler, save_sampler
from scslib.models.classifiers import build_classifier
from scslib.models.samplers import BACKBONES, PictureTrunk, SamplerNetwork, joint_network
from scslib.models.sound_trunk import Pooling, SoundTrunk
from scslib.models.views import ClassifierInput
from scslib.samplers.features import VideoFeatures
from scslib.samplers.inputs import inputs_of, sampler_inputs
from scslib.samplers.learned import LearnedSampler
from scslib.training import batches, sampler
from scslib.training.batches import AcBatches, TrunkFeatures
from scslib.training.loop import LOOK_BATCHES, fit
from scslib.training.losses import ac_loss
from scslib.training.recipe import Recipe
from scslib.training.sampler import (
    LOOK_SEED,
    Lessons,
    TrainedNetworks,
    train_ac,
    train_joint,
    train_rank,
    train_sampler,
)
from scslib.training.schedule import Schedule

CLIPS, CLASSES = 12, 2


class ManyVideos:
    """Videos in memory with the interface of `Shards`."""

    def __init__(self, videos):
        self.videos, self.folder = videos, Path("videos-0123456789")

    def __contains__(self, video_id):
        return video_id in self.videos

    def has(self, video_id, name):
        return self.videos[video_id].has(video_id, name)

    def get(self, video_id, name, rows=None):
        return self.videos[video_id].get(video_id, name, rows)


@pytest.fixture(scope="module")
def moving():
    """Videos with motion in a few clips: to the right in class 0, to the left in class 1."""
    rng = np.random.default_rng(0)
    videos, labels, active = {}, {}, {}
    for number in range(24):
        label = number % CLASSES
        motion = rng.normal(0, 0.5, (CLIPS, 4, 4, 4, 2)).astype(np.float16)
        chosen = rng.choice(CLIPS, 4, replace=False)
        motion[chosen, ..., 0] += 10 if label == 0 else -10
        arrays = {"motion": motion, "residual": np.zeros((CLIPS, 4, 4, 4, 3), np.float16)}
        arrays["predicted"] = np.ones((CLIPS, 4), bool)
        arrays["times"] = np.stack([np.arange(CLIPS), np.arange(CLIPS) + 1], 1).astype(float)
        video_id = f"v{number}"
        videos[video_id], labels[video_id] = VideoFeatures(arrays), label
        active[video_id] = np.isin(np.arange(CLIPS), chosen)
    return ManyVideos(videos), labels, active


def precision(network, objective, features, active):
    sampler = LearnedSampler("motion", objective, (network,))
    hits = []
    for video_id, truth in active.items():
        top = np.argsort(-sampler.saliency(features, video_id))[:4]
        hits.append(truth[top].mean())
    return np.mean(hits)


@pytest.fixture(scope="module")
def ac(moving):
    features, labels, _ = moving
    torch.manual_seed(0)
    network = SamplerNetwork(("motion",), CLASSES, 4, 4)
    curve = train_ac(network, features, labels, Schedule(60, batch=32, lr=1e-2), seed=0)
    return network, curve.losses


def test_ac_finds_the_clips_that_tell_the_class(moving, ac):
    network, losses = ac
    assert losses[-10:].mean() < losses[:5].mean()
    assert precision(network, "ac", moving[0], moving[2]) > 0.8


def test_rank_starts_from_ac_and_orders_clips_as_its_targets_do(moving, ac):
    features, _, active = moving
    ranker = ac[0].for_ranking()
    for name, tensor in ac[0].trunks.state_dict().items():
        assert torch.equal(tensor, ranker.trunks.state_dict()[name])
    targets = {v: np.where(truth, 0.9, 0.1) for v, truth in active.items()}
    options = {"clips_per_video": 8, "seed": 0}
    train_rank(ranker, features, targets, Schedule(60, batch=32, lr=3e-3), **options)
    assert precision(ranker, "rank", features, active) > 0.9


def test_the_same_seed_gives_the_same_network(moving):
    features, labels, _ = moving
    weights = []
    for _ in range(2):
        torch.manual_seed(1)
        network = SamplerNetwork(("motion",), CLASSES, 2, 2)
        train_ac(network, features, labels, Schedule(3, batch=8), seed=1)
        weights.append(torch.cat([p.flatten() for p in network.parameters()]))
    assert torch.equal(*weights)


@pytest.fixture(scope="module")
def lessons(moving):
    """The last six videos are for validation."""
    _, labels, active = moving
    targets = {v: np.where(truth, 0.9, 0.1) for v, truth in active.items()}
    learnt, looked_at = list(labels)[:18], list(labels)[18:]
    return Lessons(
        *(
            {v: lesson[v] for v in videos}
            for videos in (learnt, looked_at)
            for lesson in (labels, targets)
        )
    )


RECIPE = Recipe(Schedule(2, batch=8), Schedule(2, batch=8), width=2, sound_width=2, clips_per_video=4)


def assert_same(ours, theirs):
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(tensor, ours.state_dict()[name]), name


def test_a_recipe_is_ac_and_then_rank_from_it(moving, lessons):
    """The same weights as the two steps by hand; a given AC network is not trained again."""
    features, options = moving[0], {"classes": CLASSES, "seed": 3}
    trained = train_sampler("motion", features, lessons, RECIPE, **options)
    torch.manual_seed(3)
    by_hand = SamplerNetwork(("motion",), CLASSES, 2, 2)
    train_ac(by_hand, features, lessons.labels, RECIPE.ac, seed=3)
    ranker = by_hand.for_ranking()
    train_rank(ranker, features, lessons.targets, RECIPE.rank, clips_per_video=4, seed=3)
    assert_same(trained.networks["ac"], by_hand)
    assert_same(trained.networks["rank"], ranker)
    again = train_sampler("motion", features, lessons, RECIPE, ac=trained.networks["ac"], **options)
    assert again.networks["ac"] is trained.networks["ac"] and set(again.curves) == {"rank"}
    scratch = train_sampler("motion", features, lessons, replace(RECIPE, ac=None), **options)
    assert set(scratch.networks) == {"rank"}


def test_without_validation_videos_all_steps_are_taken(moving, lessons):
    looking = replace(RECIPE.rank, look_every=1)
    recipe = replace(RECIPE, ac=looking, rank=looking)
    without = replace(lessons, validation_labels={}, validation_targets={})
    trained = train_sampler("motion", moving[0], without, recipe, classes=CLASSES, seed=3)
    for curve in trained.curves.values():
        assert len(curve.losses) == 2 and not len(curve.looks) and not curve.plateau


def test_a_training_ends_when_validation_falls_no_longer(moving, lessons, tmp_path):
    """The network has the weights of the lowest look; killed and taken up again, it ends the same."""
    features, validation = moving[0], lessons.validation_labels
    schedule = Schedule(400, batch=16, lr=1e-2, look_every=5, patience=3)

    def train(**options):
        torch.manual_seed(2)
        network = SamplerNetwork(("motion",), CLASSES, 2, 2)
        options |= {"validation": validation, "seed": 0}
        return network, train_ac(network, features, lessons.labels, schedule, **options)

    network, curve = train()
    steps, seen = curve.looks.T
    assert curve.plateau and len(curve.losses) == steps[-1] < 400 and (np.diff(steps) == 5).all()
    lowest = seen.argmin()
    assert len(seen) - 1 - lowest >= 3 and seen[lowest] < seen[0]
    looked_at = AcBatches(features, validation, ("motion",), 16, 3, LOOK_SEED, (0, 1))
    with torch.inference_mode():
        now = np.mean([ac_loss(network, looked_at(n)).item() for n in range(LOOK_BATCHES)])
    assert now == pytest.approx(seen[lowest], abs=1e-6)

    class Killed(Exception):
        pass

    def dying(network, batch, of=ac_loss, left=[int(steps[-1]) - 7]):  # noqa: B006 - counts
        if network.training:
            left[0] -= 1
        if left[0] < 0:
            raise Killed
        return of(network, batch)

    dying.__module__, dying.__qualname__ = ac_loss.__module__, ac_loss.__qualname__
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(sampler, "ac_loss", dying)
        train(resume=tmp_path / "ac.pt", every=4)
    taken_up, rest = train(resume=tmp_path / "ac.pt", every=4)
    assert np.array_equal(rest.losses, curve.losses) and np.array_equal(rest.looks, curve.looks)
    assert_same(taken_up, network)
    complete, same = train(resume=tmp_path / "ac.pt", every=4)
    assert same.plateau and np.array_equal(same.looks, curve.looks)
    assert_same(complete, network)


@pytest.mark.parametrize(("least", "ends_after"), [(0, 5), (10, 15), (12, 17)])
def test_a_training_is_not_ended_before_its_least_steps(least, ends_after):
    """Validation that never changes: of a look, and of two times two that are no lower."""
    batch = {"x": torch.ones(4, 2)}
    curve = fit(
        torch.nn.Linear(2, 1),
        lambda step: batch,
        lambda network, batch: network(batch["x"]).mean() * 0 + 1.0,
        Schedule(100, look_every=1, patience=2, least=least),
        title="",
        validation=lambda number: batch,
    )
    assert curve.plateau and len(curve.losses) == ends_after


def test_one_that_does_not_end_by_itself_ends_at_its_last_step(moving, lessons):
    network = SamplerNetwork(("motion",), CLASSES, 2, 2)
    schedule = Schedule(7, batch=8, look_every=3, patience=5)
    options = {"validation": lessons.validation_labels, "seed": 0}
    curve = train_ac(network, moving[0], lessons.labels, schedule, **options)
    assert not curve.plateau and len(curve.losses) == 7 and curve.looks[:, 0].tolist() == [0, 3, 6]
    with pytest.raises(ValueError, match=r"look_every \(3\) must be 0: no validation videos"):
        train_ac(network, moving[0], lessons.labels, schedule, seed=0)


def test_joint_training_begins_as_the_mean_and_leaves_the_trunks_alone(moving, lessons):
    features = moving[0]
    singles = [
        train_sampler(name, features, lessons, RECIPE, classes=CLASSES, seed=1)
        for name in ("motion", "residual")
    ]
    picks = [(video_id, clip) for video_id in list(lessons.labels)[:3] for clip in range(CLIPS)]
    inputs = sampler_inputs(features, picks, ("motion", "residual"))
    for kind in ("ac", "rank"):
        networks = [single.networks[kind].eval() for single in singles]
        network = joint_network(networks).eval()
        with torch.inference_mode():
            mean = sum(one(inputs) for one in networks) / 2
            assert torch.allclose(network(inputs), mean, atol=1e-5)
    joint = train_joint(singles, features, lessons, RECIPE, seed=1)
    for kind, network in joint.networks.items():
        assert network.modalities == ("motion", "residual") and len(joint.curves[kind].losses) == 2
        for single in singles:
            for name, trunk in single.networks[kind].trunks.items():
                assert_same(network.trunks[name], trunk)
        start = joint_network([single.networks[kind] for single in singles])
        assert not torch.equal(network.head.weight, start.head.weight)


def test_trunks_that_do_not_learn_see_a_video_once_and_all_of_its_pictures(moving, lessons, monkeypatch):
    """As the sampler sees its clips; and what begins best stays as it is."""
    features, networks = moving[0], []
    for name in ("motion", "residual"):
        torch.manual_seed(4)
        networks.append(SamplerNetwork((name,), 1, 2, 2))
    network, seen = joint_network(networks).eval(), []
    monkeypatch.setattr(batches, "inputs_of", lambda *a: seen.append(a[1]) or inputs_of(*a))
    kept = TrunkFeatures(features, network)
    picks = [(video_id, clip) for video_id in list(lessons.labels)[:3] for clip in (1, 0, 1)]
    inputs = sampler_inputs(kept, picks, network.modalities)
    assert sorted(inputs) == ["motion_kept", "residual_kept"] and seen == list(lessons.labels)[:3]
    with torch.inference_mode():
        expected = network(sampler_inputs(features, picks, network.modalities))
        torch.testing.assert_close(network(inputs), expected)
    assert expected.std() > 0

    wild = replace(RECIPE, rank=Schedule(6, batch=8, lr=1e3, look_every=2))
    singles = [TrainedNetworks({"rank": network}, {}) for network in networks]
    joint = train_joint(singles, features, lessons, wild, seed=1)
    assert joint.curves["rank"].lowest == joint.curves["rank"].looks[0, 1]
    assert torch.equal(joint.networks["rank"].head.weight, network.head.weight)


def test_a_modality_that_does_not_count_is_made_up_for():
    """In training only; the weights of those that count add up to their number."""
    torch.manual_seed(0)
    network = joint_network([SamplerNetwork((name,), 2, 4, 4) for name in ("motion", "residual")])
    torch.nn.init.zeros_(network.head.bias)
    inputs = {"motion": torch.randn(2, 1, 2, 6, 6), "residual": torch.randn(2, 1, 3, 6, 6)}
    inputs |= {f"{name}_mask": torch.ones(2, 1, dtype=torch.bool) for name in ("motion", "residual")}
    heard = torch.tensor([[True, False], [True, True]])
    with torch.inference_mode():
        both, some = (network.train()(inputs | more) for more in ({}, {"heard": heard}))
        alone = network(inputs | {"heard": torch.tensor([[True, False], [False, True]])})
        assert torch.allclose(both[1], some[1], atol=1e-6) and not torch.allclose(both[0], some[0])
        assert torch.allclose(some[0], alone[0], atol=1e-6)
        assert torch.allclose(network.eval()(inputs | {"heard": heard}), both, atol=1e-6)


def test_a_masked_picture_does_not_count():
    torch.manual_seed(0)
    network = SamplerNetwork(("motion",), 3, 4, 4).eval()
    pictures = torch.randn(1, 5, 2, 6, 6)
    mask = torch.tensor([[True, True, False, True, False]])
    other = pictures.clone()
    other[:, [2, 4]] = 99.0
    with torch.inference_mode():
        first, second = (network({"motion": p, "motion_mask": mask}) for p in (pictures, other))
        alone = torch.stack(
            [
                network({"motion": pictures[:, [i]], "motion_mask": torch.ones(1, 1, dtype=bool)})
                for i in (0, 1, 3)
            ]
        ).mean(0)
    torch.testing.assert_close(first, second)
    torch.testing.assert_close(first, alone)  # the mean of features is the mean of scores


def test_i_frames_are_no_p_frames_and_silence_is_silence():
    predicted = np.array([[False, True, True]])
    motion = np.arange(3, dtype=np.float16).reshape(1, 3, 1, 1, 1).repeat(2, axis=4)
    video = VideoFeatures({"motion": motion, "predicted": predicted, "times": np.zeros((1, 2))})
    inputs = sampler_inputs(video, [("v", 0)], ["motion", "audio"])
    assert inputs["motion"].shape == (1, 2, 2, 1, 1)
    assert inputs["motion"][0, :, 0, 0, 0].tolist() == [1 / 8, 2 / 8]
    assert np.allclose(inputs["audio"], (np.log(1e-6) + 6) / 3)


def test_full_width_is_torchvisions_network_and_narrow_keeps_its_names():
    full, narrow = build_classifier("mc3_18", 7), build_classifier("mc3_18", 7, 8)
    theirs = torchvision_mc3_18(num_classes=7).state_dict()
    assert {n: t.shape for n, t in full.state_dict().items()} == {n: t.shape for n, t in theirs.items()}
    assert list(narrow.state_dict()) == list(theirs)
    assert narrow(torch.zeros(1, 3, 16, 56, 56)).shape == (1, 7)


def test_shufflenet_at_full_width_is_torchvisions_but_for_its_first_layer_and_head():
    theirs = shufflenet_v2_x1_0().state_dict()
    ours = PictureTrunk("iframes", backbone="shufflenet").network.state_dict()
    assert {n: t.shape for n, t in ours.items()} == {
        n: t.shape for n, t in theirs.items() if not n.startswith("fc.")
    }


@pytest.mark.parametrize("backbone", ["resnet18", "shufflenet"])
@pytest.mark.parametrize("modality, channels", [("iframes", 3), ("motion", 2), ("residual", 3)])
def test_every_backbone_takes_every_picture_and_survives_its_checkpoint(
    backbone, modality, channels, tmp_path
):
    network = SamplerNetwork((modality,), 5, 8, 8, backbone).eval()
    inputs = {modality: torch.randn(2, 3, channels, 8, 10), f"{modality}_mask": torch.ones(2, 3) > 0}
    path = tmp_path / "s.safetensors"
    save_sampler(path, network, objective="ac", classes="abcde", features={})
    with torch.inference_mode():
        torch.testing.assert_close(load_sampler(path)[0](inputs), network(inputs))
        assert network.for_ranking().eval()(inputs).shape == (2, 1)


def test_shufflenet_is_the_lighter_one_and_unknown_backbones_are_named():
    sizes = [sum(p.numel() for p in PictureTrunk("iframes", 64, b).parameters()) for b in BACKBONES]
    assert sizes[1] < sizes[0] / 5
    with pytest.raises(ValueError, match=r"backbone \('vgg'\)"):
        PictureTrunk("motion", backbone="vgg")


@pytest.mark.parametrize("size", [(2, 3, 8, 6), (1, 2, 25, 5), (3, 1, 2, 2)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_pooling_is_that_of_pytorch_with_gradients_and_without(size, layout):
    torch.manual_seed(0)
    pictures = torch.randn(size).contiguous(memory_format=layout)
    pictures[0, 0, 0, 0] = torch.nan
    expected = torch.nn.functional.max_pool2d(pictures, 2)
    for learning in (True, False):
        found = Pooling()(pictures.clone().requires_grad_(learning))
        assert torch.equal(found.isnan(), expected.isnan())
        assert torch.equal(found.nan_to_num(), expected.nan_to_num()) and found.requires_grad == learning


def test_the_sound_network_has_eighteen_layers():
    trunk = SoundTrunk(64)
    weighted = [m for m in trunk.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    assert len(weighted) + 1 == 18  # and the head
    assert trunk(torch.zeros(2, 1, 200, 40)).shape == (2, trunk.features)


def test_prepare_against_plain_arithmetic():
    view = ClassifierInput(frames=2, short_side=8, crop=4)
    clips = torch.randint(0, 255, (1, 2, 8, 10, 3), dtype=torch.uint8)
    got = view.prepare(clips)
    assert got.shape == (1, 3, 2, 4, 4)
    expected = (clips[0, 1, 2 + 1, 3 + 2, 0] / 255 - view.mean[0]) / view.std[0]
    assert got[0, 0, 1, 1, 2].item() == pytest.approx(expected.item(), abs=1e-6)
