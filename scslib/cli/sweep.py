"""`scs sweep` and `scs regress`: many runs, and comparison with expected results."""

from __future__ import annotations

import contextlib
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scslib.cli.engine import engine_options

if TYPE_CHECKING:
    from scslib.experiments.sweep_plan import Plan

EVALUATION = "01,03-06"  # the notebooks that results/methods.csv needs
SHOWN_METHODS = ("random", "uniform", "dense", "audio", "visual", "audio-visual", "oracle")


@click.command()
@click.argument("source", metavar="SWEEP.yaml")
@click.option(
    "--out", help="The sweep's folder, or its name under runs/; default: sweep-NAME[-DATA]-PRESET."
)
@click.option("--dry-run", is_flag=True, help="Only say what would be done, and about how long.")
@click.option("--workers", type=click.IntRange(min=1), help="Notebooks at once; default: one a core.")
@click.option("--preset", help="smoke, laptop, real, full or a YAML file, instead of the sweep's own.")
@click.option(
    "--data", "dataset", type=click.Path(path_type=Path), help="A dataset folder; else synthetic."
)
@click.option("-p", "parameters", nargs=2, multiple=True, metavar="NAME VALUE", help="Set a parameter.")
@engine_options
def sweep(
    source,
    out,
    dry_run: bool,
    workers: int | None,
    preset,
    dataset: Path | None,
    parameters,
) -> None:
    """Run a sweep: many runs that answer one question. SWEEP.yaml, or a name in notebooks/sweeps."""
    from scslib.experiments.notebooks import RunError, check_data, read_from
    from scslib.experiments.parameters import from_command_line
    from scslib.experiments.sweep_plan import load_sweep, plan_in_words, plan_sweep
    from scslib.experiments.sweep_ray import RaySteps
    from scslib.experiments.sweep_run import run_sweep
    from scslib.jobs.engines import Engine
    from scslib.jobs.run_folder import resolve
    from scslib.jobs.threads import cores

    given = from_command_line(parameters)
    if dataset is not None:
        given |= read_from(dataset)
    about = load_sweep(source, other_preset=preset, given=given)
    of_data = dataset.resolve().name if dataset is not None else ""
    words = ["sweep", about.name, of_data, Path(about.preset).stem]
    name = out or "-".join(filter(None, words))
    plan = plan_sweep(about, resolve(name, "runs"))
    at_once = workers or cores()
    for values in about.runs.values():
        check_data(about.fixed | values)
    if dry_run:
        click.echo(plan_in_words(plan, at_once))
        return
    command, engine = shlex.join(["scs", *sys.argv[1:]]), Engine.current()
    if engine.name == "ray":
        with contextlib.closing(RaySteps(engine)) as steps:
            at_once = workers or steps.cores
            done = run_sweep(plan, at_once=at_once, command=command, start=steps.start)
    else:
        done = run_sweep(plan, at_once=at_once, command=command)
    if (plan.folder / "results.csv").is_file():
        _show_results(plan)
    broken = [run for run in done["runs"] if run["status"] != "done"]
    if broken:
        reasons = "; ".join(sorted({run["reason"] for run in broken if run["reason"]}))
        where = plan.folder / "runs" / f"{broken[0]['name']}.failed"
        raise RunError(f"{len(broken)} of {len(done['runs'])} runs failed: {reasons} (see {where})")


def _show_results(plan: Plan) -> None:
    """Print accuracies and contrasts of a sweep's finished runs, and write the latter into files."""
    from scslib.evaluation.contrasts import (
        block_accuracies,
        by_setting,
        contrasts,
        in_words,
        predictions_of,
    )
    from scslib.experiments import results
    from scslib.jobs.files import replacing

    about, frame = plan.sweep, results.load_runs(plan.folder)
    asked = [name for pair in about.contrasts for name in pair]
    shown = list(dict.fromkeys([*SHOWN_METHODS, *asked]))
    click.echo("\n" + results.readable_means(frame, about.varied, shown).to_string())
    if about.contrasts:
        predictions = predictions_of(plan.folder)
        gaps = by_setting(about.blocks, predictions, lambda own: contrasts(own, about.contrasts))
        made = {"contrasts": gaps, "accuracies": by_setting(about.blocks, predictions, block_accuracies)}
        for name, table in made.items():
            with replacing(plan.folder / f"{name}.csv") as part:
                table.to_csv(part, index=False, float_format="%.6g")
        click.echo("\n" + "\n".join(in_words(gaps)))
    click.echo(f"\nresults: {plan.folder / 'results.csv'}")


@click.command()
@click.argument("run_folder", metavar="[RUN]", required=False)
@click.option("--preset", default="smoke", show_default=True, help="smoke, laptop, real or full.")
@click.option("--update", is_flag=True, help="Take what comes out as what is expected from now on.")
def regress(run_folder: str | None, preset: str, update: bool) -> None:
    """Tell whether a preset still gives what it gave.

    It looks at RUN, or runs the preset again.
    """
    from scslib.experiments import notebooks as runner
    from scslib.experiments import regress as regression
    from scslib.jobs.run_folder import Run, resolve
    from scslib.jobs.tables import read_table

    path = regression.expected_path(preset)
    if not update and not path.is_file():
        raise runner.RunError(f"{path}: no such file; scs regress --preset {preset} --update makes it")
    if run_folder is not None:
        run = Run(resolve(run_folder, "runs"))
    else:
        command = shlex.join(["scs", *sys.argv[1:]])
        name, params = f"regress-{preset}", runner.preset(preset)
        run = runner.run_notebooks(name, params, command=command, numbers=EVALUATION)
    methods = run.load_table("methods", *regression.FIGURES)
    if update:
        path.parent.mkdir(parents=True, exist_ok=True)
        regression.expectation(methods).to_csv(path, index=False, float_format="%.6g")
        click.echo(f"wrote {path}")
        return
    found = regression.differences(methods, read_table(path))
    for line in found:
        click.echo(line)
    if found:
        raise runner.RunError(f"{len(found)} differences from {path}")
    click.echo(f"{methods['method'].nunique()} methods are as {path} says")
