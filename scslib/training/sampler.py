"""Train clip samplers with AC and RANK (paper, sec. 3.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch

from scslib.jobs.shard_files import Shards
from scslib.models import specs
from scslib.models.samplers import PretrainedTrunk, SamplerNetwork, joint_network
from scslib.training import distributed
from scslib.training.batches import AcBatches, RankBatches, TrunkFeatures
from scslib.training.loop import fit
from scslib.training.losses import Batch, ac_loss, ranking_loss
from scslib.training.recipe import Recipe
from scslib.training.schedule import Curve, Schedule

LOOK_SEED = 2**20  # of the clips by which trainings are ended: the same for all of them
ALONE = 0, 1  # the share of a process that takes whole batches
MORE = 8  # times as many clips are looked at where trunks have made their features before


def train_ac(
    network: SamplerNetwork,
    features: Shards | TrunkFeatures,
    labels: dict[str, int],
    schedule: Schedule,
    *,
    validation: dict[str, int] | None = None,
    pictures: int = 3,
    seed: int,
    resume: Path | None = None,
    every: int = 100,
) -> Curve:
    """Train with AC: cross-entropy with the video's label on clips drawn uniformly from all training
    videos.

    `pictures` of each clip are drawn at random for each batch. validation: the labels of other videos,
    by which the training ends, see `Schedule`. See `fit` for `resume` and `every`.
    """

    def batches(videos: dict[str, int], batch: int, seed: int, share: tuple[int, int]) -> AcBatches:
        return AcBatches(features, videos, network.modalities, batch, pictures, seed, share)

    return fit(
        network,
        batches(labels, schedule.batch, seed, (distributed.rank(), distributed.size())),
        ac_loss,
        schedule,
        title=f"AC {'+'.join(network.modalities)}",
        validation=_looks(batches, validation, features, schedule),
        about={"seed": seed, "pictures": pictures, "labels": labels, "validation": validation},
        stands_on={"features": features},
        readers=0 if isinstance(features, TrunkFeatures) else None,
        resume=resume,
        every=every,
    )


def train_rank(
    network: SamplerNetwork,
    features: Shards | TrunkFeatures,
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
    """Train with RANK: order the clips of a video as f's scores of the true class, `targets` (N,) per
    video, do.

    A batch holds `clips_per_video` clips of each of its videos; every pair of one video's clips
    counts. validation: the targets of other videos, by which the training ends, see `Schedule`. See
    `fit` for `resume` and `every`.
    """

    def batches(
        videos: dict[str, np.ndarray], batch: int, seed: int, share: tuple[int, int]
    ) -> RankBatches:
        modalities = network.modalities
        return RankBatches(features, videos, modalities, batch, clips_per_video, pictures, seed, share)

    return fit(
        network,
        batches(targets, schedule.batch, seed, (distributed.rank(), distributed.size())),
        partial(ranking_loss, per_video=clips_per_video, eta=eta, form=form),
        schedule,
        title=f"RANK {'+'.join(network.modalities)}",
        validation=_looks(batches, validation, features, schedule),
        about={"seed": seed, "pictures": pictures, "clips": clips_per_video, "eta": eta, "form": form},
        stands_on={"features": features, "targets": targets, "validation": validation},
        readers=0 if isinstance(features, TrunkFeatures) else None,
        resume=resume,
        every=every,
    )


def _looks(
    batches: Callable[..., Callable[[int], Batch]],
    videos: dict | None,
    features: Shards | TrunkFeatures,
    schedule: Schedule,
) -> Callable[[int], Batch] | None:
    """The batches of validation clips that a training looks at; of `TrunkFeatures` they are kept."""
    if not videos:
        return None
    if isinstance(features, TrunkFeatures):
        return cache(batches(videos, MORE * schedule.batch, LOOK_SEED, ALONE))
    return batches(videos, schedule.batch, LOOK_SEED, ALONE)


@dataclass(frozen=True, eq=False)
class TrainedNetworks:
    """A sampler's networks and their training, by objective: "rank" and, unless left out, "ac"."""

    networks: dict[str, SamplerNetwork]
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
    ac: SamplerNetwork | None = None,
    resume: Path | None = None,
    every: int = 100,
) -> TrainedNetworks:
    """Train a network of one modality with both objectives. The same seed gives the same weights.

    ac: a network that AC has trained before; then only RANK is trained. resume: the trainings are kept
    in RESUME-ac.pt and RESUME-rank.pt, and go on from there; see `fit`.
    """
    torch.manual_seed(seed)
    trunk = recipe.iframe_trunk if modality == "iframes" else ""
    network = SamplerNetwork(
        (modality,),
        classes,
        recipe.width,
        recipe.sound_width,
        recipe.backbone,
        specs.parse(trunk).name if trunk else "",
    )
    if trunk:
        pretrained = network.trunks["iframes"]
        assert isinstance(pretrained, PretrainedTrunk)
        pretrained.start_from(trunk).requires_grad_(not recipe.frozen)
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
    return TrainedNetworks(networks, curves)


def train_joint(
    singles: Sequence[TrainedNetworks],
    features: Shards,
    lessons: Lessons,
    recipe: Recipe,
    *,
    seed: int,
    resume: Path | None = None,
    every: int = 100,
) -> TrainedNetworks:
    """Train one network on the modalities of all `singles`.

    It has each objective that they all have. It begins as the mean of what they say
    (`models.samplers.joint_network`), so that AC need not wait until it learns something. Only its head
    learns, on what the trunks make of each clip (`TrunkFeatures`). See `train_sampler` for the rest.
    """
    recipe = replace(recipe, ac=recipe.ac and replace(recipe.ac, least=0))
    kinds = [kind for kind in ("ac", "rank") if all(kind in s.networks for s in singles)]
    networks = {kind: joint_network([s.networks[kind] for s in singles]) for kind in kinds}
    curves = {
        kind: _learn(
            TrunkFeatures(features, network),
            lessons,
            recipe,
            kind,
            network,
            seed=seed,
            resume=resume,
            every=every,
        )
        for kind, network in networks.items()
    }
    return TrainedNetworks(networks, curves)


def _learn(
    features: Shards | TrunkFeatures,
    lessons: Lessons,
    recipe: Recipe,
    objective: str,
    network: SamplerNetwork,
    *,
    seed: int,
    resume: Path | None,
    every: int,
) -> Curve:
    """Train a network as the recipe says; without validation videos, for all its steps."""
    kept = resume and resume.with_name(f"{resume.name}-{objective}.pt")
    schedule = recipe.ac if objective == "ac" else recipe.rank
    if schedule is None:
        raise ValueError(f"recipe ({objective}) must have a schedule, to train with")
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
