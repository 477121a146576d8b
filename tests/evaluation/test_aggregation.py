"""One label for the video, from the scores of its clips or, trained, from their features."""

import numpy as np
import pytest
import torch
from torch import nn

from scslib.evaluation.aggregation import max_of_clips, mean_of_clips, top_k_mean
from scslib.models.aggregators import AGGREGATORS, aggregate, build_aggregator
from scslib.samplers.features import VideoFeatures
from scslib.training.aggregator import train_aggregator
from scslib.training.schedule import Schedule

RULES = {"mean": mean_of_clips, "max": max_of_clips, "top-k": lambda p: top_k_mean(p, 2)}
every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
every_aggregator = pytest.mark.parametrize("name", AGGREGATORS)


class ManyVideos:
    """Features in memory with the interface of `Shards`."""

    def __init__(self, features):
        self.videos = {v: VideoFeatures({"features": f}) for v, f in features.items()}

    def __contains__(self, video_id):
        return video_id in self.videos

    def get(self, video_id, name, rows=None):
        return self.videos[video_id].get(video_id, name, rows)


# --- rules without training


def test_mean_equals_a_loop_over_clips_and_classes():
    probabilities = np.random.default_rng(0).random((5, 3))
    expected = [sum(probabilities[i][c] for i in range(5)) / 5 for c in range(3)]
    np.testing.assert_allclose(mean_of_clips(probabilities), expected)


def test_pull_request_bug_mean_without_axis_collapses_the_classes():
    mean = mean_of_clips(np.array([[0.1, 0.9], [0.3, 0.7]]))
    assert mean.shape == (2,) and mean.argmax() == 1


def test_max_equals_a_loop_over_clips_and_classes():
    probabilities = np.random.default_rng(1).random((5, 3))
    expected = [max(probabilities[i][c] for i in range(5)) for c in range(3)]
    np.testing.assert_array_equal(max_of_clips(probabilities), expected)


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_top_k_mean_equals_sorting_each_class_by_itself(k):
    probabilities = np.random.default_rng(2).random((5, 3))
    expected = [sum(sorted(probabilities[:, c].tolist(), reverse=True)[:k]) / k for c in range(3)]
    np.testing.assert_allclose(top_k_mean(probabilities, k), expected)


def test_top_k_mean_lies_between_maximum_and_mean():
    probabilities = np.random.default_rng(3).random((6, 4))
    np.testing.assert_array_equal(top_k_mean(probabilities, 1), max_of_clips(probabilities))
    np.testing.assert_allclose(top_k_mean(probabilities, 6), mean_of_clips(probabilities))
    np.testing.assert_allclose(top_k_mean(probabilities, 99), mean_of_clips(probabilities))


def test_the_rules_disagree_where_they_should():
    """One sure clip for class 0, two good ones for class 1, three weak ones for class 2."""
    rows = [[0.9, 0.05, 0.05], *[[0.0, 0.8, 0.2]] * 2, *[[0.25, 0.1, 0.65]] * 3]
    probabilities = np.array(rows)
    answers = [rule(probabilities).argmax() for rule in (max_of_clips, RULES["top-k"], mean_of_clips)]
    assert answers == [0, 1, 2]


@every_rule
def test_each_class_is_settled_on_its_own(rule):
    """Another column changes nothing: the classes' best clips need not be the same ones."""
    probabilities = np.random.default_rng(4).random((6, 3))
    alone = [rule(probabilities[:, [c]])[0] for c in range(3)]
    np.testing.assert_allclose(rule(probabilities), alone)


@every_rule
def test_one_clip_decides_alone_and_order_does_not_matter(rule):
    probabilities = np.random.default_rng(5).random((6, 3))
    np.testing.assert_array_equal(rule(probabilities[:1]), probabilities[0])
    np.testing.assert_allclose(rule(probabilities[::-1]), rule(probabilities))


@every_rule
@pytest.mark.parametrize("shape", [(3,), (0, 4), (2, 3, 4)])
def test_other_shapes_are_refused(rule, shape):
    with pytest.raises(ValueError, match="probabilities"):
        rule(np.zeros(shape))


@pytest.mark.parametrize("k", [0, -1])
def test_top_k_needs_a_clip(k):
    with pytest.raises(ValueError, match=rf"k \({k}\) must be > 0"):
        top_k_mean(np.ones((2, 2)), k)


# --- networks, as they come


def fresh(name, features=5, classes=3):
    torch.manual_seed(0)
    network = build_aggregator(name, features, classes).eval()
    network.norm.eps = 1e-12  # untrained, it then changes nothing
    return network


@every_aggregator
@pytest.mark.parametrize("clips", [1, 2, 7])
def test_any_number_of_clips_gives_one_row_per_video(name, clips):
    network, inputs = fresh(name), torch.randn(4, clips, 5)
    with torch.inference_mode():
        together = network(inputs)
        apart = torch.cat([network(inputs[[i]]) for i in range(4)])
    assert together.shape == (4, 3)
    torch.testing.assert_close(together, apart)


@torch.inference_mode()
def test_lstm_is_the_mean_of_what_every_step_predicts():
    network, clips = fresh("LSTM"), torch.randn(1, 6, 5)
    cell = nn.LSTMCell(5, 5)
    cell.load_state_dict({n.removesuffix("_l0"): t for n, t in network.lstm.state_dict().items()})
    state, steps = None, []
    for clip in clips[0]:
        state = cell(clip[None], state)
        steps.append(network.head(state[0])[0].softmax(0))
    torch.testing.assert_close(network(clips)[0].softmax(0), torch.stack(steps).mean(0))


@torch.inference_mode()
def test_conv_pooling_is_the_maximum_of_each_feature_then_two_layers():
    network, clips = fresh("conv pooling"), torch.randn(1, 6, 5)
    highest = torch.tensor([max(clips[0, i, d].item() for i in range(6)) for d in range(5)])
    first, last = network.head[0], network.head[2]
    hidden = (first.weight @ highest + first.bias).clamp(min=0)
    torch.testing.assert_close(network(clips)[0], last.weight @ hidden + last.bias)


@torch.inference_mode()
def test_tsn_is_the_mean_of_scores_before_the_softmax():
    network, clips = fresh("TSN"), 5 * torch.randn(1, 6, 5)
    scores = torch.stack([network.head.weight @ clip + network.head.bias for clip in clips[0]])
    torch.testing.assert_close(network(clips)[0], scores.mean(0))
    after = scores.softmax(1).mean(0)
    assert (network(clips)[0].softmax(0) - after).abs().max() > 0.05


@every_aggregator
@torch.inference_mode()
def test_only_the_lstm_knows_the_order(name):
    network, clips = fresh(name), torch.randn(1, 6, 5)
    same = torch.allclose(network(clips), network(clips.flip(1)), atol=1e-6)
    assert same == (name != "LSTM")


@every_aggregator
@torch.inference_mode()
def test_only_the_maximum_ignores_how_often_a_clip_is_shown(name):
    network, clips = fresh(name), torch.randn(1, 6, 5)
    again = torch.cat([clips, clips[:, -1:]], 1)
    assert torch.allclose(network(clips), network(again), atol=1e-6) == (name == "conv pooling")


@every_aggregator
def test_aggregate_gives_the_probabilities_of_one_video(name):
    network = fresh(name)
    features = np.random.default_rng(0).normal(size=(4, 5))
    probabilities = aggregate(network, features)
    assert probabilities.shape == (3,) and probabilities.sum() == pytest.approx(1, abs=1e-6)
    with torch.inference_mode():
        expected = network(torch.tensor(features[None]).float())[0].softmax(0)
    np.testing.assert_allclose(probabilities, expected, rtol=1e-6)


@every_aggregator
def test_the_scale_of_the_features_does_not_matter_to_training(name):
    """f's features are positive and differ little from clip to clip; untouched, nothing is learned."""
    faint = lambda label, rng: 0.5 + 0.02 * rng.normal(2 * label - 1, 0.5, (CLIPS, 8))  # noqa: E731
    assert accuracy(name, faint, steps=30) > 0.9


@every_aggregator
@pytest.mark.parametrize("shape", [(2, 0, 5), (2, 5)])
def test_no_clips_are_refused(name, shape):
    with pytest.raises(ValueError, match="clips must be"):
        fresh(name)(torch.zeros(shape))


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match=r"aggregator \('vote'\) must be one of"):
        build_aggregator("vote", 5, 3)


# --- networks, trained

VIDEOS, CLIPS = 40, 6


def two_classes(make):
    """Videos of six clips from `make(label, rng)` -> (N, D), the first half of them to train on."""
    rng = np.random.default_rng(0)
    labels = {f"v{i}": i % 2 for i in range(2 * VIDEOS)}
    features = {v: make(label, rng).astype(np.float32) for v, label in labels.items()}
    return features, labels


def accuracy(name, make, *, steps=100, predict=aggregate):
    """On videos that were not trained on, all of their clips."""
    features, labels = two_classes(make)
    known = dict(list(labels.items())[:VIDEOS])
    torch.manual_seed(0)
    clips, width = next(iter(features.values())).shape
    network = build_aggregator(name, width, 2)
    schedule = Schedule(steps, batch=16, lr=2e-2)
    train_aggregator(network, ManyVideos(features), known, schedule, k=clips, seed=0)
    others = [v for v in labels if v not in known]
    return np.mean([predict(network, features[v]).argmax() == labels[v] for v in others])


def a_then_b(label, rng):
    """Three clips of one kind, then three of another; class 1 the other way round."""
    kinds = np.eye(8)[[0] * 3 + [1] * 3]
    return (kinds[::-1] if label else kinds) + rng.normal(0, 0.05, (CLIPS, 8))


def one_clip_or_a_little_of_it_everywhere(label, rng):
    """Class 1 shows feature 0 in one clip; class 0 shows a sixth of it in each: the same mean."""
    amount = np.full(CLIPS, 1 / CLIPS)
    if label:
        amount = np.eye(CLIPS)[rng.integers(CLIPS)]
    return np.outer(3 * amount, np.eye(8)[0]) + rng.normal(0, 0.05, (CLIPS, 8))


def strength_against_number(label, rng):
    """One clip speaks loudly for the class, four speak quietly against it."""
    signs = rng.permutation([11.0, -2.0, -2.0, -2.0, -2.0])[:, None] * (1 if label else -1)
    return signs + rng.normal(0, 0.05, (5, 1))


def mean_after_softmax(network, features):
    clips = [aggregate(network, features[[i]]) for i in range(len(features))]
    return mean_of_clips(np.stack(clips))


def test_lstm_learns_an_order_that_the_mean_cannot_see():
    assert accuracy("LSTM", a_then_b) > 0.95
    for name in ("TSN", "conv pooling"):
        assert accuracy(name, a_then_b) < 0.75, name


def test_conv_pooling_learns_that_one_clip_is_enough():
    assert accuracy("conv pooling", one_clip_or_a_little_of_it_everywhere) > 0.95
    assert accuracy("TSN", one_clip_or_a_little_of_it_everywhere) < 0.75


def test_tsn_learns_that_a_loud_clip_outweighs_four_quiet_ones():
    assert accuracy("TSN", strength_against_number, steps=200) > 0.95
    assert accuracy("TSN", strength_against_number, steps=200, predict=mean_after_softmax) < 0.05


class Recorder(nn.Module):
    """Keeps the batches that it is shown."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(1, 2)
        self.seen = []

    def forward(self, clips):
        self.seen.append(clips[..., 0].int().numpy())
        return self.head(clips.mean(1))


def drawn(counts, k, *, labels=None):
    """(batches * 8, K) clip numbers that training shows of videos of `counts` clips."""
    features = {f"v{i}": np.arange(n, dtype=np.float32)[:, None] for i, n in enumerate(counts)}
    network = Recorder()
    labels = labels or dict.fromkeys(features, 0)
    train_aggregator(network, ManyVideos(features), labels, Schedule(20, batch=8), k=k, seed=0)
    return np.concatenate(network.seen)


def test_clips_are_drawn_at_random_without_repeats_in_order_of_time():
    rows = drawn([9], 4)
    assert rows.shape == (160, 4)
    assert (np.diff(rows, axis=1) > 0).all()
    assert set(rows.flatten()) == set(range(9)) and len(np.unique(rows, axis=0)) > 50


def test_a_shorter_video_shows_all_of_its_clips_before_any_again():
    rows = drawn([3], 5)
    assert (np.diff(rows, axis=1) >= 0).all()
    counts = np.stack([np.bincount(row, minlength=3) for row in rows])
    assert set(counts.flatten()) == {1, 2} and len(np.unique(rows, axis=0)) == 3
    np.testing.assert_array_equal(drawn([1], 3), 0)


def test_one_clip_of_each_is_enough_to_train_on():
    assert set(drawn([5], 1).flatten()) == set(range(5))
    assert accuracy("TSN", lambda label, rng: rng.normal(2 * label - 1, 0.05, (1, 2))) == 1


def test_videos_that_were_not_read_are_left_out():
    assert drawn([2, 2], 2, labels={"v0": 0, "lost": 1}).shape == (160, 2)


def test_videos_of_different_lengths_share_a_batch():
    assert drawn([2, 6, 30], 4).max() > 6


@pytest.mark.parametrize("name", AGGREGATORS)
def test_the_same_seed_gives_the_same_network(name):
    features, labels = two_classes(a_then_b)
    weights = []
    for seed in (1, 1, 2):
        network = fresh(name, 8, 2)
        train_aggregator(network, ManyVideos(features), labels, Schedule(3, batch=4), k=3, seed=seed)
        assert not network.training
        weights.append(torch.cat([p.flatten() for p in network.parameters()]))
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_nothing_to_train_on_is_refused():
    videos = ManyVideos({"v0": np.zeros((3, 5), np.float32)})
    with pytest.raises(ValueError, match=r"k \(0\) must be > 0"):
        train_aggregator(fresh("TSN"), videos, {"v0": 0}, Schedule(1), k=0, seed=0)
    with pytest.raises(ValueError, match="features must have one of the 1 videos"):
        train_aggregator(fresh("TSN"), videos, {"lost": 0}, Schedule(1), k=2, seed=0)
