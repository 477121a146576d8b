"""What a clip sampler is, and the registry of all samplers.

A sampler has a name, says what is read of a video for it, and gives each clip a **saliency**: the
higher, the more worth showing to the classifier f. Everything else (`scslib.evaluation`,
`scslib.sampling`) knows a sampler by this protocol only.

    make_sampler("visual", Setting(load_trained("laptop"), k=10)).score_file(index, spec)

Rules without training are in `rules`, the paper's networks in `learned`, the three-stage sampler in
`cascade`. Each is registered there by its name. One of your own: `register`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from scslib.samplers.names import Registry

if TYPE_CHECKING:
    from scslib.jobs.clock import Clock
    from scslib.samplers.features import FeatureSpec
    from scslib.samplers.learned import NetworkSampler
    from scslib.video.clips import ClipIndex


class Features(Protocol):
    """Arrays of many videos, by the video's id and the array's name; see `features.VideoFeatures`."""

    def has(self, video_id: str, name: str) -> bool:
        """Tell whether there is such an array of the video. A video with sound has `audio`."""

    def get(self, video_id: str, name: str, rows: slice | None = None) -> np.ndarray:
        """The array, or some of its rows; a row is a clip."""


class FileScores(NamedTuple):
    """Ascending clip numbers (n,) that could be read, and their saliencies (n,).

    embeddings: (n, D), if they were asked for and the sampler has any.
    """

    clips: np.ndarray
    saliency: np.ndarray
    embeddings: np.ndarray | None = None


class Sampler(Protocol):
    """A clip sampler."""

    @property
    def name(self) -> str:
        """The name of its row in the tables."""

    @property
    def modalities(self) -> tuple[str, ...]:
        """What is read for it, of `models.modalities` and `readers`; empty: packets alone."""

    def saliency(self, features: Features, video_id: str) -> np.ndarray:
        """The saliency of every clip of one video, (N,) float64: from features that were read before."""

    def embeddings(self, features: Features, video_id: str) -> np.ndarray | None:
        """The embedding of every clip, (N, D), or None. Policies that want unlike clips use it."""

    def score_file(
        self,
        index: ClipIndex,
        spec: FeatureSpec,
        *,
        threads: int = 1,
        clock: Clock | None = None,
        embed: bool = False,
    ) -> FileScores:
        """The saliency of a file's clips. Nothing is read that the sampler does not need.

        embed: with embeddings.
        `clock` is charged with the seconds of its stages `read_s` and `sampler_s`.
        """


class Networks(Protocol):
    """Trained networks by name, or what they have said before."""

    def averaged(self, name: str, networks: tuple[str, ...]) -> NetworkSampler:
        """The sampler `name` whose saliency is the mean over these networks."""


class Fitted(NamedTuple):
    """What a trained sampler of a user has learnt: see `fitted`.

    arrays: by name. plain: numbers, texts, and lists and dictionaries of them, by name. version: of the
    code that has learnt it.
    """

    arrays: Mapping[str, np.ndarray]
    plain: Mapping[str, object]
    version: str


@dataclass(frozen=True)
class Setting:
    """What samplers are made from.

    networks: of a run (`bundle.load_trained`) or their kept scores (`learned.NetworkScores`).
    k: how many clips f will see. targets: f's probability of the true class of every clip, (N,) for
    each training video. fitted: what samplers of yours have learnt, by their names.
    """

    networks: Networks | None = None
    k: int = 10
    targets: Sequence[np.ndarray] = ()
    fitted: Mapping[str, Fitted] = field(default_factory=dict)

    def averaged(self, name: str, networks: tuple[str, ...]) -> NetworkSampler:
        """The sampler `name` that averages networks (`Networks`). Raises `ValueError` where there are
        none.
        """
        if self.networks is None:
            raise ValueError(f"sampler ({name!r}) needs the networks of a run, and none are given")
        return self.networks.averaged(name, networks)


Maker = Callable[[Setting], Sampler]


class Registered(NamedTuple):
    """How a sampler is made; needs: what its setting must have, see `register_maker`."""

    make: Maker
    needs: str


SAMPLERS: Registry[Registered] = Registry("sampler")


def register_maker(name: str, *, needs: str = "") -> Callable[[Maker], Maker]:
    """Let the function below make the sampler `name` from a `Setting`.

    needs: `networks`, `targets` or `fitted`, which the setting must have. Raises `ValueError` for a
    name that is taken.
    """

    def keep(make: Maker) -> Maker:
        SAMPLERS.add(name, Registered(make, needs))
        return make

    return keep
