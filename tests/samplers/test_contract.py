"""`check` says which of the rules a wrong sampler or policy breaks, and is silent about right ones."""

from weakref import WeakKeyDictionary

import numpy as np
import pytest

from scslib.samplers import check, register_policy, register_reader, register_sampler
from scslib.samplers.contract import CheckError
from scslib.samplers.names import Origin, registering

HERE = Origin("tests/samplers/test_contract.py", "1")


@pytest.fixture(autouse=True)
def forgotten():
    """What a test registers is gone after it."""
    with registering(HERE):
        yield
    with registering(HERE):
        pass


def counter():
    calls = []

    def count(clips):
        calls.append(1)
        return np.arange(len(clips)) * len(calls)

    return count


def mean_so_far():
    seen = set()

    def against_the_others(clips):
        seen.add(clips.bytes.mean())
        return clips.bytes - np.mean(list(seen))

    return against_the_others


def writes(clips):
    clips.bytes[:] = clips.bytes - clips.bytes.mean()
    return clips.bytes


class Forgets:
    learnt = WeakKeyDictionary()

    def fit(self, videos, labels, dense_scores):
        self.learnt[self] = len(videos)

    def saliency(self, clips):
        return np.arange(len(clips)) * self.learnt.get(self, 0)


class Keeps:
    def fit(self, videos, labels, dense_scores):
        self.model = object()

    def saliency(self, clips):
        return np.arange(len(clips))


WRONG_SAMPLERS = {
    "one number for all": ((), lambda clips: 1.0, "one number a clip: of the video with sound .N = 6."),
    "too few": ((), lambda clips: clips.bytes[1:], r"one number a clip: .*each of 6 clips, not \(5,\)"),
    "NaN": ((), lambda clips: np.log(clips.bytes - clips.bytes), "one number a clip: .*clip 0 .*finite"),
    "NaN of one clip alone": (
        (),
        lambda clips: clips.bytes / (len(clips) - 1),
        "one number a clip: of the video of one clip",
    ),
    "needs two clips": ((), lambda clips: np.diff(clips.bytes, append=clips.bytes[1]), "of one clip"),
    "breaks on silence": (
        ("audio",),
        lambda clips: clips["audio"].mean((1, 2)),
        "silent video: of the video silent .N = 5.: KeyError: 'audio'",
    ),
    "reads more": (("motion",), lambda clips: clips.residual.mean((1, 2, 3, 4)), "it looks at residual"),
    "listens without saying so": (
        ("motion",),
        lambda clips: clips.audio.mean((1, 2)),
        "it looks at audio, which `reads` does not name",
    ),
    "divides by what moves": (
        ("motion",),
        lambda clips: (
            np.abs(clips.motion[..., 0]).sum((1, 2, 3)) / np.abs(clips.motion).sum((1, 2, 3, 4))
        ),
        "one number a clip: of the video that stands still",
    ),
    "draws anew": ((), lambda clips: np.random.random(len(clips)), "the same video twice gives other"),
    "counts": ((), counter(), "same again: the same video twice gives other numbers"),
    "compares videos": (
        (),
        mean_so_far(),
        "same again: a video's numbers depend on those scored before",
    ),
    "writes": ((), writes, "changes nothing: it writes into clips.bytes: work on a copy"),
    "learns elsewhere": ((), Forgets, "scores otherwise when it is loaded again: keep what fit learns"),
    "keeps an object": ((), Keeps, r"attribute model \(object\) cannot be kept"),
}


@pytest.mark.parametrize("kind", WRONG_SAMPLERS)
def test_a_wrong_sampler_is_found_by_the_rule_that_it_breaks(kind):
    reads, own, message = WRONG_SAMPLERS[kind]
    register_sampler("wrong", reads=reads)(own)
    with np.errstate(all="ignore"), pytest.raises(CheckError, match=f"^wrong: .*{message}"):
        check("wrong")


def test_a_reader_that_leaves_out_a_clip_is_found():
    register_reader("half")(lambda video, clips: np.zeros(len(clips) // 2))
    register_sampler("wrong", reads=("half",))(lambda clips: clips["half"])
    with pytest.raises(
        CheckError, match=r"runs: .*reader \('half'\) must give a row of numbers for each"
    ):
        check("wrong")


class Remembers:
    def __init__(self):
        self.before = 0

    def pick(self, saliency, embeddings, times, k, rng):
        self.before += 1
        return np.roll(np.arange(len(saliency)), self.before)[:k]


WRONG_POLICIES = {
    "a clip twice": (lambda s, e, t, k, rng: np.zeros(min(k, len(s)), int), "K different clips: N = 2"),
    "more than there are": (lambda s, e, t, k, rng: np.arange(k), "K different clips: N = 1, K = 2"),
    "too few": (lambda s, e, t, k, rng: np.flatnonzero(s > s.mean())[:k], "K different clips: N = 1"),
    "past the end": (lambda s, e, t, k, rng: np.arange(1, min(k, len(s)) + 1), "K different clips"),
    "halves of clips": (lambda s, e, t, k, rng: np.arange(min(k, len(s))) / 2, "whole numbers in 0..0"),
    "remembers": (Remembers, "same again: N = 2"),
    "divides by the range": (
        lambda s, e, t, k, rng: np.argsort((s - s.min()) / int(np.ptp(s) or 1 // 0))[:k],
        "ZeroDivisionError",
    ),
}


@pytest.mark.parametrize("kind", WRONG_POLICIES)
def test_a_wrong_policy_is_found(kind):
    own, message = WRONG_POLICIES[kind]
    register_policy("wrong")(own)
    with pytest.raises(CheckError, match=message):
        check("wrong")


class Right:
    """Learns how much of each clip's motion speaks for f being right; any network would do."""

    def fit(self, videos, labels, dense_scores):
        energy = np.concatenate([np.abs(clips.motion).mean((1, 2, 3, 4)) for clips in videos])
        worth = np.concatenate([s[:, label] for s, label in zip(dense_scores, labels, strict=True)])
        self.slope = float(np.polyfit(energy, worth, 1)[0])

    def saliency(self, clips):
        return self.slope * np.abs(clips.motion).mean((1, 2, 3, 4))


def test_right_ones_pass_and_so_do_those_of_the_kit():
    register_sampler("right", reads=("motion",))(Right)
    register_sampler("right-too", reads=("audio",))(lambda clips: clips.audio.mean((1, 2)))
    register_policy("right")(lambda s, e, t, k, rng: rng.permutation(len(s))[:k])
    for name in ("right-too", "right", "local-motion", "still-contrast", "aks", "mdp3", "cdf2.5"):
        check(name)
    with pytest.raises(CheckError, match="runs: .*'audio-visual'.* needs the networks of a run"):
        check("audio-visual")  # without a run's networks
    with pytest.raises(ValueError, match=r"'nobody'.* must be one of the samplers .* or policies .*aks"):
        check("nobody")
    with pytest.raises(ValueError, match=r"reads \('audio'\) must be a tuple"):
        register_sampler("text", reads="audio")
