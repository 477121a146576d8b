"""FOCUS against its steps written out in loops, and by how little it looks at."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scslib.samplers.base import FileScores
from scslib.samplers.features import VideoFeatures
from scslib.samplers.focus import Focus, arms_of, upper_bound


class Judge:
    """Gives a known saliency for each clip, and keeps which it was asked for."""

    name, modalities = "judge", ("motion",)

    def __init__(self, saliency, broken=()):
        self.of, self.asked, self.broken = np.asarray(saliency, float), [], set(broken)

    def saliency(self, features, video_id, clips=None):
        self.asked += list(clips)
        return self.of[list(clips)]


def times_of(clips, length=1.0):
    return np.stack([np.arange(clips), np.arange(clips) + 1], axis=1) * length


def pick(saliency, k, length=1.0):
    judge = Judge(saliency)
    features = VideoFeatures({"times": times_of(len(judge.of), length)})
    found = Focus(judge, k).saliency(features, "")
    return np.argsort(-found)[:k], judge.asked


def test_arms_are_stretches_of_sixteen_seconds_and_at_least_eight():
    assert [len(arm) for arm in arms_of(times_of(320))] == [16] * 20
    assert [len(arm) for arm in arms_of(times_of(40))] == [5] * 8
    assert [arm.tolist() for arm in arms_of(times_of(3))] == [[0], [1], [2]]
    assert len(arms_of(times_of(320, 0.5))) == 10
    assert np.concatenate(arms_of(times_of(333, 0.7))).tolist() == list(range(333))


def test_the_bound_is_the_papers():
    scores = [0.2, 0.4, 0.9]
    mean = sum(scores) / 3
    var = sum((s - mean) ** 2 for s in scores) / 3
    expected = mean + math.sqrt(2 * math.log(30) * var / 3) + 3 * math.log(30) / 3
    assert upper_bound(np.array(scores), 30) == pytest.approx(expected)


def test_a_bump_is_found_while_few_clips_are_scored():
    saliency = np.zeros(640)
    saliency[400:420] = 5
    found, asked = pick(saliency, 10)
    inside = (400 <= found) & (found < 420)
    assert inside[:2].all() and len(set(asked)) == len(asked) < 0.5 * 640


def test_fine_scores_change_the_arms():
    """Where the coarse look misses the peak of an arm, the fine one puts it among the best."""
    coarse = Judge(np.zeros(160))
    Focus(coarse, 4).order(
        times_of(160), lambda clips: FileScores(clips, coarse.saliency(None, "", clips))
    )
    fine = [clip for clip in coarse.asked[30:]]
    saliency = np.zeros(160)
    saliency[fine[3]] = 9  # seen by the second look only
    found, asked = pick(saliency, 4)
    assert asked[:30] == coarse.asked[:30] and fine[3] in asked[30:] and found[0] == fine[3]


def test_a_fifth_is_taken_by_score_and_the_rest_keeps_its_distance():
    rng = np.random.default_rng(1)
    saliency = rng.random(320)
    found, asked = pick(saliency, 10, length=0.25)
    best = sorted(asked, key=lambda clip: -saliency[clip])[:2]
    assert found[:2].tolist() == best
    rest = np.sort(found[2:])
    assert np.diff(rest).min() * 0.25 >= 0.75  # seconds; the gap is at most 1 s, less a clip's half


FINITE = st.floats(-1e300, 1e300)


@settings(deadline=None, derandomize=True, database=None, max_examples=60)
@given(st.lists(FINITE, min_size=1, max_size=60), st.integers(1, 70), st.floats(0.05, 40))
def test_k_different_clips_for_any_saliencies(saliency, k, length):
    found, _ = pick(saliency, k, length)
    clips = min(k, len(saliency))
    assert len(found) == clips == len(set(found.tolist())) and set(found) <= set(range(len(saliency)))


def test_clips_that_cannot_be_read_are_left_out():
    judge, tried = Judge(np.arange(40.0)), set()

    def score(clips):
        tried.update(clips.tolist())
        clips = clips[clips < 20]
        return FileScores(clips, judge.saliency(None, "", clips))

    order = Focus(judge, 5).order(times_of(40), score)
    lost = {clip for clip in tried if clip >= 20}
    assert (order[:2] < 20).all() and sorted(order) == sorted(set(range(40)) - lost) and lost
