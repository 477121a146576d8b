"""`scs sample` and `scs export`: trained samplers on any video."""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from scslib.cli.engine import DEVICE, engine_options

NEEDS_RUN = """a trained sampler is needed: --run RUN, or a file that scs export has made.
One from some twenty of your recordings: docs/own_video.md; one from drawn video: make tutorial."""


@click.command("sample")
@click.argument("videos", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--run", help="A run's folder, its name under runs/, or an exported file.")
@click.option("-k", type=int, default=10, show_default=True, help="How many clips.")
@click.option(
    "--sampler",
    default="audio-visual",
    show_default=True,
    help="Or audio, visual, cascade (which reads as little of a video as it can), one of a plugin; "
    "with a policy: audio-visual+cdf3.",
)
@click.option(
    "--plugin",
    "plugins",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A file of yours with samplers, policies or readers; its code is run.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Which of the run's samplers.")
@click.option("--csv", type=click.Path(path_type=Path), help="The table, instead of printing it.")
@click.option("--json", "lines", type=click.Path(path_type=Path), help="A JSON object a line and video.")
@click.option(
    "--frames",
    nargs=2,
    type=(click.IntRange(1), click.Path(path_type=Path)),
    help="N FILE: numbers and seconds of N frames of the K clips, a JSON object a line and video.",
)
@click.option("--sheet", type=click.Path(path_type=Path), help="Contact sheet: F.png, or a folder.")
@click.option("--clips", type=click.Path(path_type=Path), help="Cut the K clips out, into this folder.")
@click.option(
    "--highlights", type=click.Path(path_type=Path), help="The K clips as one: F.mp4, or a folder."
)
@click.option("--status", type=click.Path(path_type=Path), help="A row for each video, as CSV.")
@click.option(
    "--keep", type=click.Path(path_type=Path), help="Keep what is found here, and go on from it."
)
@click.option("--require-complete", is_flag=True, help="A video read only in part is an error, too.")
@click.option("--workers", type=int, default=0, help="Processes; 0, one for each core.")
@DEVICE
@engine_options
def sample_command(
    videos,
    run,
    k,
    sampler,
    plugins,
    seed,
    csv,
    lines,
    frames,
    sheet,
    clips,
    highlights,
    status,
    keep,
    require_complete,
    workers,
    device,
) -> None:
    """The K most salient clips of any VIDEOS (files, or folders of them).

    Of several videos --sheet and --highlights name folders.
    """
    from scslib.sampling.many_videos import Wanted, sample_files

    if not run and _needs_run(sampler, plugins):
        raise click.ClickException(NEEDS_RUN)
    if k < 1:
        raise ValueError(f"k ({k}) must be > 0")
    files = list(_files(videos))
    for option, path, suffix in (("--sheet", sheet, ".png"), ("--highlights", highlights, ".mp4")):
        if path and path.suffix == suffix and len(files) > 1:
            raise ValueError(f"{option} ({path}) must be a folder for {len(files)} videos")
    shown, frames_file = frames or (0, None)
    wanted = Wanted(k, sampler, _whole(clips), _whole(sheet), _whole(highlights), shown)
    outputs = {"csv": csv, "json": lines, "status": status, "frames": frames_file}
    _check_tables({name: path for name, path in outputs.items() if path}, files)
    named = list(zip(files, _names(files), strict=True))
    with _folder(keep) as folder:
        sampled = sample_files(
            named, run, folder, wanted, seed=seed, plugins=plugins, device=device, workers=workers
        )
        made = list(sampled)
    for one in made:
        _say(one, sampler)
    tables = [one.table for one in made if one.table is not None]
    if tables:
        _write(tables, csv, lines, (clips, sheet, highlights))
    if frames_file:
        _put(frames_file, "".join(_frames_line(one) for one in made if one.frames))
    if status:
        _write_status(status, made)
    lost, part = len(made) - len(tables), sum(one.status == "partial" for one in made)
    if lost and len(made) > 1:
        click.echo(f"{lost} of {len(made)} videos could not be read", err=True)
    if part and require_complete:
        click.echo(f"{part} of {len(made)} videos could be read only in part", err=True)
    if lost or (part and require_complete):
        sys.exit(1)


@click.command("export")
@click.argument("run")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--seed", type=int, default=0, show_default=True, help="Which of the run's samplers.")
def export_command(run: str, path: Path, seed: int) -> None:
    """Write all samplers of RUN into the one FILE (.safetensors), to be used elsewhere."""
    import scslib

    click.echo(f"wrote {scslib.export(run, path, seed=seed)}")


def _needs_run(sampler: str, plugins: Sequence[Path]) -> bool:
    from scslib.samplers.plugins import load_plugins
    from scslib.samplers.registry import sampler_names
    from scslib.samplers.set_policies import split_method

    load_plugins(plugins)
    return split_method(sampler)[0] in sampler_names("networks", "targets", "fitted")


def _files(videos: Sequence[Path]) -> Iterator[Path]:
    """Files as they are given; of a folder all below it that may be videos, in order."""
    from scslib.datasets.sources import all_files, beside_note

    for video in videos:
        if video.is_dir():
            found, nameless = all_files(video)
            yield from (source.path for source in found)
            for line in beside_note(video) + [f"{s.name}: {s.problem}" for s in nameless]:
                click.echo(f"{video}: {line}", err=True)
        else:
            yield video


def _whole(path: Path | None) -> str:
    return str(path.absolute()) if path else ""


def _names(files: Sequence[Path]) -> list[str]:
    """What is made of a video is named after it; long names are cut, and equal ones numbered."""
    from scslib.jobs.files import short_file_name

    stems = [short_file_name(file.stem) for file in files]
    often = Counter(stem.casefold() for stem in stems)
    seen: Counter[str] = Counter()
    names = []
    for stem in stems:
        plain = stem.casefold()
        if often[plain] > 1:
            seen[plain] += 1
            while often[f"{plain}-v{seen[plain]}"]:  # another file is called so
                seen[plain] += 1
            stem = f"{stem}-v{seen[plain]}"
        names.append(stem)
    return names


def _check_tables(tables: dict[str, Path], videos: Sequence[Path]) -> None:
    """Whether the tables can be written at the end, and take the place of nothing."""
    from scslib.jobs.files import check_file, is_device

    taken = {path.resolve(): "one of the videos" for path in videos}
    for option, path in tables.items():
        if is_device(path):
            continue
        if other := taken.get(path.resolve()):
            raise ValueError(f"--{option} ({path}): is {other}")
        taken[path.resolve()] = f"written by another option ({option})"
        check_file(path, what=f"--{option}")


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    from scslib.jobs.files import check_folder

    if keep:
        check_folder(keep, what="--keep")
        keep.mkdir(parents=True, exist_ok=True)
        yield keep
    else:
        with tempfile.TemporaryDirectory(prefix="scs-sample-") as folder:
            yield Path(folder)


def _say(one, asked: str) -> None:
    """What a user must know of a video besides its rows."""
    if one.table is None:
        click.echo(f"Error: {one.reason}", err=True)
        return
    chose = one.table["sampler"].iloc[0]
    if chose != asked:
        click.echo(f"{one.video}: no sound, so the {chose} sampler chose", err=True)
    if one.status == "partial":
        click.echo(f"{one.video}: broken off; {one.reason}", err=True)
    if one.note:
        click.echo(f"{one.video}: {one.note}", err=True)


def _write(tables: list, csv: Path | None, lines: Path | None, written: Sequence[Path | None]) -> None:
    """Write the tables, and say what else was written."""
    import pandas as pd

    if csv or not lines:
        _put(csv, pd.concat(tables).to_csv(index=False, float_format="%.4f"))
    if lines:
        _put(lines, "".join(_line(table) for table in tables))
    for path in filter(None, written):
        click.echo(f"wrote {path}", err=True)  # the standard output may have the tables


def _write_status(path: Path, made: list) -> None:
    import pandas as pd

    from scslib.jobs.files import write_text

    rows = [(str(one.video), one.status, one.reason) for one in made]
    table = pd.DataFrame(rows, columns=["video", "status", "reason"])
    write_text(path, table.to_csv(index=False))
    click.echo(f"wrote {path}", err=True)


def _put(path: Path | None, text: str) -> None:
    """Write a table; print it where there is no `path`, or where it can no longer be written."""
    from scslib.jobs.files import write_text

    written = False
    try:
        if path:
            write_text(path, text)
            written = True
    finally:
        click.echo(f"wrote {path}" if written else text.rstrip())  # better there than nowhere


def _line(table) -> str:
    """One video as a line of JSON: `video, sampler, clips`, and of each clip the other columns."""
    about = table[["video", "sampler"]].iloc[0].to_dict()
    clips = table.drop(columns=list(about)).round(4).to_dict("records")
    return json.dumps(about | {"clips": clips}, ensure_ascii=False) + "\n"


def _frames_line(one) -> str:
    """One video's frames as a line of JSON, in the words of transformers' `VideoMetadata`."""
    return json.dumps({"video": str(one.video)} | one.frames, ensure_ascii=False) + "\n"
