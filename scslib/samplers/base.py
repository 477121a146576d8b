"""What a clip sampler is, and the registry of all samplers.

A sampler has a name, says what is read of a video for it, and gives each clip a **saliency**: the
higher, the more worth showing to the classifier f. Everything else (`scslib.evaluation`,
`scslib.sampling`) knows a sampler by this protocol only.

    make_sampler("visual", Setting(load_trained("laptop"), k=10)).score_file(index, spec)

Rules without training are in `rules`, the paper's networks in `learned`, the three-stage sampler in
`cascade`. Each is registered there by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from scslib.jobs.clock import Clock
    from scslib.samplers.features import FeatureSpec
    from scslib.samplers.learned import NetworkSampler
    from scslib.video.clips import ClipIndex


class Features(Protocol):
    """Arrays of many videos, by the video's id and the array's name; see `features.VideoFeatures`."""

    def has(self, video_id: str, name: str) -> bool:
        """Whether there is such an array of the video, such as `audio` of one with sound."""

    def get(self, video_id: str, name: str, rows: slice | None = None) -> np.ndarray:
        """The array, or some of its rows; a row is a clip."""


class FileScores(NamedTuple):
    """Ascending clip numbers (n,) that could be read, and their saliencies (n,)."""

    clips: np.ndarray
    saliency: np.ndarray


class Sampler(Protocol):
    """A clip sampler."""

    @property
    def name(self) -> str:
        """Its row in the tables."""

    @property
    def modalities(self) -> tuple[str, ...]:
        """What is read for it, of `models.modalities`; empty: times and sizes of the packets only."""

    def saliency(self, features: Features, video_id: str) -> np.ndarray:
        """(N,) float64: of every clip of one video, from features that were read before."""

    def score_file(
        self, index: ClipIndex, spec: FeatureSpec, *, threads: int = 1, clock: Clock | None = None
    ) -> FileScores:
        """The same of a file, of which nothing is read that the sampler does not need.

        `clock` is charged with the seconds of its stages `read_s` and `sampler_s`.
        """


class Networks(Protocol):
    """Trained networks by name, or what they have said before."""

    def averaged(self, name: str, networks: tuple[str, ...]) -> NetworkSampler:
        """The sampler `name` whose saliency is the mean over these networks."""


@dataclass(frozen=True)
class Setting:
    """What samplers are made from.

    networks: of a run (`bundle.load_trained`) or their kept scores (`learned.NetworkScores`).
    k: how many clips f will see. targets: f's probability of the true class of every clip, (N,) for
    each training video.
    """

    networks: Networks | None = None
    k: int = 10
    targets: Sequence[np.ndarray] = ()

    def averaged(self, name: str, networks: tuple[str, ...]) -> NetworkSampler:
        """See `Networks`. Raises `ValueError` where there are none."""
        if self.networks is None:
            raise ValueError(f"sampler ({name!r}) needs the networks of a run, and none are given")
        return self.networks.averaged(name, networks)


Maker = Callable[[Setting], Sampler]


class Registered(NamedTuple):
    """How a sampler is made, and what its setting must have: `networks`, `targets` or nothing."""

    make: Maker
    needs: str


REGISTRY: dict[str, Registered] = {}


def register(name: str, *, needs: str = "") -> Callable[[Maker], Maker]:
    """Let a function that makes a sampler from a `Setting` be found by the sampler's `name`.

    needs: `networks` or `targets`, which the setting must have. Raises `ValueError` for a name that is
    taken.
    """
    if name in REGISTRY:
        raise ValueError(f"name ({name!r}) is another sampler's; take another name")

    def keep(make: Maker) -> Maker:
        REGISTRY[name] = Registered(make, needs)
        return make

    return keep
