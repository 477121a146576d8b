"""Training the clip samplers with AC and RANK (paper, sec. 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from scslib.inputs import sampler_inputs
from scslib.models.samplers import Sampler
from scslib.shards import Shards
from scslib.training import distributed
from scslib.training.loop import Batch, Schedule, fit
from scslib.training.losses import pair_targets, rank_loss
from scslib.training.recipe import Recipe


@dataclass(frozen=True)
class AcBatches:
    """Clips drawn uniformly from all training videos, with their video's label, as `Sampler` sees them.

    `pictures` of each clip are drawn at random. share: this process's number, and how many there are.
    """

    features: Shards
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
    """`per_video` clips of each of some videos, with f's scores of their true class, `targets` (N,).

    See `AcBatches` for the rest.
    """

    features: Shards
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
    processes. Every clip has `pictures` rows; of one without any, all are masked.
    """
    seeds, pictures = rng.integers(2**32, size=len(picks)), batches.pictures
    own, rows = distributed.own_rows(len(picks), unit, batches.share), []
    for i in own:
        row = sampler_inputs(
            batches.features,
            [picks[i]],
            batches.modalities,
            pictures=pictures,
            rng=np.random.default_rng(seeds[i]),
        )
        rows.append(
            {n: t if n == "logmel" else t.expand(1, pictures, *t.shape[2:]) for n, t in row.items()}
        )
    return [picks[i] for i in own], {name: torch.cat([row[name] for row in rows]) for name in rows[0]}


def ac_loss(network: Sampler, batch: Batch) -> torch.Tensor:
    """Cross-entropy of clips with the label of their video."""
    return F.cross_entropy(network(batch), batch["label"])


def ranking_loss(
    network: Sampler, batch: Batch, *, per_video: int, eta: float, form: str
) -> torch.Tensor:
    """`rank_loss` of every pair of one video's clips in a batch of `RankBatches`."""
    first, second = np.triu_indices(per_video, 1)
    saliency, f = network(batch)[:, 0].view(-1, per_video), batch["f"].view(-1, per_video)
    z = pair_targets(f[:, first], f[:, second])
    return rank_loss(saliency[:, first], saliency[:, second], z, eta=eta, form=form)


def train_ac(
    network: Sampler,
    features: Shards,
    labels: dict[str, int],
    schedule: Schedule,
    *,
    pictures: int = 3,
    seed: int,
    resume: Path | None = None,
    every: int = 100,
) -> np.ndarray:
    """AC: cross-entropy with the video's label on clips drawn uniformly from all training videos.

    `pictures` of each clip are drawn at random for each batch. Returns the losses. See `fit` for
    `resume` and `every`.
    """
    share = distributed.rank(), distributed.size()
    return fit(
        network,
        AcBatches(features, labels, network.modalities, schedule.batch, pictures, seed, share),
        ac_loss,
        schedule,
        title=f"AC {'+'.join(network.modalities)}",
        about={"seed": seed, "pictures": pictures, "labels": labels},
        stands_on={"features": features},
        resume=resume,
        every=every,
    )


def train_rank(
    network: Sampler,
    features: Shards,
    targets: dict[str, np.ndarray],
    schedule: Schedule,
    *,
    clips_per_video: int = 8,
    pictures: int = 3,
    eta: float = 1.0,
    form: str = "hinge",
    seed: int,
    resume: Path | None = None,
    every: int = 100,
) -> np.ndarray:
    """RANK: order the clips of a video as f's scores of the true class, `targets` (N,) per video, do.

    A batch holds `clips_per_video` clips of each of its videos; every pair of one video's clips
    counts. Returns the losses. See `fit` for `resume` and `every`.
    """
    share, per_video = (distributed.rank(), distributed.size()), clips_per_video
    return fit(
        network,
        RankBatches(
            features, targets, network.modalities, schedule.batch, per_video, pictures, seed, share
        ),
        partial(ranking_loss, per_video=per_video, eta=eta, form=form),
        schedule,
        title=f"RANK {'+'.join(network.modalities)}",
        about={"seed": seed, "pictures": pictures, "clips": per_video, "eta": eta, "form": form},
        stands_on={"features": features, "targets": targets},
        resume=resume,
        every=every,
    )


@dataclass(frozen=True, eq=False)
class Trained:
    """A sampler's networks and losses (steps,), by objective: "ac" (unless left out) and "rank"."""

    networks: dict[str, Sampler]
    losses: dict[str, np.ndarray]


def train_sampler(
    modalities: tuple[str, ...],
    features: Shards,
    labels: dict[str, int],
    targets: dict[str, np.ndarray],
    recipe: Recipe,
    *,
    classes: int,
    seed: int,
    device: torch.device | str = "cpu",
    start: Sequence[Sampler] = (),
    resume: Path | None = None,
    every: int = 100,
) -> Trained:
    """Train one network on `modalities` with both objectives. The same seed gives the same weights.

    start: AC networks whose trunks it begins with, of single modalities for joint training. One that
    already has these very modalities *is* the AC network, and only RANK is trained.
    resume: the trainings are kept in RESUME-ac.pt and RESUME-rank.pt, and go on from there; see `fit`.
    """
    torch.manual_seed(seed)
    network = Sampler(modalities, classes, recipe.width, recipe.sound_width, recipe.backbone)
    network.to(device)
    networks, losses = {}, {}
    kept = {kind: resume and resume.with_name(f"{resume.name}-{kind}.pt") for kind in ("ac", "rank")}
    given = next((s for s in start if s.modalities == network.modalities), None)
    network.start_from(start)
    if given is not None:
        network = given
    elif recipe.ac is not None:
        losses["ac"] = train_ac(
            network,
            features,
            labels,
            recipe.ac,
            pictures=recipe.pictures,
            seed=seed,
            resume=kept["ac"],
            every=every,
        )
    if recipe.ac is not None:
        networks["ac"] = network
    ranker = network.for_ranking()
    losses["rank"] = train_rank(
        ranker,
        features,
        targets,
        recipe.rank,
        clips_per_video=recipe.clips_per_video,
        pictures=recipe.pictures,
        eta=recipe.eta,
        form=recipe.form,
        seed=seed,
        resume=kept["rank"],
        every=every,
    )
    return Trained(networks | {"rank": ranker}, losses)
