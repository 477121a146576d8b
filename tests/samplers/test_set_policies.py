"""Policies that came after the paper, against their formulas written out in loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scslib.samplers.policies import top_k, uniform
from scslib.samplers.set_policies import BANDWIDTHS, Aks, InverseCdf, Mdp3, stretch


def drawn(seed, clips=30):
    return np.random.default_rng(seed).gamma(0.5, size=clips)


def by_levels(saliency, k, power):
    """Walk through the video; take a clip each time that the next level is reached."""
    low, high = min(saliency), max(saliency)
    mass = [((s - low) / (high - low)) ** power for s in saliency]
    taken, total, level = [], 0.0, 0
    for clip, value in enumerate(mass):
        total += value
        while level < k and total >= (level + 0.5) / k * sum(mass):
            taken.append(clip)
            level += 1
    free = sorted(set(range(len(mass))))
    result = []
    for clip in taken:  # to the right, and at the end to the left
        after = [c for c in free if c >= clip and c not in result]
        result.append(after[0] if after else max(c for c in free if c not in result))
    return sorted(result)


@pytest.mark.parametrize("power", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("seed", range(8))
def test_inverse_cdf_is_a_walk_that_takes_a_clip_at_each_level(seed, power):
    saliency = drawn(seed)
    assert InverseCdf(power).pick(saliency, 7).tolist() == by_levels(saliency, 7, power)


def test_inverse_cdf_of_equal_saliencies_is_uniform_and_of_a_peak_is_around_it():
    assert InverseCdf(3.0).pick(np.ones(40), 8).tolist() == uniform(40, 8).tolist()
    peak = np.zeros(40)
    peak[17] = 1
    assert InverseCdf(3.0).pick(peak, 4).tolist() == [17, 18, 19, 20]
    peak[:] = [0] * 39 + [1]
    assert InverseCdf(3.0).pick(peak, 4).tolist() == [36, 37, 38, 39]


def halved(saliency, k, threshold, depth):
    """AKS as a list of parts, each halved in turn."""
    s = stretch(saliency)
    parts, done = [(0, len(s), k, 0)], []
    while parts:
        a, b, share, level = parts.pop()
        best = sorted(range(a, b), key=lambda c: (-s[c], c))[:share]
        stands_out = best and np.mean(s[best]) - np.mean(s[a:b]) > threshold
        if level == depth or b - a < 2 or stands_out or not share:
            done += best
            continue
        middle = a + (b - a) // 2
        left = min(-(-share // 2), middle - a)
        left = max(left, share - (b - middle))
        parts += [(a, middle, left, level + 1), (middle, b, share - left, level + 1)]
    return sorted(done)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("threshold", "depth"), [(0.8, 5), (0.3, 5), (2.0, 2), (0.0, 3)])
def test_aks_halves_until_the_best_stand_out(seed, threshold, depth):
    saliency = drawn(seed)
    found = Aks(threshold, depth).pick(saliency, 10)
    assert found.tolist() == halved(saliency, 10, threshold, depth)


def test_aks_gives_no_part_of_depth_five_nothing_at_all():
    clips = Aks(threshold=2.0).pick(drawn(0, 64), 10)  # as published, 10 / 2^5 would be none
    assert len(clips) == 10 and len({clip // 32 for clip in clips.tolist()}) == 2


def by_determinants(saliency, k, embeddings, balance):
    """mDP3 by the determinant of every set that one more clip makes."""
    points = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    apart = ((points[:, None] - points[None]) ** 2).sum(-1)
    kernel = sum(np.exp(-apart / (2 * a)) for a in BANDWIDTHS)
    chosen = []
    for _ in range(k):
        worth = {}
        for clip in set(range(len(saliency))) - set(chosen):
            some = [*chosen, clip]
            volume = np.linalg.slogdet(kernel[np.ix_(some, some)])[1]
            worth[clip] = 2 / balance * stretch(saliency)[some].sum() + volume
        chosen.append(max(worth, key=worth.get))
    return chosen


@pytest.mark.parametrize("balance", [0.2, 5.0])
@pytest.mark.parametrize("seed", range(4))
def test_mdp3_takes_the_clip_that_raises_the_determinant_most(seed, balance):
    embeddings = np.random.default_rng(seed).normal(size=(25, 8))
    found = Mdp3(balance).pick(drawn(seed, 25), 6, embeddings)
    assert found.tolist() == by_determinants(drawn(seed, 25), 6, embeddings, balance)


def test_mdp3_leaves_out_the_twin_of_a_clip_that_top_k_takes():
    embeddings = np.eye(6)
    embeddings[1] = embeddings[0]
    saliency = np.array([1.0, 0.99, 0.9, 0.1, 0.0, 0.2])
    assert set(top_k(saliency, 2)) == {0, 1}
    assert set(Mdp3().pick(saliency, 2, embeddings)) == {0, 2}


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None, derandomize=True, database=None)
@given(st.lists(FINITE, min_size=1, max_size=40), st.integers(1, 50))
def test_k_different_clips_for_any_saliencies(saliency, k):
    saliency = np.array(saliency)
    embeddings = np.cos(np.arange(len(saliency)))[:, None] * [1.0, 0.0, 0.3]
    clips = min(k, len(saliency))
    for found in (
        InverseCdf(3.0).pick(saliency, k),
        InverseCdf(0.5).pick(saliency, k),
        Aks().pick(saliency, k),
        Mdp3().pick(saliency, k, embeddings),
    ):
        assert len(set(found.tolist())) == clips == len(found)
        assert 0 <= found.min() and found.max() < len(saliency)


def test_wrong_values_are_named():
    with pytest.raises(ValueError, match=r"power \(-1\)"):
        InverseCdf(-1)
    with pytest.raises(ValueError, match=r"embeddings \(2, 3\)"):
        Mdp3().pick(np.ones(4), 2, np.ones((2, 3)))
    with pytest.raises(ValueError, match="clip 1"):
        Aks().pick(np.array([0.0, np.nan]), 1)
