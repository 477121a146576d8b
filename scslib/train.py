"""All samplers of a run: what notebook 05 does, and the same on several devices, one process each:

    scs run --preset full --notebooks 00-04
    torchrun --nproc-per-node 8 -m scslib.train full
    scs run --preset full

Trainings are kept in RUN/cache/samplers while they run and when they are complete: a command that was
killed goes on from there when it is given again, and notebook 05 finds nothing left to train.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass

import click
import numpy as np
import torch

from scslib import devices
from scslib.datasets.manifest import Dataset, Parts, load_dataset, training_parts
from scslib.features import FeatureSpec, extract_features
from scslib.modalities import MODALITIES
from scslib.models.checkpoints import load_classifier, save_sampler
from scslib.saliency import sampler_checkpoint
from scslib.scoring import dense_scores
from scslib.shards import Shards
from scslib.training import distributed
from scslib.training.recipe import Recipe, make_recipe, save_recipe
from scslib.training.sampler import train_sampler
from scslib.video.probe import probe
from scslib.workspace import Run, WorkspaceError, resolve

NETWORKS = {m: (m,) for m in MODALITIES} | {"joint": MODALITIES}


@dataclass(frozen=True, eq=False)
class Material:
    """What the samplers of a run learn from.

    parts: which videos; spec, features: how the held-out ones were read, and what came out; labels:
    the class (0, 1, ...) of each video to learn from; targets (N,): f's scores of it on its N clips.
    """

    classes: tuple[str, ...]
    parts: Parts
    spec: FeatureSpec
    features: Shards
    labels: dict[str, int]
    targets: dict[str, np.ndarray]


def read_material(
    run: Run,
    dataset: Dataset,
    *,
    accumulate: bool,
    iframe_size: int,
    kept_pictures: int,
    device: str,
    workers: int,
) -> Material:
    """Read the held-out videos, or take them from the run's cache; see notebook 05 for the arguments.

    Raises `WorkspaceError` where notebook 03 has not been run.
    """
    checkpoint = run.need(run.checkpoint("classifier"), "03")
    notes = run.notes()
    parts = training_parts(dataset.split("train"), notes["held_out"], notes["validation"])
    view = load_classifier(checkpoint)[1]
    first = probe(next(p for p in map(dataset.path, parts.held["video_id"]) if p.is_file()))
    size = {"height": first.height, "width": first.width, "pictures": kept_pictures}
    spec = FeatureSpec(view.frames, accumulate, iframe_size, frame_rate=view.frame_rate, **size)
    features = extract_features(dataset, parts.held, run.cache("features"), spec, workers=workers)
    dense = dense_scores(
        dataset, parts.held, checkpoint, run.cache("dense"), device=device, workers=workers
    )
    labels = dict(
        zip(parts.samplers["video_id"], map(int, dataset.label_index(parts.samplers)), strict=True)
    )
    targets = {
        v: dense.get(v, "probabilities")[:, c]
        for v, c in labels.items()
        if v in dense and v in features and _same_clips(dense, features, v)
    }
    return Material(dataset.classes, parts, spec, features, labels, targets)


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
) -> dict[str, np.ndarray]:
    """Train every network of one seed with both objectives, and save it in RUN/checkpoints.

    The joint network starts from the AC networks of the single inputs. Goes on from what
    RUN/cache/samplers has; see `loop.fit` for `every`. Returns the losses (steps,) by name, such as
    "motion, RANK".
    """
    learnt = material.features, material.labels, material.targets
    curves, single = {}, {}
    for name, modalities in NETWORKS.items():
        trained = train_sampler(
            modalities,
            *learnt,
            recipe,
            classes=len(material.classes),
            seed=seed,
            device=device,
            start=[single[m] for m in modalities] if len(modalities) > 1 else [],
            resume=run.cache("samplers") / f"{name}-seed{seed}",
            every=every,
        )
        single[name] = trained.networks["ac"]
        for objective, network in trained.networks.items():
            about = {"objective": objective, "classes": material.classes}
            path = sampler_checkpoint(run.folder / "checkpoints", name, objective=objective, seed=seed)
            if distributed.rank() == 0:
                save_sampler(path, network, **about, features=asdict(material.spec))
        curves |= {f"{name}, {kind.upper()}": curve for kind, curve in trained.losses.items()}
    return curves


def parameters_of(run: Run) -> dict:
    """The parameters of notebook 05 as `scs run` has been given them for this run, else its defaults."""
    # papermill comes with them, which notebook 05 itself can do without
    from scslib.parameters import known_parameters
    from scslib.run import notebooks

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
def main(name: str, seeds: tuple[int, ...], every: int) -> None:
    """Train the samplers of RUN, whose notebooks 00 to 04 have been run, as notebook 05 does."""
    try:
        with distributed.joined():
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
            click.echo(f"seed {seed}: {len(NETWORKS)} networks, AC and RANK")


def _wanted(function: Callable, parameters: dict) -> dict:
    """Those of the parameters that `function` takes by name only."""
    taken = inspect.signature(function).parameters.values()
    return {p.name: parameters[p.name] for p in taken if p.kind == p.KEYWORD_ONLY}


if __name__ == "__main__":
    main()
