"""Baselines and top-K against `sorted` and against counting."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from scslib.samplers.policies import dense, oracle, random, settled, top_k, uniform, until_settled


@pytest.mark.parametrize("k", [1, 4, 20, 21, 100])
def test_top_k_equals_sorted_also_with_ties(k):
    for seed in range(20):
        saliency = np.random.default_rng(seed).integers(0, 6, 20) / 6  # many ties
        expected = sorted(range(20), key=lambda i: (-saliency[i], i))[:k]
        assert list(top_k(saliency, k)) == expected


def test_pull_request_bug_last_k_clips_were_sliced_before_sorting():
    saliency = np.array([0.9, 0.8, 0.1, 0.2, 0.3])  # the best clips come first in time
    assert list(top_k(saliency, 2)) == [0, 1]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_top_k_refuses_what_has_no_rank(bad):
    with pytest.raises(ValueError, match=r"clip 2 \((nan|-?inf)\) must be finite"):
        top_k(np.array([0.0, 1.0, bad, 2.0]), 2)


def test_errors_name_argument_and_value():
    with pytest.raises(ValueError, match=r"k \(0\)"):
        top_k(np.ones(3), 0)
    with pytest.raises(ValueError, match=r"clips \(0\)"):
        uniform(0, 3)
    with pytest.raises(ValueError, match=r"\(3, 2\)"):
        top_k(np.ones((3, 2)), 1)


@pytest.mark.parametrize("clips", [1, 3, 10, 97])
@pytest.mark.parametrize("k", [1, 2, 10, 50])
def test_uniform_takes_one_clip_from_each_kth_part(clips, k):
    chosen, parts = uniform(clips, k), min(k, clips)
    assert len(chosen) == parts
    for part, clip in enumerate(chosen):  # the middle of clip's interval lies in this part
        assert part * clips / parts <= clip + 0.5 <= (part + 1) * clips / parts + 0.5
    assert list(chosen) == sorted(set(chosen)) and 0 <= chosen[0] and chosen[-1] < clips
    # spread: the steps differ by one at most, and the ends are left alike
    assert np.ptp(np.diff(chosen)) <= 1 if parts > 1 else True
    assert abs(chosen[0] - (clips - 1 - chosen[-1])) <= 1


def test_uniform_drawn_example():
    assert list(uniform(10, 3)) == [1, 5, 8]


def test_random_takes_every_set_equally_often():
    rng, draws = np.random.default_rng(0), 6000
    counts = Counter(tuple(random(5, 2, rng)) for _ in range(draws))
    assert set(counts) == set(combinations(range(5), 2))  # different clips, in order of time
    expected = draws / 10
    chi_square = sum((n - expected) ** 2 / expected for n in counts.values())
    assert chi_square < 27.9  # 9 degrees of freedom, p = 0.001


def test_more_clips_than_there_are_gives_all():
    rng = np.random.default_rng(0)
    assert list(random(4, 10, rng)) == list(uniform(4, 10)) == list(dense(4)) == [0, 1, 2, 3]


def test_oracle_ranks_by_the_true_class():
    probabilities = np.random.default_rng(1).random((9, 4))
    expected = sorted(range(9), key=lambda i: -probabilities[i][2])[:3]
    assert list(oracle(probabilities, 2, 3)) == expected


def test_until_settled_is_the_first_moment_after_which_nothing_can_change():
    """The worst that can follow, tried: each clip left gives all to one class, whichever it is."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        shown = rng.dirichlet(np.ones(3) * 0.2, size=rng.integers(1, 12))
        count = until_settled(shown)
        for n in (count, count - 1):
            votes, left = shown[:n].sum(0), len(shown) - n
            ends = {int(np.argmax(votes + left * rival * (1 + 1e-9))) for rival in np.eye(3)}
            assert n == 0 or (len(ends) == 1) == (n == count)
        assert shown[:count].sum(0).argmax() == shown.sum(0).argmax()


def test_settled_by_hand():
    assert settled(np.array([5.2, 0.3, 0.5]), left=4)
    assert not settled(np.array([4.6, 0.2, 1.2]), left=4)  # 4.6 against 1.2 + 4
    assert settled(np.array([0.4, 0.6]), left=0)
    assert until_settled(np.array([[1.0, 0.0]] * 10)) == 6
