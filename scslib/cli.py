"""The command `scs`: each subcommand parses its options and calls one function of the library."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path

import click
import yaml


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


@main.group(cls=_OneLine)
def data() -> None:
    """Make dataset folders."""


def _encoding(function):
    options = [
        click.option("--width", type=int, help="Pixels, even."),
        click.option("--height", type=int, help="Pixels, even."),
        click.option("--frame-rate", type=int, help="Pictures a second."),
        click.option("--gop", type=int, help="Frames from one I-frame to the next."),
        click.option("--codec", type=click.Choice(["h264", "mpeg4"])),
        click.option("--quality", type=int, help="CRF (h264) or quantiser (mpeg4); lower is better."),
        click.option("--workers", type=int, default=0, help="Processes; 0: one a core."),
        click.option("--seed", type=int, help="Same seed, same dataset."),
        click.option("--train-videos", type=int),
        click.option("--test-videos", type=int),
        click.option("--duration-s", type=float, help="Length of a video, seconds."),
        click.option("--action-share", type=float, help="Part of the time that shows the action, 0..1."),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def _filled(spec, options: dict):
    """`spec` with the options that were given; those of the encoding go there."""
    given = {name: value for name, value in options.items() if value is not None}
    names = ("width", "height", "frame_rate", "gop", "codec", "quality")
    encoding = {name: given.pop(name) for name in names if name in given}
    return replace(spec, encoding=replace(spec.encoding, **encoding), **given)


def _show(dataset) -> None:
    """The dataset in one line, then what its maker left out or noticed."""
    click.echo(dataset)
    for line in dataset.about.get("notes", ()):
        click.echo(line)


@data.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--classes", type=int, help="2..8.")
@click.option("--decoy-share", type=float, help="Part of the rest that shows other classes, 0..1.")
@_encoding
def synth(out: Path, workers: int, **options) -> None:
    """Make long synthetic videos with sound in OUT."""
    from scslib.datasets.synthetic import Synthetic, make_synthetic

    click.echo(make_synthetic(out, _filled(Synthetic(), options), workers=workers))


@data.command()
@click.argument("clips", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--distractors", type=click.Path(path_type=Path), required=True, help="Any other videos.")
@click.option("--group-pattern", help="Regular expression; its first group is a file's group.")
@click.option("--test-group", "test_groups", multiple=True, help="A group for test; repeat for more.")
@click.option("--test-share", type=float, help="Share of the groups for test, if none are named.")
@click.option("--sound", type=click.Choice(["keep", "silence"]))
@_encoding
def compose(clips: Path, out: Path, distractors: Path, workers: int, **options) -> None:
    """Make long untrimmed videos in OUT from trimmed ones: CLIPS/<class>/*."""
    from scslib.datasets.compose import Composition, make_composed

    options["test_groups"] = options["test_groups"] or None  # none named: a share of them
    spec = _filled(Composition(), options)
    _show(make_composed(clips, out, spec, distractors=distractors, workers=workers))


@data.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--test-share", type=float, default=0.3, show_default=True)
@click.option("--group-pattern", help="Regular expression; its first group is a file's group.")
@click.option("--seed", type=int, default=0, show_default=True)
def index(folder: Path, out: Path, **options) -> None:
    """Make a dataset of your own videos: FOLDER/<class>/*, as they are."""
    from scslib.datasets.folder import index_folder

    _show(index_folder(folder, out, **options))


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


@main.group(cls=_OneLine)
def bench() -> None:
    """Measure again what things cost, on this machine."""


def _measured(function):
    options = [
        click.option("--quick", is_flag=True, help="Seconds, not minutes: shows that it runs."),
        click.option(
            "--videos", type=click.Path(path_type=Path), help="Made videos are kept here; data/bench."
        ),
        click.option(
            "--out", type=click.Path(path_type=Path), help="The CSV; benchmarks/results/NAME.csv."
        ),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def _bench_folder(videos: Path | None) -> Path:
    from scslib.workspace import resolve

    return videos or resolve("bench", "data")


def _tell(table, name: str, out: Path | None, shown: list[str], **options) -> None:
    """Write the table with all that belongs to it, and print its main columns."""
    from scslib.bench.tables import command, save, with_provenance

    path = save(with_provenance(table, command(name, **options)), name, out)
    text = table[shown].to_string(index=False, na_rep="", float_format="{:.4g}".format)
    click.echo(f"{text}\n\nwrote {path}")


@bench.command()
@click.option(
    "--source",
    "sources",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Take the pictures from this file; repeat for more. Else they are drawn.",
)
@click.option("--rounds", type=int, default=5, show_default=True, help="Medians over so many.")
@_measured
def extract(sources, rounds: int, quick: bool, videos: Path | None, out: Path | None) -> None:
    """This reader against other tools: processor time of 1,000 frames on one core."""
    from scslib.bench.extract import SHOWN, bench_extract

    table = bench_extract(_bench_folder(videos), sources=sources, rounds=rounds, quick=quick)
    _tell(table, "extract", out, SHOWN, source=sources, rounds=None if quick else rounds, quick=quick)


@bench.command()
@click.option("--workers", type=int, multiple=True, default=(1, 2), show_default=True, help="Processes.")
@click.option("--rounds", type=int, default=3, show_default=True, help="Medians over so many.")
@_measured
def scale(workers, rounds: int, quick: bool, videos: Path | None, out: Path | None) -> None:
    """Time and memory against a video's length, the number of videos, and of processes."""
    from scslib.bench.scale import SHOWN, bench_scale

    table = bench_scale(_bench_folder(videos), workers=workers, rounds=rounds, quick=quick)
    _tell(table, "scale", out, SHOWN, workers=workers, rounds=None if quick else rounds, quick=quick)


@bench.command()
@click.option("--codec", "codecs", multiple=True, default=("mpeg4", "h264"), show_default=True)
@click.option("-k", type=int, default=10, show_default=True, help="How many clips.")
@click.option("--device", default="cpu", show_default=True, help="Where the networks run, e.g. cuda.")
@_measured
def runtime(codecs, k: int, device: str, quick: bool, videos: Path | None, out: Path | None) -> None:
    """The slides' rows on a video of 5 min 36 s with the full-size MC3-18: seconds by stage."""
    from scslib.bench.runtime import SHOWN, bench_runtime

    table = bench_runtime(_bench_folder(videos), codecs=codecs, k=k, device=device, quick=quick)
    _tell(table, "runtime", out, SHOWN, codec=codecs, k=k, device=device, quick=quick)
