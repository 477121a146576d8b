"""Train f of a run, and its folds, as notebook 03 does.

For each fold of f's videos one more f is trained, without it. A training that only guesses is done
again with another seed. Trainings are kept in RUN/cache/classifier and are not done again by who asks
next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from scslib.datasets.manifest import Dataset, Parts, in_folds
from scslib.evaluation.statistics import p_of_guessing
from scslib.jobs import devices
from scslib.jobs.run_folder import Run
from scslib.jobs.shard_files import Shards
from scslib.models.checkpoints import identify, load_classifier, save_classifier
from scslib.models.classifiers import build_classifier
from scslib.models.published import Family
from scslib.models.views import ClassifierInput, View
from scslib.training.classifier import probabilities, train_classifier
from scslib.training.clips import read_training_clips
from scslib.training.schedule import Schedule

GUESSING = 0.01  # stricter than the usual 0.05, for everything later stands on f


@dataclass(frozen=True)
class Beginning:
    """What f is before it learns. The network of a checkpoint (see `load_classifier`), or a new one.

    architecture, width, seen: of a new one, and what it sees; see notebook 03.
    """

    classes: tuple[str, ...]
    checkpoint: str
    architecture: str
    width: int
    seen: ClassifierInput

    @cached_property
    def view(self) -> View:
        """What f sees of a clip."""
        return (
            load_classifier(self.checkpoint, classes=self.classes)[1] if self.checkpoint else self.seen
        )

    @cached_property
    def family(self) -> Family:
        """The architecture, its width and settings."""
        if self.checkpoint:
            return identify(self.checkpoint)
        return Family("scslib", self.architecture, self.seen, width=self.width)

    def network(self, seed: int) -> nn.Module:
        """The untrained network; what has to be drawn is drawn with `seed`."""
        torch.manual_seed(seed)
        if self.checkpoint:
            return load_classifier(self.checkpoint, classes=self.classes)[0]
        return build_classifier(self.architecture, len(self.classes), self.width)

    def save(self, path: Path, network: nn.Module) -> None:
        """Write the trained `network` into `path`. A JSON beside it says what it is and sees."""
        family = self.family
        save_classifier(
            path,
            network,
            architecture=family.architecture,
            width=family.width,
            settings=family.settings,
            classes=self.classes,
            view=self.view,
        )


@dataclass(frozen=True, eq=False)
class TrainedClassifier:
    """One f, trained: its losses (steps,) of each stage, and what it said of clips it has not learnt.

    answers: rows `video_id, label, answer`; guessing: the probability that somebody who only guesses
    does so well; trainings: how many it took.
    """

    network: nn.Module
    losses: list[np.ndarray]
    answers: pd.DataFrame
    guessing: float
    trainings: int


@dataclass(frozen=True, eq=False)
class ClassifierTraining:
    """How f of a run is trained.

    stages: for each, the share of its clips that lie in the action, and its schedule; frozen: only the
    head of the checkpoint learns; attempts: trainings at most, where f only guesses. See notebook 03 for
    the others.
    """

    run: Run
    dataset: Dataset
    parts: Parts
    beginning: Beginning
    stages: Sequence[tuple[float, Schedule]]
    frozen: bool
    clips_per_video: int
    seed: int
    attempts: int
    device: str
    workers: int

    @property
    def inside(self) -> float:
        """The share of the clips in the action by which f is judged: all, where the action is known."""
        return 0.0 if self.dataset.segments.empty else 1.0

    def clips(self, videos: pd.DataFrame, share: float, *, frozen: bool | None = None) -> Shards:
        """The training clips of `videos`, `share` of them in the action; see `read_training_clips`."""
        frozen = self.frozen if frozen is None else frozen
        return read_training_clips(
            self.dataset,
            videos,
            self.run.cache("training-clips"),
            per_video=self.clips_per_video,
            segment_share=share,
            view=self.beginning.view,
            seed=self.seed,
            workers=self.workers,
            trunk=self.beginning.checkpoint if frozen else "",
            device=self.device,
        )

    def train(self, name: str, learnt: pd.DataFrame, others: pd.DataFrame) -> TrainedClassifier:
        """Train an f on the videos `learnt`; again where it guesses at the `others`.

        Both are f's own videos or held-out ones: each of the two sets is read as a whole.
        """
        for attempt in range(1, self.attempts + 1):
            seed = self.seed + 1000 * (attempt - 1)
            network = self.beginning.network(seed).to(devices.choose(self.device))
            losses = [
                train_classifier(
                    network,
                    self.clips(self.parts.classifier, share),
                    self._labels(learnt),
                    self.beginning.view,
                    schedule,
                    seed=seed,
                    resume=self.run.cache("classifier") / f"{name}-seed{seed}-part{stage}.pt",
                )
                for stage, (share, schedule) in enumerate(self.stages)
            ]
            answers = self.answers(network, others)
            guessing = p_of_guessing(answers)
            if guessing < GUESSING:
                break
        return TrainedClassifier(network, losses, answers, guessing, attempt)

    def cross_fit(self, folds: int) -> list[TrainedClassifier]:
        """Train an f for each fold of f's videos: on all the others. It is judged by the fold."""
        mine, found = self.parts.classifier, []
        for number, left_out in enumerate(in_folds(mine, folds)):
            others = mine[~mine["video_id"].isin(left_out["video_id"])]
            found.append(self.train(f"f-fold{number}", others, left_out))
        return found

    def answers(self, network: nn.Module, videos: pd.DataFrame) -> pd.DataFrame:
        """What f says of the clips of `videos` in the action: rows `video_id, label, answer`."""
        held = videos["video_id"].isin(self.parts.held["video_id"]).all()
        clips = self.clips(self.parts.held if held else self.parts.classifier, self.inside)
        rows = [
            (video_id, label, answer)
            for video_id, label in self._labels(videos).items()
            if video_id in clips and len(clips.get(video_id, "start_s"))
            for answer in probabilities(network, self.beginning.view, clips, video_id).argmax(1)
        ]
        table = pd.DataFrame(rows, columns=["video_id", "label", "answer"])
        return table.astype({"label": int, "answer": int})

    def _labels(self, videos: pd.DataFrame) -> dict[str, int]:
        return dict(zip(videos["video_id"], map(int, self.dataset.label_index(videos)), strict=True))
