"""`scs data`: make dataset folders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from scslib.cli.engine import engine_options


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
@click.option("--silent-share", type=float, help="Part of the videos without an audio track, 0..1.")
@_encoding
def synth(out: Path, workers: int, **options) -> None:
    """Make long synthetic videos with sound in OUT."""
    from scslib.datasets.synthetic.make import make_synthetic
    from scslib.datasets.synthetic.plan import Synthetic

    click.echo(make_synthetic(out, _filled(Synthetic(), options), workers=workers))


@data.command()
@click.argument("clips", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--distractors", type=click.Path(path_type=Path), required=True, help="Any other videos.")
@click.option("--group-pattern", help="Regular expression; its first group is a file's group.")
@click.option("--test-group", "test_groups", multiple=True, help="A group for test; repeat for more.")
@click.option("--test-share", type=float, help="Share of the groups for test, if none are named.")
@click.option("--hard-share", type=float, help="Part of the rest that shows other classes, 0..1.")
@click.option("--most-share", type=float, help="No distractor is in more of a part's videos, 0..1.")
@click.option("--most-times", type=int, help="No distractor comes more often in one video.")
@click.option("--distractor-pattern", help="Regular expression; its first group is their source.")
@click.option("--held-out", type=float, help="Share of the training videos that f does not see.")
@click.option("--validation", type=float, help="Share of these to choose settings by.")
@click.option("--sound", type=click.Choice(["keep", "silence"]))
@_encoding
def compose(clips: Path, out: Path, distractors: Path, workers: int, **options) -> None:
    """Make long untrimmed videos in OUT from trimmed ones: CLIPS/<class>/*."""
    from scslib.datasets.compose import make_composed
    from scslib.datasets.composition import Composition

    options["test_groups"] = options["test_groups"] or None  # none named: a share of them
    spec = _filled(Composition(), options)
    _show(make_composed(clips, out, spec, distractors=distractors, workers=workers))


@data.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--test-share", type=float, default=0.3, show_default=True)
@click.option("--group-pattern", help="Regular expression; its first group is a file's group.")
@click.option("--seed", type=int, default=0, show_default=True)
def index(folder: Path, out: Path, test_share: float, group_pattern: str | None, seed: int) -> None:
    """Make a dataset of your own videos: FOLDER/<class>/*, as they are."""
    from scslib.datasets.folder import index_folder

    _show(index_folder(folder, out, test_share=test_share, group_pattern=group_pattern, seed=seed))


def _listed(source, *options):
    """A command that makes OUT of videos by a list: `source` names the videos or the list."""
    out = click.argument("out", type=click.Path(path_type=Path))
    shared = (
        click.option("--copy", is_flag=True, help="Copy the videos; else they are hard links."),
        click.option("--workers", type=int, default=0, help="Processes; 0: one a core."),
    )

    def decorate(function):
        for option in reversed((source, out, *options, *shared)):
            function = option(function)
        return function

    return decorate


def _write(listing, out: Path, copy: bool, workers: int) -> None:
    from scslib.datasets.public.listing import write_listing

    _show(write_listing(listing, out, link=not copy, workers=workers))


_videos = click.argument("videos", type=click.Path(path_type=Path))
_lists = click.option("--lists", type=click.Path(path_type=Path), required=True, help="Their folder.")
_fold = click.option("--fold", type=click.IntRange(1, 3), default=1, show_default=True)


@data.command()
@_listed(_videos, _lists, _fold)
def ucf101(videos: Path, out: Path, lists: Path, fold: int, copy: bool, workers: int) -> None:
    """Make a dataset of UCF101 by its official lists."""
    from scslib.datasets.public.ucf101 import read_ucf101

    _write(read_ucf101(videos, lists, fold=fold), out, copy, workers)


@data.command()
@_listed(_videos, _lists, _fold)
def hmdb51(videos: Path, out: Path, lists: Path, fold: int, copy: bool, workers: int) -> None:
    """Make a dataset of HMDB51 by its official lists."""
    from scslib.datasets.public.hmdb51 import read_hmdb51

    _write(read_hmdb51(videos, lists, fold=fold), out, copy, workers)


@data.command()
@_listed(_videos, _lists)
def kinetics(videos: Path, out: Path, lists: Path, copy: bool, workers: int) -> None:
    """Make a dataset of Kinetics by train.csv and val.csv.

    val.csv is the test split here.
    """
    from scslib.datasets.public.kinetics import read_kinetics

    _write(read_kinetics(videos, lists), out, copy, workers)


@data.command()
@_listed(
    _videos,
    _lists,
    click.option("--per-class-train", type=int, help="At most so many; else all that exist."),
    click.option("--per-class-test", type=int, help="At most so many; else all that exist."),
    click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same draw."),
)
def sports1m(
    videos: Path,
    out: Path,
    lists: Path,
    copy: bool,
    workers: int,
    per_class_train: int | None,
    per_class_test: int | None,
    seed: int,
) -> None:
    """Make a dataset of Sports1M, or draw a miniSports from it."""
    from scslib.datasets.public.sports1m import read_sports1m

    listing = read_sports1m(
        videos, lists, per_class_train=per_class_train, per_class_test=per_class_test, seed=seed
    )
    _write(listing, out, copy, workers)


@data.command()
@_listed(_videos, click.option("--annotations", type=click.Path(path_type=Path), required=True))
def activitynet(videos: Path, out: Path, annotations: Path, copy: bool, workers: int) -> None:
    """Make a dataset of ActivityNet 1.3; its validation is the test split here."""
    from scslib.datasets.public.activitynet import read_activitynet

    _write(read_activitynet(videos, annotations), out, copy, workers)


@data.command("table")
@_listed(
    click.argument("csv", type=click.Path(path_type=Path)),
    click.option("--videos", type=click.Path(path_type=Path), help="Else the folder of CSV."),
    click.option("--test-share", type=float, default=0.3, show_default=True),
    click.option("--seed", type=int, default=0, show_default=True),
)
def table(
    csv: Path,
    out: Path,
    videos: Path | None,
    copy: bool,
    workers: int,
    test_share: float,
    seed: int,
) -> None:
    """Make a dataset of any videos by CSV: path,label[,split,video_id,group]."""
    from scslib.datasets.table import read_video_table

    listing = read_video_table(csv, videos, test_share=test_share, seed=seed)
    _write(listing, out, copy, workers)


@data.command("prepare")
@click.argument("dataset", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--short-side", type=int, help="Pixels; 0 keeps the size, and no video is made larger.")
@click.option("--gop", type=int, help="Frames from one I-frame to the next.")
@click.option("--codec", type=click.Choice(["h264", "mpeg4"]))
@click.option("--quality", type=int, help="CRF (h264) or quantiser (mpeg4); lower is better.")
@click.option("--workers", type=int, default=0, help="Processes; 0: one a core.")
@engine_options
def prepare_command(dataset: Path, out: Path, workers: int, **options) -> None:
    """Encode a dataset as the paper's was: short side 256, GOP of 12, no B-frames, sound kept."""
    from scslib.datasets.prepare import SETTING, prepare

    given = {name: value for name, value in options.items() if value is not None}
    _show(prepare(dataset, out, replace(SETTING, **given), workers=workers))


@data.command("download")
@click.argument("name")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
def fetch_files(name: str, folder: Path) -> None:
    """Fetch a public dataset's lists: ucf101, hmdb51, kinetics400, sports1m, activitynet, ..."""
    from scslib.datasets.public.remote import fetch

    for line in fetch(name, folder):
        click.echo(line)
