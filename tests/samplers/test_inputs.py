"""The inputs of a video's clips, some at a time."""

import numpy as np
import pytest
import torch

from scslib.samplers import inputs
from scslib.samplers.features import VideoFeatures
from scslib.samplers.inputs import inputs_of, sampler_inputs

CLIPS = 30
NUMBERS = 200 * 40  # of one clip's sound


@pytest.fixture
def sound():
    noise = np.random.default_rng(0).standard_normal((CLIPS, 200, 40))
    return VideoFeatures({"audio": noise.astype(np.float16), "times": np.zeros((CLIPS, 2))})


@pytest.mark.parametrize(
    "held, most, expected",
    [(5 * NUMBERS, 64, [8, 5, 5, 5, 4]), (1, 64, [8] + [1] * 19), (1e9, 9, [8, 9, 9, 1])],
)
def test_every_row_comes_once_and_no_more_than_are_to_be_held(sound, monkeypatch, held, most, expected):
    monkeypatch.setattr(inputs, "INPUTS_AT_ONCE", held)
    monkeypatch.setattr(inputs, "MOST_AT_ONCE", most)
    rows = list(range(CLIPS - 1, 2, -1))
    some = list(inputs_of(sound, "", rows, ("audio",), torch.device("cpu")))
    assert [len(each["audio"]) for each in some] == expected
    whole = sampler_inputs(sound, [("", row) for row in rows], ("audio",))
    assert torch.equal(torch.cat([each["audio"] for each in some]), whole["audio"])


def test_of_no_row_there_are_none(sound):
    assert not list(inputs_of(sound, "", [], ("audio",), torch.device("cpu")))
