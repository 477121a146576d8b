"""The methods of the table: each picks K of a video's N clips.

A method is an object with a name and one verb, `pick`:

    Random, Uniform, Dense, Oracle    need f's scores at most
    Salient                           the K most salient clips by a sampler
    ByPolicy                          K clips by a sampler's saliencies and another policy than top K
    Shuffled                          the most salient, the saliencies given to the wrong clips: a check

Those that stop earlier, as soon as the answer stands, are in `exits`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from scslib.samplers import policies
from scslib.samplers.names import OF_THE_KIT
from scslib.samplers.set_policies import POLICIES, Policy, split_method

DRAWS_OF_RANDOM, SHIFTS_OF_UNIFORM = 200, 60  # over which a mean is taken: both depend on luck


@dataclass(frozen=True, eq=False)
class ScoredVideo:
    """What a method may look at of one video.

    probabilities: (N, C) of f, of every clip. label: the class, 0..C-1; for the oracle. saliency: (N,)
    by each sampler's name, NaN for clips that could not be read; no sampler's name where it had nothing
    to go by; None where the video could not be read at all. times: (N, 2) seconds, NaN likewise.
    embeddings: (N, D) by a sampler's name, or None where it has none; asked for by some policies only.
    """

    probabilities: np.ndarray
    label: int
    saliency: Mapping[str, np.ndarray] | None
    times: np.ndarray
    embeddings: Callable[[str], np.ndarray | None]

    def __len__(self) -> int:
        return len(self.probabilities)


class Picks(NamedTuple):
    """Picked clip numbers, (D, K): D = 1, or so many draws of a method that depends on luck.

    fell_back: the method had nothing to go by and took uniform's clips.
    """

    clips: np.ndarray
    fell_back: bool = False


class Method(Protocol):
    """One row of the table."""

    @property
    def name(self) -> str:
        """What the row is called."""

    @property
    def needs_features(self) -> bool:
        """Tell whether the method looks at what samplers read."""

    def pick(self, video: ScoredVideo, k: int, rng: np.random.Generator) -> Picks | None:
        """The clips to show to f; None for a video of which nothing could be read for the method."""


@dataclass(frozen=True)
class Random:
    """K clips by lot; so many times."""

    name: str = "random"
    needs_features: bool = False

    def pick(self, video: ScoredVideo, k: int, rng: np.random.Generator) -> Picks:
        draws = [policies.random(len(video), k, rng) for _ in range(DRAWS_OF_RANDOM)]
        return Picks(np.stack(draws))


@dataclass(frozen=True)
class Uniform:
    """K clips at equal distances, from as many beginnings."""

    name: str = "uniform"
    needs_features: bool = False

    def pick(self, video: ScoredVideo, k: int, rng: np.random.Generator) -> Picks:
        shifts = (np.arange(SHIFTS_OF_UNIFORM) + 0.5) / SHIFTS_OF_UNIFORM
        return Picks(np.stack([policies.uniform(len(video), k, at) for at in shifts]))


@dataclass(frozen=True)
class Dense:
    """All clips."""

    name: str = "dense"
    needs_features: bool = False

    def pick(self, video: ScoredVideo, k: int, rng: np.random.Generator) -> Picks:
        return Picks(policies.dense(len(video))[None])


@dataclass(frozen=True)
class Oracle:
    """The K clips that f scores highest for the true class (paper, sec. 4): no method, but a bound."""

    name: str = "oracle"
    needs_features: bool = False

    def pick(self, video: ScoredVideo, k: int, rng: np.random.Generator) -> Picks:
        return Picks(policies.oracle(video.probabilities, video.label, k)[None])


REFERENCES = (Random(), Uniform(), Dense(), Oracle())


@dataclass(frozen=True)
class Salient:
    """The K most salient clips by the sampler `name`; without sound to go by, uniform's."""

    name: str
    needs_features: bool = True

    def pick(self, video: ScoredVideo, k: int, rng: np.random.Generator) -> Picks | None:
        return most_salient(video, self.name, k, rng)


@dataclass(frozen=True)
class Shuffled:
    """The saliencies of the sampler `of`, given to the wrong clips: must not beat random."""

    of: str
    name: str = "shuffled"
    needs_features: bool = True

    def pick(self, video: ScoredVideo, k: int, rng: np.random.Generator) -> Picks | None:
        return most_salient(video, self.of, k, rng, shuffled=True)


@dataclass(frozen=True)
class ByPolicy:
    """The clips that another policy than top K takes by the sampler `of`: `audio-visual+cdf3`."""

    of: str
    policy: Policy
    needs_features: bool = True

    @property
    def name(self) -> str:
        return f"{self.of}+{self.policy.name}"

    def pick(self, video: ScoredVideo, k: int, rng: np.random.Generator) -> Picks | None:
        def choose(saliency: np.ndarray, known: np.ndarray) -> np.ndarray:
            embeddings = video.embeddings(self.of) if self.policy.needs_embeddings else None
            some = embeddings if embeddings is None else embeddings[known]
            return self.policy.pick(saliency, some, video.times[known], k, rng)

        return _by_saliency(video, self.of, k, rng, choose)


def policy_rows(names: Sequence[str]) -> list[ByPolicy]:
    """The rows SAMPLER+POLICY that are asked for.

    `audio-visual` has a row with each policy of a plugin, too. Raises `ValueError` for a name without
    `+`, and for an unknown policy.
    """
    own = [f"audio-visual+{name}" for name in POLICIES if POLICIES.origin(name) != OF_THE_KIT]
    rows = []
    for name in dict.fromkeys([*names, *own]):
        sampler, policy = split_method(name)
        if policy is None:
            raise ValueError(f"method ({name!r}) must be SAMPLER+POLICY, such as audio-visual+cdf3")
        rows.append(ByPolicy(sampler, policy))
    return rows


def most_salient(
    video: ScoredVideo, sampler: str, k: int, rng: np.random.Generator, *, shuffled: bool = False
) -> Picks | None:
    """The K most salient clips by a sampler, best first; shuffled: as if the saliencies were others'."""

    def best(saliency: np.ndarray, known: np.ndarray) -> np.ndarray:
        return policies.top_k(rng.permutation(saliency) if shuffled else saliency, k)

    return _by_saliency(video, sampler, k, rng, best)


def _by_saliency(
    video: ScoredVideo,
    sampler: str,
    k: int,
    rng: np.random.Generator,
    choose: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> Picks | None:
    """What is chosen of the clips that could be read; uniform's clips where nothing is known of them.

    choose: of their saliencies (n,) and clip numbers (n,), positions among these.
    """
    if video.saliency is None:
        return None
    if sampler not in video.saliency:
        return Uniform().pick(video, k, rng)._replace(fell_back=True)
    saliency = video.saliency[sampler]
    known = np.flatnonzero(np.isfinite(saliency))
    return Picks(known[choose(saliency[known], known)][None])
