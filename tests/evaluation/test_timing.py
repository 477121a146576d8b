"""The account of time: what every row is charged for."""

import gc
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from scslib.evaluation import timing
from scslib.evaluation.timing import time_methods
from scslib.jobs.clock import STAGES, Clock
from scslib.models.classifiers import build_classifier
from scslib.models.costs import measure
from scslib.models.samplers import SamplerNetwork
from scslib.models.views import ClassifierInput
from scslib.samplers.base import Setting
from scslib.samplers.features import FeatureSpec
from scslib.samplers.learned import LearnedSampler
from scslib.samplers.registry import make_sampler
from scslib.video.clips import index_clips
from scslib.video.container import VideoError

VIEW = ClassifierInput(frames=4, short_side=32, crop=32, frame_rate=0.0)


def test_a_clock_charges_the_stage_even_if_the_work_fails():
    clock = Clock()
    assert clock("read_s", max, 1, 2) == 2
    with pytest.raises(ZeroDivisionError):
        clock("decode_s", lambda: 1 / 0)
    assert set(clock.seconds) == {"read_s", "decode_s"} and min(clock.seconds.values()) > 0


@pytest.fixture(scope="module")
def table(movie):
    torch.manual_seed(0)
    classifier = build_classifier("mc3_18", 3, width=2).eval()
    sight = LearnedSampler("sight", "rank", (SamplerNetwork(("motion",), 1, 2, 2).eval(),))
    samplers = [make_sampler("packet-size", Setting()), sight]
    spec = FeatureSpec(clip_len=4)
    found = time_methods([movie.path], (classifier, VIEW, None), samplers, spec, k=3, adaptive="sight")
    return found.set_index("method")


def test_rows_and_their_sums(table):
    rows = {"uniform", "random", "packet-size", "sight", "adaptive", "dense", "oracle"}
    assert set(table.index) == rows
    np.testing.assert_allclose(table["seconds_per_video"], table[list(STAGES)].sum(axis=1))
    dense, uniform = table.loc[["dense", "uniform"], "seconds_per_video"]
    np.testing.assert_allclose(table["speedup_vs_dense"], dense / table["seconds_per_video"])
    np.testing.assert_allclose(table["overhead_vs_uniform"], table["seconds_per_video"] / uniform)


def test_every_row_is_charged_for_what_it_needs_only(table):
    assert (table["classifier_s"] > 0).all() and (table["decode_s"] > 0).all()
    assert (table.loc[["uniform", "dense", "oracle"], "sampler_s"] == 0).all()
    assert (table.loc[["sight", "adaptive"], "sampler_s"] > 0).all()
    # reading and sampling are those of its sampler
    assert table.loc["adaptive", "read_s"] == table.loc["sight", "read_s"]
    assert table.loc["adaptive", "sampler_s"] == table.loc["sight", "sampler_s"]


def test_multiply_adds_are_those_of_the_clips_and_of_the_networks(table, movie):
    """Of f as counted on the meta device; of one layer as on paper."""
    gmacs, per_clip = table["gmacs"], measure("mc3_18", 3, width=2, view=VIEW).gmacs
    clips = len(index_clips(movie.path, clip_len=4))
    assert gmacs["uniform"] == pytest.approx(3 * per_clip)
    assert gmacs["dense"] == gmacs["oracle"] == pytest.approx(clips * per_clip)
    assert gmacs["packet-size"] == gmacs["uniform"] < gmacs["sight"] < gmacs["dense"]
    assert gmacs["adaptive"] <= gmacs["sight"]
    clock, layer = Clock(counts=True), torch.nn.Conv2d(3, 5, 3, padding=1)
    with torch.inference_mode():
        clock("classifier_s", layer, torch.zeros(2, 3, 10, 20))
    assert clock.gmacs == pytest.approx(2 * 5 * 10 * 20 * 3 * 3 * 3 / 1e9)


def test_each_round_goes_through_all_methods_but_dense(movie, monkeypatch):
    classifier = build_classifier("mc3_18", 3, width=2).eval()
    seen = {name: Mock(wraps=getattr(timing, name)) for name in ("_dense", "_classify")}
    for name, counted in seen.items():
        monkeypatch.setattr(timing, name, counted)
    spec, samplers = FeatureSpec(clip_len=4), [make_sampler("packet-size", Setting())]
    time_methods([movie.path], (classifier, VIEW, None), samplers, spec, k=2, rounds=3)
    assert seen["_dense"].call_count == 2  # once to warm up
    assert seen["_classify"].call_count == 2 * (1 + 3)  # uniform and packet-size


def test_what_is_kept_from_the_garbage_collection_is_given_back_if_a_method_fails(tmp_path):
    frozen = gc.get_freeze_count()
    with pytest.raises(VideoError):
        time_methods([tmp_path / "none.mp4"], (None, VIEW, None), [], FeatureSpec(), k=2)
    assert gc.get_freeze_count() == frozen
