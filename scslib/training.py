"""Training: the clip classifier f, the samplers with AC and RANK (paper, sec. 3.1), and aggregators.

One plain loop, `fitting.fit`, serves all; what differs is how a batch is drawn and what its loss is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from scslib import distributed
from scslib.fitting import Batch, Schedule, fit
from scslib.inputs import sampler_inputs
from scslib.losses import pair_targets, rank_loss
from scslib.models.classifiers import ClassifierInput
from scslib.models.samplers import Sampler
from scslib.shards import Shards


def classifier_batches(
    clips: Shards, labels: dict[str, int], view: ClassifierInput, batch: int, seed: int
) -> Iterator[Batch]:
    """Endless batches for f: decoded clips of the training videos, cut at a random place, recoloured.

    No mirroring: it would turn one movement into another.
    """
    rng = np.random.default_rng(seed)
    pool = [(v, i) for v in labels if v in clips for i in range(len(clips.get(v, "start_s")))]
    while True:
        order = rng.permutation(len(pool))
        for start in range(0, max(1, len(order) - batch + 1), batch):
            rows = [pool[i] for i in order[start : start + batch]]
            cut = [_random_crop(clips.get(v, "clips", slice(i, i + 1)), view.crop, rng) for v, i in rows]
            target = torch.tensor([labels[v] for v, _ in rows])
            seen = recolour(view.prepare(torch.from_numpy(np.concatenate(cut))), rng)
            yield {"clips": seen, "label": target}


def _random_crop(clip: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """The same random square of all pictures of a clip (1, T, H, W, 3)."""
    top, left = (int(rng.integers(side - size + 1)) for side in clip.shape[2:4])
    return clip[:, :, top : top + size, left : left + size]


def recolour(clips: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Give each clip (B, 3, T, H, W) other colours: channels exchanged, contrast and brightness changed.

    A few hundred training scenes are soon known by heart by their colours; this is what keeps a small
    f looking at the movement.
    """
    count = len(clips)
    channels = torch.from_numpy(np.stack([rng.permutation(3) for _ in range(count)]))
    clips = clips[torch.arange(count)[:, None], channels]
    shape = (count, 3, 1, 1, 1)
    gain = torch.from_numpy(rng.uniform(0.7, 1.3, shape)).float()
    shift = torch.from_numpy(rng.normal(0, 0.3, shape)).float()
    return (clips * gain + shift).contiguous(memory_format=torch.channels_last_3d)


def classifier_loss(network: nn.Module, batch: Batch) -> torch.Tensor:
    return F.cross_entropy(network(batch["clips"]), batch["label"])


def train_classifier(
    network: nn.Module,
    clips: Shards,
    labels: dict[str, int],
    view: ClassifierInput,
    schedule: Schedule,
    *,
    seed: int,
) -> np.ndarray:
    """Train f on clips that carry their video's label; returns the losses."""
    batches = classifier_batches(clips, labels, view, schedule.batch, seed)
    return fit(network, lambda _: next(batches), classifier_loss, schedule, title="training f")


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
    videos = [v for v in labels if v in features]
    counts = np.array([len(features.get(v, "times")) for v in videos])

    def batch_of(step):
        rng = np.random.default_rng([seed, step])
        rows = rng.integers(len(videos), size=schedule.batch)
        picks = [(videos[r], int(rng.integers(counts[r]))) for r in rows]
        own, inputs = _own_inputs(features, picks, network.modalities, pictures, rng)
        return inputs | {"label": torch.tensor([labels[v] for v, _ in own])}

    def loss_of(network, batch):
        return F.cross_entropy(network(batch), batch["label"])

    title, about = f"AC {'+'.join(network.modalities)}", [seed, pictures, features, labels]
    options = {"title": title, "about": about, "resume": resume, "every": every}
    return fit(network, batch_of, loss_of, schedule, **options)


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
    videos = [v for v in targets if v in features]
    per_video = clips_per_video
    first, second = np.triu_indices(per_video, 1)

    def batch_of(step):
        rng = np.random.default_rng([seed, step])
        chosen = rng.choice(len(videos), size=max(1, schedule.batch // per_video))
        picks = []
        for number in chosen:
            known = len(targets[videos[number]])
            for clip in rng.choice(known, size=per_video, replace=known < per_video):
                picks.append((videos[number], int(clip)))
        own, inputs = _own_inputs(features, picks, network.modalities, pictures, rng, unit=per_video)
        return inputs | {"f": torch.tensor([float(targets[v][c]) for v, c in own])}

    def loss_of(network, batch):
        saliency, f = network(batch)[:, 0].view(-1, per_video), batch["f"].view(-1, per_video)
        z = pair_targets(f[:, first], f[:, second])
        return rank_loss(saliency[:, first], saliency[:, second], z, eta=eta, form=form)

    title = f"RANK {'+'.join(network.modalities)}"
    about = [seed, pictures, features, targets, clips_per_video, eta, form]
    options = {"title": title, "about": about, "resume": resume, "every": every}
    return fit(network, batch_of, loss_of, schedule, **options)


def _own_inputs(
    features: Shards,
    picks: list[tuple[str, int]],
    modalities: Sequence[str],
    pictures: int,
    rng: np.random.Generator,
    unit: int = 1,
) -> tuple[list[tuple[str, int]], Batch]:
    """This process's picks of a batch, and the inputs of these: nothing of the others is read.

    Each clip draws its pictures with a seed of its own, so that they are the same for any number of
    processes. Every clip has `pictures` rows; of one without any, all are masked.
    """
    seeds = rng.integers(2**32, size=len(picks))
    own, rows = distributed.own_rows(len(picks), unit), []
    for i in own:
        options = {"pictures": pictures, "rng": np.random.default_rng(seeds[i])}
        row = sampler_inputs(features, [picks[i]], modalities, **options)
        rows.append(
            {n: t if n == "logmel" else t.expand(1, pictures, *t.shape[2:]) for n, t in row.items()}
        )
    return [picks[i] for i in own], {name: torch.cat([row[name] for row in rows]) for name in rows[0]}


@dataclass(frozen=True)
class Recipe:
    """How a sampler is trained: AC, then RANK from it (paper, sec. 3.1).

    ac = None: RANK starts from scratch. See `train_ac` and `train_rank` for `pictures`,
    `clips_per_video`, `eta` and `form`, `models.samplers` for `backbone` and the widths.
    """

    ac: Schedule | None
    rank: Schedule
    width: int
    sound_width: int
    backbone: str = "resnet18"
    pictures: int = 3
    clips_per_video: int = 16
    eta: float = 1.0
    form: str = "hinge"


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
    network.to(distributed.device())
    networks, losses = {}, {}
    kept = {kind: resume and resume.with_name(f"{resume.name}-{kind}.pt") for kind in ("ac", "rank")}
    given = next((s for s in start if s.modalities == network.modalities), None)
    network.start_from(start)
    if given is not None:
        network = given
    elif recipe.ac is not None:
        options = {"pictures": recipe.pictures, "seed": seed, "resume": kept["ac"], "every": every}
        losses["ac"] = train_ac(network, features, labels, recipe.ac, **options)
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


def train_aggregator(
    network: nn.Module,
    features: Shards,
    labels: dict[str, int],
    schedule: Schedule,
    *,
    k: int,
    seed: int,
) -> np.ndarray:
    """Train one of `models.aggregators` on f's `features` (N, D) per video; returns the losses.

    A batch is `schedule.batch` videos drawn with replacement, and of each K clips at random, in order
    of time. A video of fewer than K shows all that it has, and some of them again.
    """
    if k < 1:
        raise ValueError(f"k ({k}) must be > 0")
    rng = np.random.default_rng(seed)
    videos = [v for v in labels if v in features]
    if not videos:
        raise ValueError(f"features must have one of the {len(labels)} videos of labels, not none")

    def batches():
        while True:
            chosen = [videos[r] for r in rng.integers(len(videos), size=schedule.batch)]
            clips = np.stack([_in_time(features.get(v, "features"), k, rng) for v in chosen])
            target = torch.tensor([labels[v] for v in chosen])
            yield {"clips": torch.from_numpy(clips).float(), "label": target}

    title, drawn = type(network).__name__, batches()
    return fit(network, lambda _: next(drawn), classifier_loss, schedule, title=title)


def _in_time(clips: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """K of the N clips (N, D) at random, in order of time; where N < K, all of them before any again."""
    return clips[np.sort(np.resize(rng.permutation(len(clips)), k))]
