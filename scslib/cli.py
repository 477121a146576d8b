"""The command `scs`: each subcommand parses its options and calls one function of the library."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click
import yaml

from scslib.cli_bench import bench
from scslib.cli_data import data


class _OneLine(click.Group):
    """Errors that a user can mend are one line on stderr and a non-zero exit status."""

    def invoke(self, context: click.Context):
        try:
            return super().invoke(context)
        except (ValueError, OSError) as error:
            raise click.ClickException(" ".join(str(error).split())) from error


@click.group(cls=_OneLine, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="scslib")
def main() -> None:
    """Salient clip sampling: data, runs, samples, reports."""


@main.command()
def doctor() -> None:
    """Say what is installed, what does not fit, and how to mend it."""
    from scslib.doctor import check

    findings = check()
    for finding in findings:
        mark = {"ok": "ok  ", "warn": "warn", "bad": "BAD "}[finding.level]
        click.echo(f"{mark}  {finding.name}: {finding.found}")
        if finding.mend and finding.level != "ok":
            click.echo(f"      -> {finding.mend}")
    if any(finding.level == "bad" for finding in findings):
        sys.exit(1)


@main.command()
@click.option("--preset", default="smoke", show_default=True, help="smoke, laptop, full or a YAML file.")
@click.option(
    "--data", "dataset", type=click.Path(path_type=Path), help="A dataset folder; else synthetic."
)
@click.option("--out", help="The run's folder, or its name under runs/; default: the preset's name.")
@click.option("-p", "parameters", nargs=2, multiple=True, metavar="NAME VALUE", help="Set a parameter.")
@click.option("--notebooks", default="00-99", help="Only these, e.g. 00-07 or 08,10; default: all.")
def run(preset: str, dataset: Path | None, out: str | None, parameters, notebooks: str) -> None:
    """Run the notebooks in order, headless."""
    from scslib import run as runner
    from scslib.datasets.manifest import load_dataset
    from scslib.report import readable, write_report

    params = runner.preset(preset)
    params |= {name: yaml.safe_load(value) for name, value in parameters}
    name = Path(preset).stem
    if dataset is not None:
        load_dataset(dataset)  # a broken one is found now, not in the third notebook
        params |= {"data": str(dataset.resolve()), "make_data": False}
        name = f"{dataset.resolve().name}-{name}"
    command = shlex.join(["scs", *sys.argv[1:]])
    done = runner.run_notebooks(out or name, params, command=command, numbers=notebooks)
    if not (done.folder / "results" / "methods.csv").is_file():
        return  # notebook 06 has not been run yet
    click.echo("\n" + readable(done.load_table("summary")).to_string(index=False))
    failed = int(done.load_table("methods")["videos_failed"].max())
    if failed:
        click.echo(f"{failed} test videos could not be read: see results/videos.csv")
    click.echo(f"\nreport: {write_report(done)}")  # again: with the figures of the last notebooks


@main.command()
@click.argument("videos", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--run", "run_folder", required=True, help="A run's folder, or its name under runs/.")
@click.option("-k", type=int, default=10, show_default=True, help="How many clips.")
@click.option(
    "--sampler",
    type=click.Choice(["audio", "visual", "audio-visual", "cascade"]),
    default="audio-visual",
    show_default=True,
)
@click.option(
    "--csv", type=click.Path(path_type=Path), help="Write the table here instead of printing it."
)
@click.option("--sheet", type=click.Path(path_type=Path), help="Write a contact sheet (PNG) here.")
def sample(videos, run_folder: str, k: int, sampler: str, csv: Path | None, sheet: Path | None) -> None:
    """The K most salient clips of any VIDEOS, by a run's sampler."""
    import pandas as pd

    from scslib import apply
    from scslib.video.probe import VideoError
    from scslib.workspace import Run, resolve

    if sheet and len(videos) > 1:
        raise ValueError(f"--sheet ({sheet}) takes one video, not {len(videos)}")
    run = Run(resolve(run_folder, "runs"))
    tables, failed = [], 0
    for video in videos:
        try:
            picked = apply.pick(video, run, k=k, sampler=sampler)
        except VideoError as error:
            click.echo(f"Error: {error}", err=True)
            failed += 1
            continue
        if picked.sampler != sampler:
            click.echo(f"{video}: no sound, so the {picked.sampler} sampler chose", err=True)
        if picked.incomplete:
            click.echo(f"{video}: broken off; {picked.incomplete}", err=True)
        tables.append(picked.table)
        if sheet:
            apply.sheet(picked).savefig(sheet, dpi=110)
    if tables:
        text = pd.concat(tables).to_csv(csv, index=False, float_format="%.4f")
        click.echo(text.rstrip() if csv is None else f"wrote {csv}")
    if failed:
        sys.exit(1)


@main.command()
@click.argument("run_folder", metavar="RUN")
def report(run_folder: str) -> None:
    """Write report.html of a run again."""
    from scslib.report import write_report
    from scslib.workspace import Run, resolve

    click.echo(write_report(Run(resolve(run_folder, "runs"))))


main.add_command(data)
main.add_command(bench)
