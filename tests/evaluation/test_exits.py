"""The learned exit: its gate against scikit-learn, its state against loops, and what it lets through."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from scslib.evaluation.exits import RIDGE, Gate, LearnedExit, answers, fit_gate, state
from scslib.evaluation.methods import ScoredVideo


def drawn(seed, clips=6, classes=4):
    return np.random.default_rng(seed).dirichlet(np.ones(classes), clips)


def test_the_state_is_what_f_has_said_so_far():
    p = drawn(0)
    for n, row in enumerate(state(p), 1):
        mean, pooled = p[:n].mean(0), p[:n].max(0)
        expected = []
        for values in (mean, pooled):
            first, second = sorted(values, reverse=True)[:2]
            expected += [first, first - second]
        assert row == pytest.approx([*expected, n / 6])
        assert answers(p)[n - 1] == mean.argmax()


def test_the_gate_is_a_logistic_regression():
    shown, labels = [drawn(seed) for seed in range(30)], [seed % 4 for seed in range(30)]
    gate = fit_gate(shown, labels)
    states = np.concatenate([state(p) for p in shown])
    right = np.concatenate([answers(p) == label for p, label in zip(shown, labels, strict=True)])
    theirs = LogisticRegression(C=1 / (2 * len(right) * RIDGE), tol=1e-10, max_iter=5000)
    expected = theirs.fit(states, right).predict_proba(states)[:, 1]
    assert np.allclose(gate.says(states), expected, atol=2e-3) and np.ptp(expected) > 0.1


@pytest.mark.parametrize(("label", "expected"), [(0, 1.0), (1, 0.0)])
def test_of_answers_that_are_all_alike_it_is_sure_or_never(label, expected):
    always_first = np.tile([0.7, 0.2, 0.1], (5, 1))
    gate = fit_gate([always_first, always_first], [label, label])
    assert gate.says(state(drawn(0))).tolist() == [expected] * 6


@pytest.mark.parametrize(("sure", "shown"), [(0.0, 1), (1.1, 4), (0.75, 3)])
def test_clips_are_shown_best_first_until_the_gate_is_sure(sure, shown):
    p = np.full((10, 2), 0.5)
    p[[2, 7, 5, 1]] = [[0.55, 0.45], [0.6, 0.4], [0.95, 0.05], [0.9, 0.1]]  # in order of saliency
    saliency = np.zeros(10)
    saliency[[2, 7, 5, 1]] = [4, 3, 2, 1]
    means = [0.55, 0.575, 0.7, 0.75]
    gate = Gate(np.array([20.0, 0, 0, 0, 0]), -20 * 0.64)  # says 0.75 at a mean of 0.695
    video = ScoredVideo(p, 0, {"visual": saliency}, np.zeros((10, 2)), lambda name: None)
    found = LearnedExit("visual", gate, sure).pick(video, 4, np.random.default_rng(0))
    assert found.clips[0].tolist() == [2, 7, 5, 1][:shown]
    assert gate.says(state(p[[2, 7, 5, 1]]))[2] > 0.75 > gate.says(state(p[[2, 7, 5, 1]]))[1]
    assert answers(p[[2, 7, 5, 1]]).tolist() == [0] * 4 and means[2] > 0.695 > means[1]


def test_without_sound_it_falls_back_and_without_a_reading_it_has_no_row():
    gate = Gate(np.zeros(5), 9.0)
    silent = ScoredVideo(drawn(1), 0, {}, np.zeros((6, 2)), lambda name: None)
    assert LearnedExit("audio", gate).pick(silent, 2, np.random.default_rng(0)).fell_back
    unread = ScoredVideo(drawn(1), 0, None, np.zeros((6, 2)), lambda name: None)
    assert LearnedExit("audio", gate).pick(unread, 2, np.random.default_rng(0)) is None
