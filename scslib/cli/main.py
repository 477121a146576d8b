"""The command `scs` and its subcommands `run`, `report` and `doctor`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from scslib.cli.data import data
from scslib.cli.engine import DEVICE, engine_options
from scslib.cli.sample import export_command, sample_command
from scslib.cli.sweep import regress, sweep


class OneLine(click.Group):
    """A group of commands that reports an error in one line.

    Errors that a user can mend are one line on stderr and a non-zero exit status.
    """

    def invoke(self, context: click.Context):
        try:
            return super().invoke(context)
        except (ValueError, OSError) as error:
            raise click.ClickException(" ".join(str(error).split())) from error


@click.group(cls=OneLine, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="scslib")
def main() -> None:
    """Salient clip sampling: data, runs, samples, reports."""


@main.command()
def doctor() -> None:
    """Say what is installed, what does not fit, and how to mend it."""
    from scslib.cli.doctor import examine

    findings = examine()
    for finding in findings:
        mark = {"ok": "ok  ", "warn": "warn", "bad": "BAD "}[finding.level]
        click.echo(f"{mark}  {finding.name}: {finding.found}")
        if finding.mend and finding.level != "ok":
            click.echo(f"      -> {finding.mend}")
    if any(finding.level == "bad" for finding in findings):
        sys.exit(1)


@main.command()
@click.option(
    "--preset", default="smoke", show_default=True, help="smoke, laptop, real, full or a YAML file."
)
@click.option(
    "--data", "dataset", type=click.Path(path_type=Path), help="A dataset folder; else synthetic."
)
@click.option("--out", help="The run's folder, or its name under runs/; default: the preset's name.")
@click.option("-p", "parameters", nargs=2, multiple=True, metavar="NAME VALUE", help="Set a parameter.")
@click.option("--notebooks", default="00-99", help="Only these, e.g. 00-07 or 08,10; default: all.")
@click.option(
    "--require-complete", is_flag=True, help="Fail if the test videos' coverage is below 100 %."
)
@DEVICE
@engine_options
def run(
    preset: str,
    dataset: Path | None,
    out: str | None,
    parameters,
    notebooks: str,
    require_complete: bool,
    device: str,
) -> None:
    """Run the notebooks in order, headless."""
    from scslib.evaluation.coverage import reading_note
    from scslib.experiments import notebooks as runner
    from scslib.experiments.parameters import from_command_line
    from scslib.jobs.devices import choose
    from scslib.jobs.run_folder import check_run
    from scslib.report.page import (
        HELD_OUT,
        SUMMARY,
        block_note,
        guessing_note,
        readable,
        shortfalls,
        write_report,
    )

    params = runner.preset(preset)
    params |= runner.typed(from_command_line(parameters))
    if device != "auto":
        params["device"] = str(choose(device))  # what is not here is found now
    name = Path(preset).stem
    if dataset is not None:
        params |= runner.read_from(dataset)
        name = f"{dataset.resolve().name}-{name}"
    check_run(out or name)
    runner.check_data(params)  # a broken dataset is found now, not in the third notebook
    command = shlex.join(["scs", *sys.argv[1:]])
    done = runner.run_notebooks(out or name, params, command=command, numbers=notebooks)
    if not (done.folder / "results" / "methods.csv").is_file():
        if require_complete:
            raise click.ClickException("require-complete: no table yet, it comes from notebook 06")
        return
    click.echo("\n" + readable(done.load_table("summary", *SUMMARY)).to_string(index=False))
    missing, videos = shortfalls(done), done.load_table("videos")
    training = reading_note(videos[videos["split"] == "held out"], HELD_OUT)
    for line in [] if require_complete else missing:
        click.echo(line)
    if training:
        click.echo(f"{training}: see results/videos.csv")
    if guessing := guessing_note(done.notes()):
        click.echo(guessing)
    click.echo(block_note(done.notes()))
    click.echo(f"\nreport: {write_report(done)}")  # again: with the figures of the last notebooks
    if missing and require_complete:
        raise click.ClickException("; ".join(missing))


@main.command()
@click.argument("run_folder", metavar="RUN")
def report(run_folder: str) -> None:
    """Write report.html of a run again."""
    from scslib.jobs.run_folder import Run, resolve
    from scslib.report.page import write_report

    click.echo(write_report(Run(resolve(run_folder, "runs"))))


for command in (data, sample_command, export_command, sweep, regress):
    main.add_command(command)
