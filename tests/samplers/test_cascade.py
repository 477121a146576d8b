"""The cascade: who sees which clips, and that a file read stage by stage gives the same order."""

import numpy as np
import pytest
import torch

from scslib.jobs.clock import Clock
from scslib.models.samplers import MODALITIES, VISUAL, SamplerNetwork
from scslib.samplers.cascade import Cascade
from scslib.samplers.features import FeatureSpec, VideoFeatures, read_video
from scslib.samplers.learned import LearnedSampler
from scslib.samplers.policies import top_k
from scslib.video.clips import index_clips


class Says:
    """Stands in for a sampler: fixed saliencies, and a note of the clips that it was shown."""

    def __init__(self, values, modalities=VISUAL):
        self.values, self.modalities, self.shown = np.asarray(values), modalities, None

    def saliency(self, features, video_id, clips):
        self.shown = list(clips)
        return self.values[clips].astype(float)


def video(size, sound=True) -> VideoFeatures:
    arrays = {"bytes": np.asarray(size), "times": np.zeros((len(size), 2))}
    return VideoFeatures(arrays | ({"audio": np.zeros(1)} if sound else {}))


def by_hand(size, scouts, judge, k, packets, scouted, candidates):
    """The order of clips by sorting lists."""

    def best(clips, *keys):
        """Best first by the sum of keys, each with mean 0 and deviation 1 over these clips."""
        clips = sorted(clips)
        values = np.array([[key[c] for c in clips] for key in keys], float)
        spread = values.std(1, keepdims=True)
        worth = ((values - values.mean(1, keepdims=True)) / np.where(spread, spread, 1)).sum(0)
        return [c for _, c in sorted(zip(-worth, clips, strict=True))]

    least = max(k, round(candidates * k))
    everything = best(range(len(size)), size)
    seen = everything[: max(least, round(packets * len(size)))]
    first = best(seen, scouts[0])
    second = best(first[: max(least, round(scouted * len(first)))], *scouts)
    order = best(second[:least], judge)
    for others in (second, first, everything):
        order += [c for c in others if c not in order]
    return order, seen


@pytest.mark.parametrize(
    "settings", [(1.0, 1.0, 1.0), (0.5, 0.5, 2.0), (0.7, 0.9, 1.5), (0.01, 0.1, 9.0), (1.0, 0.25, 1.0)]
)
def test_order_equals_sorting_by_hand(settings):
    rng = np.random.default_rng(0)
    for clips in (4, 17, 40):
        size, judge = rng.permutation(clips), rng.permutation(clips)
        scouts = rng.standard_normal((2, clips))
        cascade = Cascade("c", tuple(map(Says, scouts)), Says(judge), 4, *settings)
        order = list(top_k(cascade.saliency(video(size), "v"), clips))
        expected, seen = by_hand(size, scouts, judge, 4, *settings)
        assert order == expected
        assert cascade.scouts[0].shown == sorted(seen)
        assert len(cascade.judge.shown) <= len(cascade.scouts[1].shown) <= len(seen)
        assert len(cascade.judge.shown) <= max(4, round(settings[2] * 4))


def test_a_scout_that_needs_sound_stays_at_home_where_there_is_none():
    sound, sight = Says([5, 1, 1, 9], ("audio",)), Says([4, 3, 2, 1], ("iframes",))
    cascade = Cascade("c", (sight, sound), Says([1, 2, 3, 4]), 1, 1.0, 1.0, 2.0)
    assert top_k(cascade.saliency(video([1, 1, 1, 1], sound=False), "v"), 2).tolist() == [1, 0]
    assert sound.shown is None
    cascade.saliency(video([1, 1, 1, 1]), "v")
    assert sound.shown == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "settings", [{"packets": 0.0}, {"packets": 1.5}, {"scouted": 0.0}, {"candidates": 0.5}]
)
def test_settings_that_make_no_sense_are_named(settings):
    (name, value), *_ = settings.items()
    with pytest.raises(ValueError, match=rf"{name} \({value}\)"):
        Cascade("c", (Says([1]),), Says([1]), 1, **settings)


def sampler(*modalities) -> LearnedSampler:
    torch.manual_seed(len(modalities[0]))
    return LearnedSampler("s", "rank", (SamplerNetwork(modalities, 1, 4, 4).eval(),))


@pytest.mark.parametrize("threads", [1, 2])
def test_a_file_read_in_stages_gives_the_order_of_features_read_at_once(movie, threads):
    index = index_clips(movie.path, clip_len=4)
    spec = FeatureSpec(clip_len=4)
    scouts = sampler("iframes"), sampler("audio")
    cascade = Cascade("c", scouts, sampler(*MODALITIES), 2, 0.7, 0.5, 2.0)
    clock = Clock()
    found = cascade.score_file(index, spec, threads=threads, clock=clock)
    whole = cascade.saliency(read_video(index, spec, MODALITIES), "")
    assert found.clips.tolist() == list(range(len(index)))
    assert top_k(found.saliency, len(index)).tolist() == top_k(whole, len(index)).tolist()
    assert clock.seconds["read_s"] > 0 and clock.seconds["sampler_s"] > 0
