"""Learnt sets: probabilities and gradients against enumeration, and that what is planted is learnt."""

from itertools import combinations, permutations

import numpy as np
import pytest
import torch

from scslib.samplers.features import VideoFeatures
from scslib.samplers.learned_sets import SetSampler
from scslib.samplers.policies import top_k, uniform
from scslib.training.sets import (
    SetLesson,
    SetRecipe,
    learn_by_reward,
    learn_by_weights,
    log_probability,
    reward_loss,
    reward_of,
    weights_loss,
)


def one_order(p, order):
    product, left = 1.0, 1.0
    for clip in order:
        product *= p[clip] / left
        left -= p[clip]
    return product


def any_order(p, clips):
    return sum(one_order(p, order) for order in permutations(clips))


def test_the_probability_of_a_set_is_the_sum_over_its_orders():
    p = np.array([0.1, 0.4, 0.2, 0.05, 0.25])
    for clips in combinations(range(5), 3):
        found = log_probability(torch.tensor(p), torch.tensor(clips)).exp().item()
        assert found == pytest.approx(any_order(p, clips))
    assert sum(any_order(p, clips) for clips in combinations(range(5), 3)) == pytest.approx(1)


def test_of_more_than_eight_clips_it_is_that_of_the_order_drawn():
    p = np.random.default_rng(0).dirichlet(np.ones(12))
    order = [3, 1, 0, 9, 11, 2, 5, 4, 8]
    found = log_probability(torch.tensor(p), torch.tensor(order)).exp().item()
    assert found == pytest.approx(one_order(p, order))


def lesson(seed=0, clips=5, classes=3):
    rng = np.random.default_rng(seed)
    return SetLesson(rng.normal(size=(clips, 4)), rng.dirichlet(np.ones(classes), clips), 1)


@pytest.mark.parametrize("reward", ["confidence", "truth"])
def test_the_reward_is_what_f_says_of_the_clips(reward):
    for seed in range(6):
        one = lesson(seed)
        answer = [sum(one.probabilities[c][i] for c in (0, 3)) / 2 for i in range(3)]
        truth = answer[1] if answer.index(max(answer)) == 1 else -max(answer)
        expected = {"confidence": max(answer), "truth": truth}[reward]
        assert reward_of(one, np.array([0, 3]), reward) == pytest.approx(expected)


def test_its_gradient_is_on_average_that_of_the_expected_reward():
    one, recipe = lesson(1), SetRecipe(k=2, entropy=0.0, reward="truth")
    logits = torch.tensor([0.3, -0.5, 0.8, 0.0, 0.1], requires_grad=True)
    draws, found = torch.Generator().manual_seed(0), torch.zeros(5)
    for _ in range(2000):
        (gradient,) = torch.autograd.grad(reward_loss(logits, one, recipe=recipe, draws=draws), logits)
        found += gradient / 2000
    p = logits.softmax(0)
    expected_reward = 0
    for order in permutations(range(5), 2):
        chance = p[order[0]] * p[order[1]] / (1 - p[order[0]])
        expected_reward = expected_reward + chance * reward_of(one, np.array(order), "truth")
    (expected,) = torch.autograd.grad(-expected_reward, logits)
    assert torch.allclose(found, expected, atol=0.02) and expected.abs().max() > 0.2


def test_the_weights_cost_is_the_cross_entropy_of_the_weighted_mean():
    one = lesson(1, clips=1)
    cost = weights_loss(torch.zeros(1), one, draws=torch.Generator().manual_seed(0))
    assert cost.item() == pytest.approx(-np.log(one.probabilities[0, 1]), rel=1e-5)
    one = SetLesson(np.zeros((6, 4)), np.tile([0.2, 0.5, 0.3], (6, 1)), 1)  # whoever is left out
    cost = weights_loss(torch.arange(6.0), one, draws=torch.Generator().manual_seed(0))
    assert cost.item() == pytest.approx(-np.log(0.5), rel=1e-5)


def planted(seed, clips=24):
    """f is right in four clips and wrong in the others; one number of the embedding tells which."""
    rng = np.random.default_rng(seed)
    good = rng.choice(clips, 4, replace=False)
    label = int(rng.integers(3))
    probabilities = np.full((clips, 3), 0.15)
    probabilities[:, (label + 1) % 3] = 0.7
    probabilities[good] = 0.05
    probabilities[good, label] = 0.9
    embeddings = rng.normal(size=(clips, 6))
    embeddings[good, 2] += 4
    return SetLesson(embeddings, probabilities, label), good


@pytest.mark.parametrize("learn", [learn_by_reward, learn_by_weights])
def test_clips_in_which_f_is_right_are_learnt(learn):
    recipe = SetRecipe(k=4, passes=30, lr=0.02, reward="truth")
    head = learn([planted(seed)[0] for seed in range(20)], recipe, seed=0)
    hits, by_chance = 0, 0
    for seed in range(100, 110):
        one, good = planted(seed)
        sampler = SetSampler("set", Embeds(one.embeddings), head)
        hits += len({*top_k(sampler.saliency(VideoFeatures({}), ""), 4)} & {*good})
        by_chance += len({*uniform(24, 4)} & {*good})
    assert hits >= 24 and by_chance <= 15


def test_the_same_seed_learns_the_same():
    lessons, recipe = [planted(seed)[0] for seed in range(3)], SetRecipe(k=4, passes=2)
    one, again, other = (learn_by_reward(lessons, recipe, seed=s).state_dict() for s in (1, 1, 2))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


class Embeds:
    name, modalities = "embeds", ("motion",)

    def __init__(self, embeddings):
        self.found = embeddings

    def embeddings(self, features, video_id):
        return self.found


def test_wrong_values_are_named():
    with pytest.raises(ValueError, match=r"reward \('luck'\)"):
        SetRecipe(reward="luck")
    with pytest.raises(ValueError, match=r"passes \(0\)"):
        SetRecipe(passes=0)
    with pytest.raises(ValueError, match="at least one video"):
        learn_by_reward([], SetRecipe(), seed=0)
    with pytest.raises(ValueError, match="'set'.*: embeds has no embeddings"):
        SetSampler("set", Embeds(None), None).saliency(VideoFeatures({}), "")
