"""Training batches of samplers: clips with labels (AC) or f's scores (RANK)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from scslib.jobs.shard_files import Shards
from scslib.models.samplers import SamplerNetwork
from scslib.samplers.inputs import inputs_of, sampler_inputs
from scslib.training import distributed
from scslib.training.losses import Batch

DROPPED = 0.25  # of the modalities of a clip in joint training
OF_TRUNK = "_kept"  # ends the names of what trunks have made of a clip


@dataclass(frozen=True, eq=False)
class TrunkFeatures:
    """What the trunks of `network` make of the clips of `features`: `<modality>_kept` (N, D) by video.

    They stand in for the pictures and the sound where only the head learns. A video goes through the
    trunks once, when it is first asked for, with all pictures of its clips, as a sampler sees them.
    """

    features: Shards
    network: SamplerNetwork
    made: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The folder of `features`."""
        return self.features.folder

    def __contains__(self, video_id: str) -> bool:
        return video_id in self.features

    def has(self, video_id: str, name: str) -> bool:
        """Tell whether there is such an array of a video, as `Shards` do."""
        if name.endswith(OF_TRUNK):
            return name.removesuffix(OF_TRUNK) in self.network.modalities
        return self.features.has(video_id, name)

    def get(self, video_id: str, name: str, rows: slice | None = None) -> np.ndarray:
        """An array of one video, or some of its rows, as `Shards` give it."""
        if not name.endswith(OF_TRUNK):
            return self.features.get(video_id, name, rows)
        if video_id not in self.made:
            self.made[video_id] = self._made_of(video_id)
        array = self.made[video_id][name]
        return array if rows is None else array[rows]

    @torch.inference_mode()
    def _made_of(self, video_id: str) -> dict[str, np.ndarray]:
        device, modalities = next(self.network.parameters()).device, self.network.modalities
        clips, found = range(len(self.features.get(video_id, "times"))), []
        for inputs in inputs_of(self.features, video_id, clips, modalities, device):
            found.append(self.network.embed(inputs).cpu())
        parts = torch.cat(found).split([trunk.features for trunk in self.network.trunks.values()], 1)
        return {m + OF_TRUNK: part.numpy() for m, part in zip(modalities, parts, strict=True)}


@dataclass(frozen=True)
class AcBatches:
    """Batches of clips drawn uniformly from all training videos. They carry their video's label, and
    are as `Sampler` sees them.

    `pictures` of each clip are drawn at random. share: this process's number, and how many there are.
    """

    features: Shards | TrunkFeatures
    labels: dict[str, int]
    modalities: tuple[str, ...]
    batch: int
    pictures: int
    seed: int
    share: tuple[int, int]

    def __call__(self, step: int) -> Batch:
        videos = [v for v in self.labels if v in self.features]
        rng = np.random.default_rng([self.seed, step])
        picks = []
        for row in rng.integers(len(videos), size=self.batch):
            clips = len(self.features.get(videos[row], "times"))
            picks.append((videos[row], int(rng.integers(clips))))
        own, inputs = _own_inputs(self, picks, rng)
        return inputs | {"label": torch.tensor([self.labels[v] for v, _ in own])}


@dataclass(frozen=True)
class RankBatches:
    """Batches of `per_video` clips of each of some videos.

    They carry f's scores of their true class, `targets` (N,). See `AcBatches` for the rest.
    """

    features: Shards | TrunkFeatures
    targets: dict[str, np.ndarray]
    modalities: tuple[str, ...]
    batch: int
    per_video: int
    pictures: int
    seed: int
    share: tuple[int, int]

    def __call__(self, step: int) -> Batch:
        videos = [v for v in self.targets if v in self.features]
        rng = np.random.default_rng([self.seed, step])
        picks = []
        for number in rng.choice(len(videos), size=max(1, self.batch // self.per_video)):
            known = len(self.targets[videos[number]])
            for clip in rng.choice(known, size=self.per_video, replace=known < self.per_video):
                picks.append((videos[number], int(clip)))
        own, inputs = _own_inputs(self, picks, rng, unit=self.per_video)
        return inputs | {"f": torch.tensor([float(self.targets[v][c]) for v, c in own])}


def _own_inputs(
    batches: AcBatches | RankBatches,
    picks: list[tuple[str, int]],
    rng: np.random.Generator,
    unit: int = 1,
) -> tuple[list[tuple[str, int]], Batch]:
    """This process's picks of a batch, and the inputs of these: nothing of the others is read.

    Each clip draws its pictures with a seed of its own, so that they are the same for any number of
    processes. Every clip has `pictures` rows; of one without any, all are masked. I-frames get other
    colours. In joint training some modalities of a clip do not count, so that none does all the work.
    """
    seeds, pictures = rng.integers(2**32, size=len(picks)), batches.pictures
    own, rows = distributed.own_rows(len(picks), unit, batches.share), []
    for i in own:
        drawn = np.random.default_rng(seeds[i])
        row = sampler_inputs(
            batches.features, [picks[i]], batches.modalities, pictures=pictures, rng=drawn
        )
        if "iframes" in row:
            row["iframes"] = _recoloured(row["iframes"], drawn)
        if len(batches.modalities) > 1:
            row["heard"] = _some(len(batches.modalities), drawn)
        rows.append(
            {n: t.expand(1, pictures, *t.shape[2:]) if _of_pictures(n) else t for n, t in row.items()}
        )
    return [picks[i] for i in own], {name: torch.cat([row[name] for row in rows]) for name in rows[0]}


def _of_pictures(name: str) -> bool:
    """Whether an input has a row for each picture, and not one for the clip."""
    return name not in ("audio", "heard") and not name.endswith(OF_TRUNK)


def _recoloured(pictures: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """A clip's pictures (1, S, 3, H, W) in other colours, the same for all of them.

    The scenes of some dozens of videos are soon known by heart by their colours.
    """
    channels = torch.from_numpy(rng.permutation(3))
    return pictures[:, :, channels] * rng.uniform(0.7, 1.3) + rng.normal(0, 0.3)


def _some(modalities: int, rng: np.random.Generator) -> torch.Tensor:
    """(1, modalities) of which at least one is true, each with a probability of 1 - DROPPED."""
    heard = rng.random(modalities) >= DROPPED
    heard[rng.integers(modalities)] = True
    return torch.from_numpy(heard[None])
