"""What the samplers of a run learn from: features, labels, and honest scores of f."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from scslib.datasets.manifest import Dataset, Parts, in_folds, training_parts
from scslib.jobs.run_folder import Run
from scslib.jobs.shard_files import Shards
from scslib.models.checkpoints import load_classifier
from scslib.samplers.extraction import extract_features
from scslib.samplers.features import FeatureSpec
from scslib.samplers.readers import READERS
from scslib.training.dense_scores import dense_scores
from scslib.training.sampler import Lessons
from scslib.video.probe import probe


@dataclass(frozen=True, eq=False)
class Material:
    """What the samplers of a run learn from.

    parts: which videos; spec, features: how they were read, and what came out; dense: `honest_scores`.
    """

    classes: tuple[str, ...]
    parts: Parts
    spec: FeatureSpec
    features: Shards
    dense: list[Shards]
    lessons: Lessons


def read_material(
    run: Run,
    dataset: Dataset,
    *,
    accumulate: bool,
    iframe_size: int,
    kept_pictures: int,
    kept_early: bool = False,
    device: str,
    workers: int,
    iframe_trunk: str = "",
    frozen_trunk: bool = True,
) -> Material:
    """Read the training videos, or take them from the run's cache; see notebook 05 for the arguments.

    AC learns from all of them but those of validation, RANK from those with `honest_scores`.

    Raises `WorkspaceError` where notebook 03 has not been run.
    """
    checkpoint = run.need(run.checkpoint("classifier"), "03")
    notes = run.notes()
    parts = training_parts(dataset.split("train"), notes["held_out"], notes["validation"])
    view = load_classifier(checkpoint)[1]
    first = probe(next(p for p in map(dataset.path, parts.held["video_id"]) if p.is_file()))
    spec = FeatureSpec(
        clip_len=view.length,
        accumulate=accumulate,
        iframe_size=iframe_size,
        height=first.height,
        width=first.width,
        frame_rate=view.frame_rate,
        pictures=kept_pictures,
        early=kept_early,
        iframe_trunk=iframe_trunk if frozen_trunk else "",
    )
    videos, cache = pd.concat(parts, ignore_index=True), run.cache("features")
    features = extract_features(
        dataset, videos, cache, spec, readers=list(READERS), device=device, workers=workers
    )
    dense = honest_scores(run, dataset, parts, device=device, workers=workers)
    lessons = lessons_of(dataset, parts, features, dense)
    return Material(dataset.classes, parts, spec, features, dense, lessons)


def honest_scores(
    run: Run, dataset: Dataset, parts: Parts, *, device: str, workers: int
) -> list[Shards]:
    """The scores of training videos by a classifier that has not learnt from them.

    First f's of the held-out videos. Then, where notebook 03 has cross-fitted f in folds, those of each
    fold of f's own videos by the f that was trained on the other folds.
    """
    folds = in_folds(parts.classifier, run.notes().get("folds", 0))
    crossed = [
        dense_scores(
            dataset,
            videos,
            run.need(run.checkpoint(f"classifier-fold{number}"), "03"),
            run.cache("dense"),
            device=device,
            workers=workers,
        )
        for number, videos in enumerate(folds)
    ]
    return [run.kept("dense-held", notebook="04", of=run.checkpoint("classifier")), *crossed]


def lessons_of(dataset: Dataset, parts: Parts, features: Shards, dense: Sequence[Shards]) -> Lessons:
    """What the videos that could be read teach; dense: their `honest_scores`."""

    videos = pd.concat(parts)
    named = zip(videos["video_id"], map(int, dataset.label_index(videos)), strict=True)
    labels = {video_id: label for video_id, label in named if video_id in features}
    scored = [(v, scores) for v in labels for scores in dense if v in scores]
    targets = {
        v: scores.get(v, "probabilities")[:, labels[v]]
        for v, scores in scored
        if _same_clips(scores, features, v)
    }
    if unlike := [v for v, _ in scored if v not in targets]:
        warnings.warn(
            f"{len(unlike)} video(s) of which f and the samplers could not read the same clips teach no "
            f"ranking: {', '.join(unlike[:3])}",
            stacklevel=2,
        )

    def of(*some: pd.DataFrame) -> list[str]:
        return pd.concat(some)["video_id"].tolist()

    learnt, held = of(parts.classifier, parts.samplers), of(parts.samplers, parts.classifier)
    validation = of(parts.validation)
    return Lessons(
        labels={v: labels[v] for v in learnt if v in labels},
        targets={v: targets[v] for v in held if v in targets},
        validation_labels={v: labels[v] for v in validation if v in labels},
        validation_targets={v: targets[v] for v in validation if v in targets},
    )


def _same_clips(dense: Shards, features: Shards, video_id: str) -> bool:
    """Whether rows of both are the same clips, as far as both go: else something inside is damaged."""
    seen, read = (shards.get(video_id, "clip") for shards in (dense, features))
    both = min(len(seen), len(read))
    return bool((seen[:both] == read[:both]).all())
