"""`scs data`: makers of dataset folders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click


@click.group()
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
