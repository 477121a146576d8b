"""Train all samplers of a run, as notebook 05 does; on several devices with torchrun.

    scs run --preset full --notebooks 00-04
    torchrun --nproc-per-node 8 -m scslib.experiments.train full
    scs run --preset full

Trainings are kept in RUN/cache/samplers while they run and when they are complete: a command that was
killed goes on from there when it is given again, and notebook 05 finds nothing left to train.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import click
import numpy as np
import pandas as pd
import torch

from scslib.datasets.manifest import Dataset, Parts, in_folds, load_dataset, training_parts
from scslib.jobs import devices
from scslib.jobs.run_folder import Run, WorkspaceError, resolve
from scslib.jobs.shard_files import Shards
from scslib.models.checkpoints import load_classifier, save_sampler
from scslib.samplers.extraction import extract_features
from scslib.samplers.features import FeatureSpec
from scslib.samplers.learned import NETWORK_INPUTS, sampler_checkpoint
from scslib.training import distributed
from scslib.training.dense_scores import dense_scores
from scslib.training.recipe import Recipe, make_recipe, save_recipe
from scslib.training.sampler import Lessons, TrainedNetworks, train_joint, train_sampler
from scslib.training.schedule import Curve
from scslib.video.probe import probe


@dataclass(frozen=True, eq=False)
class Material:
    """What the samplers of a run learn from.

    parts: which videos; spec, features: how they were read, and what came out.
    """

    classes: tuple[str, ...]
    parts: Parts
    spec: FeatureSpec
    features: Shards
    lessons: Lessons


def read_material(
    run: Run,
    dataset: Dataset,
    *,
    accumulate: bool,
    iframe_size: int,
    kept_pictures: int,
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
        iframe_trunk=iframe_trunk if frozen_trunk else "",
    )
    videos, cache = pd.concat(parts, ignore_index=True), run.cache("features")
    features = extract_features(dataset, videos, cache, spec, device=device, workers=workers)
    dense = honest_scores(run, dataset, parts, device=device, workers=workers)
    return Material(dataset.classes, parts, spec, features, lessons_of(dataset, parts, features, dense))


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

    def labels(videos: pd.DataFrame) -> dict[str, int]:
        rows = zip(videos["video_id"], map(int, dataset.label_index(videos)), strict=True)
        return {video_id: label for video_id, label in rows if video_id in features}

    def targets(videos: pd.DataFrame) -> dict[str, np.ndarray]:
        return {
            v: scores.get(v, "probabilities")[:, c]
            for v, c in labels(videos).items()
            for scores in dense
            if v in scores and _same_clips(scores, features, v)
        }

    return Lessons(
        labels=labels(parts.classifier) | labels(parts.samplers),
        targets=targets(parts.samplers) | targets(parts.classifier),
        validation_labels=labels(parts.validation),
        validation_targets=targets(parts.validation),
    )


def _same_clips(dense: Shards, features: Shards, video_id: str) -> bool:
    """Whether rows of both are the same clips, as far as both go: else something inside is damaged."""
    seen, read = (shards.get(video_id, "clip") for shards in (dense, features))
    both = min(len(seen), len(read))
    return bool((seen[:both] == read[:both]).all())


def train_samplers(
    run: Run,
    material: Material,
    recipe: Recipe,
    *,
    seed: int,
    device: torch.device | str = "cpu",
    every: int = 100,
) -> dict[str, Curve]:
    """Train every network of one seed with both objectives, and save it in RUN/checkpoints.

    Goes on from what RUN/cache/samplers has; see `loop.fit` for `every`. Returns how each was trained
    by name, such as "motion, RANK".
    """
    trained: dict[str, TrainedNetworks] = {}
    for name in NETWORK_INPUTS:
        resume = run.cache("samplers") / f"{name}-seed{seed}"
        if name == "joint":
            trained[name] = train_joint(
                list(trained.values()),
                material.features,
                material.lessons,
                recipe,
                seed=seed,
                resume=resume,
                every=every,
            )
        else:
            trained[name] = train_sampler(
                name,
                material.features,
                material.lessons,
                recipe,
                classes=len(material.classes),
                seed=seed,
                device=device,
                resume=resume,
                every=every,
            )
        for objective, network in trained[name].networks.items():
            path = sampler_checkpoint(run.folder / "checkpoints", name, objective=objective, seed=seed)
            if distributed.rank() == 0:
                save_sampler(
                    path,
                    network,
                    objective=objective,
                    classes=material.classes,
                    features=asdict(material.spec),
                )
    return {
        f"{name}, {kind.upper()}": curve
        for name, one in trained.items()
        for kind, curve in one.curves.items()
    }


def parameters_of(run: Run) -> dict:
    """The parameters of notebook 05 as `scs run` has been given them for this run, else its defaults."""
    # papermill comes with them, which notebook 05 itself can do without
    from scslib.experiments.notebooks import notebooks
    from scslib.experiments.parameters import known_parameters

    path = run.folder / "params.json"
    if not path.is_file():
        raise WorkspaceError(f"{path}: no such file; run the notebooks up to 04 first (scs run)")
    given = json.loads(path.read_text(encoding="utf-8"))
    notebook = next(n for n in notebooks() if n.name.startswith("05"))
    return {name: given.get(name, default) for name, default in known_parameters(notebook).items()}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name", metavar="RUN")
@click.option("--seed", "seeds", type=int, multiple=True, help="Which; default: all seeds of the run.")
@click.option(
    "--every", default=100, show_default=True, help="Write each training down after so many steps."
)
def train_command(name: str, seeds: tuple[int, ...], every: int) -> None:
    """Train the samplers of RUN, whose notebooks 00 to 04 have been run, as notebook 05 does."""
    try:
        with distributed.group_joined():
            _train(Run(resolve(name, "runs")), seeds, every)
    except (ValueError, OSError) as error:
        raise click.ClickException(" ".join(str(error).split())) from error


def _train(run: Run, seeds: tuple[int, ...], every: int) -> None:
    parameters = parameters_of(run)
    recipe = make_recipe(**_wanted(make_recipe, parameters))
    if distributed.rank() == 0:
        save_recipe(run, recipe)
    dataset = load_dataset(resolve(parameters["data"], "data"))
    options, device = _wanted(read_material, parameters), devices.choose()
    material = distributed.once(lambda: read_material(run, dataset, **options))
    for seed in seeds or parameters["seeds"]:
        train_samplers(run, material, recipe, seed=seed, device=device, every=every)
        if distributed.rank() == 0:
            click.echo(f"seed {seed}: {len(NETWORK_INPUTS)} networks, AC and RANK")


def _wanted(function: Callable, parameters: dict) -> dict:
    """Those of the parameters that `function` takes by name only."""
    taken = inspect.signature(function).parameters.values()
    return {p.name: parameters[p.name] for p in taken if p.kind == p.KEYWORD_ONLY}


if __name__ == "__main__":
    train_command()
