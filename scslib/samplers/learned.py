"""The paper's samplers: the mean score of one trained network or several.

LearnedSampler   runs its networks, on features that were read before or on a file
ScoredSampler    looks up what the networks have said of every clip before: `network_scores`
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from scslib.datasets.manifest import Dataset, videos_of
from scslib.jobs import devices
from scslib.jobs.clock import Clock
from scslib.jobs.shard_files import Shards, reopen
from scslib.jobs.shards import Read, run_shards, with_places
from scslib.models.checkpoints import fingerprint, load_sampler
from scslib.models.modalities import MODALITIES, VISUAL
from scslib.models.samplers import SamplerNetwork
from scslib.samplers.base import Features, FileScores, register_maker
from scslib.samplers.features import FeatureSpec, VideoFeatures, map_chunks
from scslib.samplers.inputs import inputs_of
from scslib.video.clips import ClipIndex

# the networks whose scores make each sampler (paper, sec. 3.2, 3.3; "audio-visual" is joint training,
# and "mean-of-four" what that begins with)
LEARNED = {"audio": ("audio",), "visual": VISUAL, "mean-of-four": MODALITIES}
LEARNED |= {"audio-visual": ("joint",)}
NETWORK_INPUTS = {name: (name,) for name in MODALITIES} | {"joint": MODALITIES}  # and what each looks at


class Said(NamedTuple):
    """What a network says of n clips: outputs (n, C), embeddings (n, D); float32, on the processor.

    C = 1 for RANK, the number of classes for AC. The embeddings are what its head sees.
    """

    outputs: torch.Tensor
    embeddings: torch.Tensor


def said_of(
    networks: Sequence[SamplerNetwork], features: Features, video_id: str, rows: Sequence[int]
) -> list[Said]:
    """What each network says of a video's clips `rows`."""
    device, modalities = next(networks[0].parameters()).device, _union(n.modalities for n in networks)
    found: list[list[Said]] = [[Said(torch.zeros(0, 1), torch.zeros(0, 1))] for _ in networks]
    for inputs in inputs_of(features, video_id, rows, modalities, device):
        for network, parts in zip(networks, found, strict=True):
            embeddings = network.embed(inputs)
            parts.append(Said(network.head(embeddings).cpu(), embeddings.cpu()))
    return [Said(*map(torch.cat, zip(*(parts[1:] or parts), strict=True))) for parts in found]


def outputs_of(
    networks: Sequence[SamplerNetwork], features: Features, video_id: str, rows: Sequence[int]
) -> list[torch.Tensor]:
    """The outputs (n, C) of each network for a video's clips `rows`; see `Said`."""
    return [said.outputs for said in said_of(networks, features, video_id, rows)]


def saliency_of(outputs: Sequence[torch.Tensor], objective: str) -> np.ndarray:
    """The saliency of n clips, (n,) float64: AC, the highest of the C averaged class probabilities;
    RANK, the mean score.
    """
    if objective == "ac":
        return torch.stack([o.softmax(1) for o in outputs]).mean(0).amax(1).double().numpy()
    return torch.stack([o[:, 0] for o in outputs]).mean(0).double().numpy()


def _union(modalities: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(m for some in modalities for m in some))


@dataclass(frozen=True, eq=False)
class LearnedSampler:
    """Networks of one objective whose scores are averaged: one or more, e.g. the three visual ones."""

    name: str
    objective: str
    networks: tuple[SamplerNetwork, ...]

    @property
    def modalities(self) -> tuple[str, ...]:
        return _union(network.modalities for network in self.networks)

    def saliency(
        self, features: Features, video_id: str, clips: Sequence[int] | None = None
    ) -> np.ndarray:
        """The saliency of the rows `clips` of the features, or of all: (N,) float64; see `saliency_of`.

        Of a video without sound a network that does nothing but listen has no say.
        """
        return self._saliency(self._said(features, video_id, clips))

    def embeddings(self, features: Features, video_id: str) -> np.ndarray:
        """The embeddings that the networks' heads see: (N, D) float64, each of length one; see
        `_side_by_side`.
        """
        return _embeddings_of(self._said(features, video_id))

    def _saliency(self, said: Sequence[Said]) -> np.ndarray:
        return saliency_of([one.outputs for one in said], self.objective)

    @torch.inference_mode()
    def _said(self, features: Features, video_id: str, clips: Sequence[int] | None = None) -> list[Said]:
        """What the networks say that have anything to go by, in one pass."""
        rows = range(len(features.get(video_id, "times"))) if clips is None else clips
        asked = [n for n in self.networks if any(features.has(video_id, m) for m in n.modalities)]
        return said_of(asked or self.networks, features, video_id, rows)

    def score_file(
        self,
        index: ClipIndex,
        spec: FeatureSpec,
        clips: Sequence[int] | None = None,
        *,
        threads: int = 1,
        clock: Clock | None = None,
        embed: bool = False,
    ) -> FileScores:
        """The saliency of a file's clips. They are read and scored a few hundred at a time.

        Of ascending numbers `clips`, or of all; embed: with embeddings. `clock` is charged `read_s` and
        `sampler_s`; several threads read and score at once, and the time is charged as they spent it.
        """
        clock = clock or Clock()
        begin, busy = time.perf_counter(), []

        def score(chunk: VideoFeatures) -> FileScores:
            start = time.perf_counter()
            with clock.counting():
                said = self._said(chunk, "")
            busy.append(time.perf_counter() - start)
            kept = _embeddings_of(said) if embed else None  # of a long video they would not fit
            return FileScores(chunk.get("", "clip"), self._saliency(said), kept)

        found = list(map_chunks(score, index, spec, self.modalities, clips, threads=threads))
        took, networks = time.perf_counter() - begin, sum(busy) / threads
        clock.seconds["sampler_s"] += networks
        clock.seconds["read_s"] += took - networks
        numbers, saliency = (np.concatenate(c) for c in list(zip(*found, strict=True))[:2])
        kept = [one.embeddings for one in found if one.embeddings is not None]
        return FileScores(numbers, saliency, np.concatenate(kept) if embed else None)


def _embeddings_of(said: Sequence[Said]) -> np.ndarray:
    return _side_by_side([one.embeddings.numpy() for one in said])


def _side_by_side(parts: Sequence[np.ndarray]) -> np.ndarray:
    """(N, D) of embeddings (N, d), each stretched to length one first, so that each counts the same."""
    parts = [np.asarray(part, float) for part in parts]
    lengths = [np.linalg.norm(part, axis=1, keepdims=True) for part in parts]
    return np.hstack([p / np.maximum(n, 1e-12) for p, n in zip(parts, lengths, strict=True)])


def sampler_checkpoint(folder: Path, network: str, *, objective: str, seed: int) -> Path:
    """The path of one network's weights: FOLDER/NETWORK-OBJECTIVE-seedN.safetensors."""
    return folder / f"{network}-{objective}-seed{seed}.safetensors"


@dataclass(frozen=True, eq=False)
class ScoredSampler:
    """A sampler of networks, by name, that scored every clip before: by `scores`; not of a file."""

    name: str
    objective: str
    networks: tuple[str, ...]
    scores: Shards

    @property
    def modalities(self) -> tuple[str, ...]:
        return _union(NETWORK_INPUTS[network] for network in self.networks)

    def saliency(
        self, features: Features, video_id: str, clips: Sequence[int] | None = None
    ) -> np.ndarray:
        """The saliency of the rows `clips`, or of all: (N,) float64; `features` is not looked at."""
        asked = [name for name in self.networks if self.scores.has(video_id, name)]
        outputs = [torch.from_numpy(self.scores.get(video_id, name)) for name in asked]
        if clips is not None:
            outputs = [output[np.asarray(clips)] for output in outputs]
        return saliency_of(outputs, self.objective)

    def embeddings(self, features: Features, video_id: str) -> np.ndarray:
        """The embeddings, (N, D) float64; `features` is not looked at. See `LearnedSampler`."""
        asked = [name for name in self.networks if self.scores.has(video_id, name)]
        return _side_by_side([self.scores.get(video_id, f"{name}-embedding") for name in asked])

    def score_file(
        self,
        index: ClipIndex,
        spec: FeatureSpec,
        clips: Sequence[int] | None = None,
        *,
        threads: int = 1,
        clock: Clock | None = None,
        embed: bool = False,
    ) -> FileScores:
        """Refuse to score a file: raises `NotImplementedError`."""
        raise NotImplementedError(f"sampler ({self.name!r}) has kept scores, and cannot read a file")


NetworkSampler = LearnedSampler | ScoredSampler


def network_scores(
    dataset: Dataset,
    features: Shards,
    checkpoints: Path,
    folder: str | Path,
    *,
    objective: str,
    seed: int,
    device: str = "auto",
    workers: int = 0,
) -> Shards:
    """What a run's sampler networks say of every clip of the videos in `features`.

    Shards of `iframes`, `motion`, `residual`, `audio`, `joint`: (N, C) float32 each, see `Said`; and of
    `iframes-embedding` and so on, (N, D) float16. Nothing of `audio` in a video without sound.
    checkpoints: the run's folder of them.
    """
    videos = with_places(videos_of(dataset, dataset.videos), features)
    paths = {
        n: sampler_checkpoint(checkpoints, n, objective=objective, seed=seed) for n in NETWORK_INPUTS
    }
    where = devices.choose(device)
    return run_shards(
        _network_scores,
        videos,
        folder,
        params={"objective": objective, "seed": seed, "device": where.type},
        stands_on={
            "weights": {name: fingerprint(path) for name, path in paths.items()},
            "features": features.folder.name,
        },
        given={
            "checkpoints": {name: str(path) for name, path in paths.items()},
            "on": str(where),
        },
        workers=workers,
        title="scoring clips by the samplers",
    )


def _network_scores(path: Path, params: dict) -> Read:
    video_id = params["video_id"]
    features = reopen(video_id, params["place"])
    rows, heard = range(len(features.get(video_id, "times"))), features.has(video_id, "audio")
    names = [name for name in NETWORK_INPUTS if heard or NETWORK_INPUTS[name] != ("audio",)]
    checkpoints, weights, on = params["checkpoints"], params["weights"], params["on"]
    networks = [_cached_network(checkpoints[n], weights[n], on) for n in names]
    with torch.inference_mode():
        found = dict(zip(names, said_of(networks, features, video_id, rows), strict=True))
    arrays = {name: said.outputs.numpy() for name, said in found.items()}
    for name, said in found.items():
        arrays[f"{name}-embedding"] = said.embeddings.numpy().astype(np.float16)
    return Read(arrays, len(rows), len(rows))


@lru_cache(maxsize=len(NETWORK_INPUTS))
def _cached_network(checkpoint: str, weights: str, on: str) -> SamplerNetwork:
    return load_sampler(checkpoint)[0].to(devices.choose(on))


@dataclass(frozen=True, eq=False)
class NetworkScores:
    """What a run's networks have said of every clip, `network_scores`, to make samplers of."""

    objective: str
    scores: Shards

    def averaged(self, name: str, networks: tuple[str, ...]) -> ScoredSampler:
        """The sampler `name` that averages networks: see `base.Networks`."""
        return ScoredSampler(name, self.objective, networks, self.scores)


def _register(name: str, networks: tuple[str, ...]) -> None:
    register_maker(name, needs="networks")(lambda setting: setting.averaged(name, networks))


for _name, _networks in LEARNED.items():
    _register(_name, _networks)
