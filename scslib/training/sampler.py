"""Training the clip samplers with AC and RANK (paper, sec. 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from scslib.jobs.shard_files import Shards
from scslib.models import specs
from scslib.models.samplers import Sampler, joined
from scslib.samplers.inputs import sampler_inputs
from scslib.training import distributed
from scslib.training.loop import Batch, Curve, Schedule, fit
from scslib.training.losses import pair_targets, rank_loss
from scslib.training.recipe import Recipe

LOOK_SEED = 2**20  # of the clips by which trainings are ended: the same for all of them
DROPPED = 0.25  # of the modalities of a clip in joint training
ALONE = 0, 1  # the share of a process that takes whole batches
UNSHARED = "logmel", "heard", "iframes_kept"  # one of a clip, and not one of each picture


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
            {n: t if n in UNSHARED else t.expand(1, pictures, *t.shape[2:]) for n, t in row.items()}
        )
    return [picks[i] for i in own], {name: torch.cat([row[name] for row in rows]) for name in rows[0]}


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
    validation: dict[str, int] | None = None,
    pictures: int = 3,
    seed: int,
    resume: Path | None = None,
    every: int = 100,
) -> Curve:
    """AC: cross-entropy with the video's label on clips drawn uniformly from all training videos.

    `pictures` of each clip are drawn at random for each batch. validation: the labels of other videos,
    by which the training ends, see `Schedule`. See `fit` for `resume` and `every`.
    """

    def batches(videos: dict[str, int], seed: int, share: tuple[int, int]) -> AcBatches:
        return AcBatches(features, videos, network.modalities, schedule.batch, pictures, seed, share)

    return fit(
        network,
        batches(labels, seed, (distributed.rank(), distributed.size())),
        ac_loss,
        schedule,
        title=f"AC {'+'.join(network.modalities)}",
        validation=batches(validation, LOOK_SEED, ALONE) if validation else None,
        about={"seed": seed, "pictures": pictures, "labels": labels, "validation": validation},
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
    validation: dict[str, np.ndarray] | None = None,
    clips_per_video: int = 8,
    pictures: int = 3,
    eta: float = 1.0,
    form: str = "hinge",
    seed: int,
    resume: Path | None = None,
    every: int = 100,
) -> Curve:
    """RANK: order the clips of a video as f's scores of the true class, `targets` (N,) per video, do.

    A batch holds `clips_per_video` clips of each of its videos; every pair of one video's clips
    counts. validation: the targets of other videos, by which the training ends, see `Schedule`. See
    `fit` for `resume` and `every`.
    """

    def batches(videos: dict[str, np.ndarray], seed: int, share: tuple[int, int]) -> RankBatches:
        return RankBatches(
            features,
            videos,
            network.modalities,
            schedule.batch,
            clips_per_video,
            pictures,
            seed,
            share,
        )

    return fit(
        network,
        batches(targets, seed, (distributed.rank(), distributed.size())),
        partial(ranking_loss, per_video=clips_per_video, eta=eta, form=form),
        schedule,
        title=f"RANK {'+'.join(network.modalities)}",
        validation=batches(validation, LOOK_SEED, ALONE) if validation else None,
        about={"seed": seed, "pictures": pictures, "clips": clips_per_video, "eta": eta, "form": form},
        stands_on={"features": features, "targets": targets, "validation": validation},
        resume=resume,
        every=every,
    )


@dataclass(frozen=True, eq=False)
class Trained:
    """A sampler's networks and their training, by objective: "rank" and, unless left out, "ac"."""

    networks: dict[str, Sampler]
    curves: dict[str, Curve]


@dataclass(frozen=True, eq=False)
class Lessons:
    """What a sampler learns from: for AC the class (0, 1, ...) of each video, for RANK f's scores of it.

    labels, targets (N,): of the videos that weights are fitted to; validation_labels and _targets: of
    those by which trainings end. targets are of videos that f was not trained on.
    """

    labels: dict[str, int]
    targets: dict[str, np.ndarray]
    validation_labels: dict[str, int]
    validation_targets: dict[str, np.ndarray]


def train_sampler(
    modality: str,
    features: Shards,
    lessons: Lessons,
    recipe: Recipe,
    *,
    classes: int,
    seed: int,
    device: torch.device | str = "cpu",
    ac: Sampler | None = None,
    resume: Path | None = None,
    every: int = 100,
) -> Trained:
    """Train a network of one modality with both objectives. The same seed gives the same weights.

    ac: a network that AC has trained before; then only RANK is trained. resume: the trainings are kept
    in RESUME-ac.pt and RESUME-rank.pt, and go on from there; see `fit`.
    """
    torch.manual_seed(seed)
    trunk = recipe.iframe_trunk if modality == "iframes" else ""
    network = Sampler(
        (modality,),
        classes,
        recipe.width,
        recipe.sound_width,
        recipe.backbone,
        specs.parse(trunk).name if trunk else "",
    )
    if trunk:
        network.trunks["iframes"].start_from(trunk).requires_grad_(not recipe.frozen)
    network = network.to(device)
    learn = partial(_learn, features, lessons, recipe, seed=seed, resume=resume, every=every)
    networks, curves = {}, {}
    if ac is not None:
        network = ac
    elif recipe.ac is not None:
        curves["ac"] = learn("ac", network)
    if recipe.ac is not None:
        networks["ac"] = network
    networks["rank"] = network.for_ranking()
    curves["rank"] = learn("rank", networks["rank"])
    return Trained(networks, curves)


def train_joint(
    singles: Sequence[Trained],
    features: Shards,
    lessons: Lessons,
    recipe: Recipe,
    *,
    seed: int,
    resume: Path | None = None,
    every: int = 100,
) -> Trained:
    """Train one network on the modalities of all `singles`, with each objective that they all have.

    It begins as the mean of what they say (`models.samplers.joined`), so that AC need not wait until it
    learns something. See `train_sampler` for the rest.
    """
    recipe = replace(recipe, ac=recipe.ac and replace(recipe.ac, least=0))
    learn = partial(_learn, features, lessons, recipe, seed=seed, resume=resume, every=every)
    kinds = [kind for kind in ("ac", "rank") if all(kind in s.networks for s in singles)]
    networks = {kind: joined([s.networks[kind] for s in singles]) for kind in kinds}
    return Trained(networks, {kind: learn(kind, network) for kind, network in networks.items()})


def _learn(
    features: Shards,
    lessons: Lessons,
    recipe: Recipe,
    objective: str,
    network: Sampler,
    *,
    seed: int,
    resume: Path | None,
    every: int,
) -> Curve:
    """Train a network as the recipe says; without validation videos, for all its steps."""
    kept = resume and resume.with_name(f"{resume.name}-{objective}.pt")
    schedule = recipe.ac if objective == "ac" else recipe.rank
    if not (lessons.validation_labels if objective == "ac" else lessons.validation_targets):
        schedule = replace(schedule, look_every=0)
    if objective == "ac":
        return train_ac(
            network,
            features,
            lessons.labels,
            schedule,
            validation=lessons.validation_labels,
            pictures=recipe.pictures,
            seed=seed,
            resume=kept,
            every=every,
        )
    return train_rank(
        network,
        features,
        lessons.targets,
        schedule,
        validation=lessons.validation_targets,
        clips_per_video=recipe.clips_per_video,
        pictures=recipe.pictures,
        eta=recipe.eta,
        form=recipe.form,
        seed=seed,
        resume=kept,
        every=every,
    )
