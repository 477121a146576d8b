"""Train the clip classifier f on decoded clips."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from scslib.jobs.shard_files import Shards
from scslib.models.heads import head_name
from scslib.models.views import View
from scslib.training.dense_scores import classify
from scslib.training.loop import fit
from scslib.training.losses import Batch
from scslib.training.schedule import Schedule


@dataclass(frozen=True)
class ClassifierBatches:
    """Batches for f: decoded clips of the training videos, cut at a random place, to be recoloured.

    Every clip comes once before any comes again. Step n gives the same batch whenever it is asked for:
    `clips` (B, T, H, W, 3) uint8, `label` (B,), and what `recolour` takes. No mirroring: it would turn
    one movement into another. crop: the side of the square that is cut, in pixels; 0: nothing is.
    """

    clips: Shards
    labels: dict[str, int]
    crop: int
    batch: int
    seed: int
    pool: list[tuple[str, int]] = field(init=False)

    def __post_init__(self):
        videos = [v for v in self.labels if v in self.clips]
        pool = [(v, i) for v in videos for i in range(len(self.clips.get(v, "start_s")))]
        object.__setattr__(self, "pool", pool)

    def __call__(self, step: int) -> Batch:
        rounds, at = divmod(step, max(1, len(self.pool) // self.batch))
        order = np.random.default_rng([self.seed, 0, rounds]).permutation(len(self.pool))
        rows = [self.pool[i] for i in order[at * self.batch : (at + 1) * self.batch]]
        rng = np.random.default_rng([self.seed, 1, step])
        cut = [self._crop(self.clips.get(v, "clips", slice(i, i + 1)), rng) for v, i in rows]
        return {
            "clips": torch.from_numpy(np.concatenate(cut)),
            "label": torch.tensor([self.labels[v] for v, _ in rows]),
            "channels": torch.from_numpy(np.stack([rng.permutation(3) for _ in rows])),
            "gain": torch.from_numpy(rng.uniform(0.7, 1.3, len(rows))).float(),
            "shift": torch.from_numpy(rng.normal(0, 0.3, len(rows))).float(),
        }

    def _crop(self, clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The same random square of all frames of a clip (1, T, H, W, 3)."""
        if not self.crop:
            return clip
        size = self.crop
        top, left = (int(rng.integers(side - size + 1)) for side in clip.shape[2:4])
        return clip[:, :, top : top + size, left : left + size]


def recolour(
    clips: torch.Tensor, channels: torch.Tensor, gain: torch.Tensor, shift: torch.Tensor
) -> torch.Tensor:
    """Give each clip (B, 3, T, H, W) other colours: `channels` (B, 3) exchanged, times `gain` (B,),
    plus `shift` (B,).

    A few hundred training scenes are soon known by heart by their colours; this is what keeps a small
    f looking at the movement.
    """
    clips = clips[torch.arange(len(clips), device=clips.device)[:, None], channels]
    gain, shift = (value.view(-1, 1, 1, 1, 1) for value in (gain, shift))
    return (clips * gain + shift).contiguous(memory_format=torch.channels_last_3d)


def classifier_loss(network: nn.Module, batch: Batch, *, view: View) -> torch.Tensor:
    """Cross-entropy of f on a batch of `ClassifierBatches`.

    Colours are changed for the kit's own input only: published weights know the world's.
    """
    seen = view.normalise(batch["clips"], crops=1)
    if view.random_crop:
        shift = batch["shift"] * (not view.differences)  # which no difference of two frames shows
        seen = recolour(seen, batch["channels"], batch["gain"], shift)
    return F.cross_entropy(network(seen), batch["label"])


def train_classifier(
    network: nn.Module,
    clips: Shards,
    labels: dict[str, int],
    view: View,
    schedule: Schedule,
    *,
    seed: int,
    resume: Path | None = None,
) -> np.ndarray:
    """Train f, where it lies, on clips that carry their video's label; returns the losses (steps,).

    clips: of `read_training_clips`. Where these are `features` of f's trunk, only the head is trained.
    See `loop.fit` for `resume`.
    """
    if any(clips.has(v, "features") for v in labels if v in clips):
        return _train_head(network, clips, labels, schedule, seed=seed, resume=resume)
    return fit(
        network,
        ClassifierBatches(clips, labels, view.random_crop, schedule.batch, seed),
        partial(classifier_loss, view=view),
        schedule,
        title="training f",
        about={"seed": seed, "labels": labels, "view": str(view)},
        stands_on={"clips": clips},
        resume=resume,
    ).losses


@dataclass(frozen=True, eq=False)
class HeadBatches:
    """Batches of kept `features` (B, D) with their video's `label` (B,), drawn with replacement."""

    features: torch.Tensor
    label: torch.Tensor
    batch: int
    seed: int

    def __call__(self, step: int) -> Batch:
        rng = np.random.default_rng([self.seed, step])
        rows = torch.from_numpy(rng.integers(len(self.label), size=self.batch))
        return {"features": self.features[rows], "label": self.label[rows]}


def head_loss(head: nn.Module, batch: Batch) -> torch.Tensor:
    """Cross-entropy of a head on a batch of `HeadBatches`."""
    return F.cross_entropy(_answers(head, batch["features"]), batch["label"])


def _train_head(
    network: nn.Module,
    clips: Shards,
    labels: dict[str, int],
    schedule: Schedule,
    *,
    seed: int,
    resume: Path | None,
) -> np.ndarray:
    known = {v: clips.get(v, "features") for v in labels if v in clips and len(clips.get(v, "start_s"))}
    label = np.repeat([labels[v] for v in known], [len(rows) for rows in known.values()])
    features = torch.from_numpy(np.concatenate(list(known.values())))
    losses = fit(
        network.get_submodule(head_name(network)),
        HeadBatches(features, torch.from_numpy(label), schedule.batch, seed),
        head_loss,
        schedule,
        title="training the head of f",
        about={"seed": seed, "labels": labels},
        stands_on={"clips": clips},
        resume=resume,
    ).losses
    network.eval()
    return losses


def _answers(head: nn.Module, features: torch.Tensor) -> torch.Tensor:
    """Logits (B, C) of a head, which may be a convolution, for features (B, D)."""
    if isinstance(head, nn.Conv3d):
        return head(features[..., None, None, None]).flatten(1)
    return head(features)


@torch.inference_mode()
def probabilities(network: nn.Module, view: View, clips: Shards, video_id: str) -> np.ndarray:
    """f's answers (n, C) on the clips of one video that `read_training_clips` has read."""
    if not clips.has(video_id, "features"):
        return classify(network, view, clips.get(video_id, "clips"), fitted=True)
    features = torch.from_numpy(clips.get(video_id, "features"))
    head = network.get_submodule(head_name(network))
    return _answers(head, features.to(next(head.parameters()).device)).softmax(1).cpu().numpy()
