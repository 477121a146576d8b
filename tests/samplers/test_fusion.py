"""Fusion rules against plain Python on lists, and the bugs of the unmerged pull request."""

import numpy as np
import pytest

from scslib.samplers.fusion import (
    RULES,
    as_saliency,
    best_number,
    convex_list,
    convex_score,
    intersect_list,
    union_list,
)
from scslib.samplers.policies import top_k

RNG = np.random.default_rng(0)
CASES = [(RNG.normal(size=n), RNG.normal(size=n) * 50) for n in (1, 2, 7, 30)]


def ranking(scores) -> list[int]:
    return sorted(range(len(scores)), key=lambda i: -scores[i])


@pytest.mark.parametrize("visual, audio", CASES)
def test_convex_score_is_the_formula_on_stretched_scores(visual, audio):
    def stretch(scores):
        low, high = min(scores), max(scores)
        return [(s - low) / (high - low) if high > low else 0.0 for s in scores]

    expected = [0.7 * v + 0.3 * a for v, a in zip(stretch(visual), stretch(audio), strict=True)]
    np.testing.assert_allclose(convex_score(visual, audio, 0.7), expected, atol=1e-12)


def test_convex_score_does_not_depend_on_the_scale_of_a_sampler():
    visual, audio = CASES[3]
    scaled = convex_score(visual * 1000 + 5, audio, 0.5)
    np.testing.assert_allclose(scaled, convex_score(visual, audio, 0.5), atol=1e-9)
    assert list(top_k(visual * 1000 + audio, 5)) != list(top_k(scaled, 5))


@pytest.mark.parametrize("visual, audio", CASES)
def test_convex_list_orders_as_the_sum_of_ranks(visual, audio):
    rank_v, rank_a = ranking(visual), ranking(audio)
    cost = [0.6 * rank_v.index(i) + 0.4 * rank_a.index(i) for i in range(len(visual))]
    joined = convex_list(visual, audio, 0.6)
    np.testing.assert_allclose(1 - np.array(cost) / max(1, len(cost) - 1), joined, atol=1e-12)
    assert joined.min() >= 0 and joined.max() <= 1


@pytest.mark.parametrize("fuse", [convex_score, convex_list])
def test_alpha_chooses_the_modality_and_silence_decides_nothing(fuse):
    visual, audio = CASES[3]
    assert list(top_k(fuse(visual, audio, 1), 30)) == ranking(visual)
    assert list(top_k(fuse(visual, audio, 0), 30)) == ranking(audio)
    assert list(top_k(fuse(visual, np.full(30, -13.8), 0.2), 30)) == ranking(visual)


@pytest.mark.parametrize("visual, audio", CASES)
@pytest.mark.parametrize("k", [1, 3, 10, 100])
def test_intersect_list_grows_both_lists_until_k_are_common(visual, audio, k):
    n, m = len(visual), 0
    common: set[int] = set()
    while len(common) < min(k, n):
        m += 1
        common = set(ranking(visual)[:m]) & set(ranking(audio)[:m])
    chosen = intersect_list(visual, audio, k)
    assert len(chosen) == len(set(chosen)) == min(k, n)
    assert set(chosen) <= common
    assert set(ranking(visual)[: m - 1]) & set(ranking(audio)[: m - 1]) <= set(chosen)


def test_equal_clips_share_their_mean_rank():
    visual, audio = [4, 3, 2, 1], [5, 5, 5, 9]  # audio ranks 2, 2, 2, 0
    expected = [1 - (0.5 * v + 0.5 * a) / 3 for v, a in zip([0, 1, 2, 3], [2, 2, 2, 0], strict=True)]
    np.testing.assert_allclose(convex_list(visual, audio, 0.5), expected)
    # worse ranks 2, 2, 2, 3; of the three that come in together the best seen is first
    assert list(intersect_list(visual, audio, 4)) == [0, 1, 2, 3]


def test_intersect_list_is_best_first():
    #           clip 0  1  2  3        video: 1 2 0 3, audio: 2 1 3 0
    assert list(intersect_list([2, 4, 3, 1], [1, 3, 4, 2], 4)) == [1, 2, 0, 3]


@pytest.mark.parametrize("visual, audio", CASES)
@pytest.mark.parametrize("k, k_visual", [(1, 0), (1, 1), (5, 3), (40, 2), (40, 40)])
def test_union_list_is_the_rule_of_the_paper(visual, audio, k, k_visual):
    expected = ranking(visual)[:k_visual]
    for clip in ranking(audio):
        if clip not in expected and len(expected) < k:
            expected.append(clip)
    assert list(union_list(visual, audio, k, k_visual)) == expected[:k]


def test_pull_request_bug_union_kept_the_least_salient_and_kept_duplicates():
    visual, audio = np.array([0.1, 0.9, 0.5, 0.7]), np.array([0.2, 0.9, 0.1, 0.3])
    chosen = union_list(visual, audio, 3, 2)
    assert list(chosen) == [1, 3, 0]  # the two best by video; 1 and 3 are not taken again by audio


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: convex_score([1, 2], [1], 0.5), r"visual \(2,\) and audio \(1,\)"),
        (lambda: convex_list([], [], 0.5), r"N > 0"),
        (lambda: convex_score([1, 2], [1, 2], 1.5), r"alpha \(1.5\)"),
        (lambda: convex_list([1, 2], [1, float("nan")], 0.5), r"audio saliency of clip 1 \(nan\)"),
        (lambda: union_list([1, 2], [1, 2], 2, 3), r"k_visual \(3\)"),
        (lambda: union_list([1, 2], [1, 2], 0, 0), r"k \(0\)"),
        (lambda: intersect_list([1, 2], [1, 2], 0), r"k \(0\)"),
    ],
)
def test_pull_request_bug_checks_are_real(call, words):
    """There, `assert (condition, message)` was always true: nothing was checked."""
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize("visual, audio", CASES)
@pytest.mark.parametrize("k", [1, 2, 7, 50])
@pytest.mark.parametrize("rule", sorted(RULES))
def test_every_rule_gives_k_different_clips_and_a_table_can_hold_them(rule, k, visual, audio):
    for value in (0.0, 0.3, 1.0):
        picks = RULES[rule](visual, audio, k, value)
        assert len(set(picks.tolist())) == len(picks) == min(k, len(visual))
        assert list(top_k(as_saliency(picks, len(visual)), k)) == list(picks)


def test_the_chosen_alpha_is_the_one_that_serves_validation_videos_best():
    """Sight knows the truth in one world, sound in the other; the choice must follow, and be counted."""
    rng = np.random.default_rng(2)
    truth = [rng.random(20) for _ in range(6)]
    noise = [rng.random(20) for _ in range(6)]
    for seeing in (True, False):
        videos = [(t, n, t) if seeing else (n, t, t) for t, n in zip(truth, noise, strict=True)]
        for rule in ("convex-score", "convex-list", "union-list"):
            best, worth = best_number(rule, videos, k=4, values=(0.0, 0.5, 1.0))
            assert best == (1.0 if seeing else 0.0)
            by_hand = [
                np.mean([t[RULES[rule](v, a, 4, x)].mean() for v, a, t in videos]) for x in (0, 0.5, 1)
            ]
            np.testing.assert_allclose(worth, by_hand)


def test_choose_names_what_is_wrong():
    with pytest.raises(ValueError, match="rule \\('sum'\\)"):
        best_number("sum", [(np.ones(2), np.ones(2), np.ones(2))], k=1)
    with pytest.raises(ValueError, match="videos"):
        best_number("convex-score", [], k=1)
