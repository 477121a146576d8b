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
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import torch

from scslib.datasets.manifest import load_dataset
from scslib.experiments.material import Material, read_material
from scslib.jobs import devices
from scslib.jobs.child import Limits
from scslib.jobs.pool import map_processes
from scslib.jobs.run_folder import Run, WorkspaceError, resolve
from scslib.models.checkpoints import save_sampler
from scslib.samplers.clips import Clips
from scslib.samplers.fitted import FITTERS, fit_own, fitted_checkpoint, save_fitted
from scslib.samplers.learned import NETWORK_INPUTS, sampler_checkpoint
from scslib.samplers.plugins import load_plugins
from scslib.training import distributed
from scslib.training.recipe import Recipe, make_recipe, save_recipe
from scslib.training.sampler import TrainedNetworks, train_joint, train_sampler
from scslib.training.schedule import Curve

SINGLES = [name for name, inputs in NETWORK_INPUTS.items() if len(inputs) == 1]


@dataclass(frozen=True, eq=False)
class Trainings:
    """The trainings of one seed. Each is kept in `cache`, and is not done again by who asks next."""

    cache: Path
    material: Material
    recipe: Recipe
    seed: int
    every: int
    device: str

    def single(self, name: str) -> TrainedNetworks:
        """The networks of one input, such as "motion"."""
        return train_sampler(
            name,
            self.material.features,
            self.material.lessons,
            self.recipe,
            classes=len(self.material.classes),
            seed=self.seed,
            device=self.device,
            resume=self.cache / f"{name}-seed{self.seed}",
            every=self.every,
        )

    def joint(
        self, objectives: Sequence[str], singles: Sequence[TrainedNetworks] | None = None
    ) -> TrainedNetworks:
        """The joint networks of these objectives, on `singles`, by default those in the cache."""
        singles = [self.single(name) for name in SINGLES] if singles is None else singles
        return train_joint(
            [TrainedNetworks({o: s.networks[o] for o in objectives}, {}) for s in singles],
            self.material.features,
            self.material.lessons,
            self.recipe,
            seed=self.seed,
            resume=self.cache / f"joint-seed{self.seed}",
            every=self.every,
        )


def train_samplers(
    run: Run,
    material: Material,
    recipe: Recipe,
    *,
    seeds: Sequence[int],
    device: torch.device | str = "cpu",
    workers: int = 1,
    every: int = 100,
) -> dict[int, dict[str, Curve]]:
    """Train every network of these seeds with both objectives, and save it in RUN/checkpoints.

    Goes on from what RUN/cache/samplers has; see `loop.fit` for `every`. workers: processes of one core
    each that train side by side; 0: one a core; 1, an accelerator, and torchrun: one training after the
    other, here. Returns for each seed how each was trained, by name, such as "motion, RANK".
    """
    cache = run.cache("samplers")
    of_seed = {seed: Trainings(cache, material, recipe, seed, every, str(device)) for seed in seeds}
    objectives = ["ac", "rank"] if recipe.ac is not None else ["rank"]
    if workers != 1 and str(device) == "cpu" and distributed.size() == 1:
        # the sound's take longest
        singles = [(seed.single, name) for name in SINGLES[::-1] for seed in of_seed.values()]
        train_side_by_side(singles, workers)
        joint = [(seed.joint, [objective]) for seed in of_seed.values() for objective in objectives]
        train_side_by_side(joint, workers)
    curves = {}
    for seed, trainings in of_seed.items():
        trained = {name: trainings.single(name) for name in SINGLES}
        trained["joint"] = trainings.joint(objectives, list(trained.values()))
        _save(run, material, trained, seed)
        curves[seed] = {
            f"{name}, {kind.upper()}": curve
            for name, one in trained.items()
            for kind, curve in one.curves.items()
        }
    return curves


def _save(run: Run, material: Material, trained: dict[str, TrainedNetworks], seed: int) -> None:
    if distributed.rank() != 0:
        return
    for name, one in trained.items():
        for objective, network in one.networks.items():
            save_sampler(
                sampler_checkpoint(run.folder / "checkpoints", name, objective=objective, seed=seed),
                network,
                objective=objective,
                classes=material.classes,
                features=asdict(material.spec),
            )


def train_side_by_side(trainings: Sequence[tuple[Callable, object]], workers: int) -> None:
    """Call each of (function, argument) in `workers` processes. The result is what it leaves on disk."""
    map_processes(
        _trained,
        trainings,
        workers=workers,
        title="training",
        unit="network",
        limits=Limits(math.inf, math.inf),
        networks=True,
    )


def _trained(training: tuple[Callable, object]) -> None:
    function, argument = training
    function(argument)


def train_own_samplers(run: Run, material: Material, *, seed: int) -> list[str]:
    """Fit every sampler of a plugin that has `fit`, and save it in RUN/checkpoints; their names.

    They learn from the training videos that RANK learns from, see `honest_scores`.
    """
    if not list(FITTERS):
        return []
    features, lessons, scores = material.features, material.lessons, {}
    for video_id, target in lessons.targets.items():
        shards = next(shards for shards in material.dense if video_id in shards)
        if len(target) == len(features.get(video_id, "times")):  # else some of its clips are damaged
            scores[video_id] = shards.get(video_id, "probabilities")
    videos = [Clips(features, video_id) for video_id in scores]
    labels = [lessons.labels[video_id] for video_id in scores]
    for name in FITTERS:
        learnt = fit_own(name, videos, labels, list(scores.values()), seed=seed)
        save_fitted(fitted_checkpoint(run.folder / "checkpoints", name, seed=seed), name, learnt)
    return list(FITTERS)


def parameters_of(run: Run) -> dict:
    """The parameters of notebook 05 as `scs run` got them for this run. Others have their default."""
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
    """Train the samplers of RUN, as notebook 05 does.

    Notebooks 00 to 04 of RUN must have been run.
    """
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
    load_plugins(parameters["plugins"])
    options, device = _wanted(read_material, parameters), devices.choose()
    material = distributed.once(lambda: read_material(run, dataset, **options))
    wanted = list(seeds or parameters["seeds"])
    workers = parameters["workers"]
    train_samplers(run, material, recipe, seeds=wanted, device=device, workers=workers, every=every)
    for seed in wanted:
        if distributed.rank() == 0:
            train_own_samplers(run, material, seed=seed)
            click.echo(f"seed {seed}: {len(NETWORK_INPUTS)} networks, AC and RANK")


def _wanted(function: Callable, parameters: dict) -> dict:
    """Those of the parameters that `function` takes by name only."""
    taken = inspect.signature(function).parameters.values()
    return {p.name: parameters[p.name] for p in taken if p.kind == p.KEYWORD_ONLY}


if __name__ == "__main__":
    train_command()
