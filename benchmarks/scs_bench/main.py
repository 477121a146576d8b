"""`python benchmarks`: measure again what things cost, on this machine."""

from __future__ import annotations

from pathlib import Path

import click

from scslib.cli.main import OneLine


@click.group(cls=OneLine)
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
    from scslib.jobs.run_folder import resolve

    return videos or resolve("bench", "data")


def _tell(table, name: str, out: Path | None, shown: list[str], **options) -> None:
    """Write the table with all that belongs to it, and print its main columns."""
    from scs_bench.tables import command, save, with_provenance

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
    from scs_bench.extract import SHOWN, bench_extract

    table = bench_extract(_bench_folder(videos), sources=sources, rounds=rounds, quick=quick)
    _tell(table, "extract", out, SHOWN, source=sources, rounds=None if quick else rounds, quick=quick)


@bench.command()
@click.option("--workers", type=int, multiple=True, default=(1, 2), show_default=True, help="Processes.")
@click.option("--rounds", type=int, default=3, show_default=True, help="Medians over so many.")
@_measured
def scale(workers, rounds: int, quick: bool, videos: Path | None, out: Path | None) -> None:
    """Time and memory against a video's length, the number of videos, and of processes."""
    from scs_bench.scale import SHOWN, bench_scale

    table = bench_scale(_bench_folder(videos), workers=workers, rounds=rounds, quick=quick)
    _tell(table, "scale", out, SHOWN, workers=workers, rounds=None if quick else rounds, quick=quick)


@bench.command()
@click.option("--rows", type=int, default=100_000, show_default=True, help="Videos of the manifest.")
@click.option("--workers", type=int, default=2, show_default=True, help="Processes.")
@_measured
def manifest(rows: int, workers: int, quick: bool, videos: Path | None, out: Path | None) -> None:
    """Whether a step on very many videos stays as quick and as small as it began."""
    from scs_bench.manifest import SHOWN, bench_manifest

    table = bench_manifest(_bench_folder(videos), rows=rows, workers=workers, quick=quick)
    _tell(table, "manifest", out, SHOWN, rows=None if quick else rows, workers=workers, quick=quick)


@bench.command()
@click.option("--codec", "codecs", multiple=True, default=("mpeg4", "h264"), show_default=True)
@click.option("-k", type=int, default=10, show_default=True, help="How many clips.")
@click.option("--device", default="cpu", show_default=True, help="Where the networks run, e.g. cuda.")
@click.option("--rounds", type=int, default=5, show_default=True, help="Medians over so many.")
@_measured
def runtime(
    codecs, k: int, device: str, rounds: int, quick: bool, videos: Path | None, out: Path | None
) -> None:
    """The slides' rows on a video of 5 min 36 s with the full-size MC3-18: seconds by stage."""
    from scs_bench.runtime import SHOWN, bench_runtime

    table = bench_runtime(
        _bench_folder(videos), codecs=codecs, k=k, device=device, rounds=rounds, quick=quick
    )
    options = {"codec": codecs, "k": k, "device": device, "rounds": None if quick else rounds}
    _tell(table, "runtime", out, SHOWN, **options, quick=quick)


@bench.command()
@click.option("--runtime", type=click.Path(path_type=Path), help="Else benchmarks/results/runtime.csv.")
@_measured
def estimate(runtime: Path | None, quick: bool, videos: Path | None, out: Path | None) -> None:
    """What Sports1M and Kinetics-400 would cost, from what `runtime` has measured."""
    from scs_bench.estimate import SHOWN, bench_estimate
    from scslib.jobs.run_folder import root
    from scslib.jobs.tables import read_table

    path = runtime or root() / "benchmarks" / "results" / "runtime.csv"
    if not path.is_file():
        raise ValueError(f"runtime ({path}) must be a table of python benchmarks runtime")
    _tell(bench_estimate(_bench_folder(videos), read_table(path)), "estimate", out, SHOWN)
