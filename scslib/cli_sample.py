"""`scs sample` and `scs export`: trained samplers on any video."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import click


@click.command()
@click.argument("videos", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--run", required=True, help="A run's folder, its name under runs/, or an exported file.")
@click.option("-k", type=int, default=10, show_default=True, help="How many clips.")
@click.option(
    "--sampler",
    default="audio-visual",
    show_default=True,
    help="Or audio, visual, cascade (which reads as little of a video as it can).",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Which of the run's samplers.")
@click.option("--csv", type=click.Path(path_type=Path), help="The table, instead of printing it.")
@click.option("--json", "lines", type=click.Path(path_type=Path), help="A JSON object a line and video.")
@click.option("--sheet", type=click.Path(path_type=Path), help="Contact sheet: F.png, or a folder.")
@click.option("--clips", type=click.Path(path_type=Path), help="Cut the K clips out, into this folder.")
@click.option(
    "--highlights", type=click.Path(path_type=Path), help="The K clips as one: F.mp4, or a folder."
)
def sample(videos, run, k, sampler, seed, csv, lines, sheet, clips, highlights) -> None:
    """The K most salient clips of any VIDEOS (files, or folders of them).

    Of several videos --sheet and --highlights name folders.
    """
    import matplotlib.pyplot as plt
    from tqdm import tqdm

    import scslib
    from scslib.video.probe import VideoError

    files = list(_files(videos))
    for option, path, suffix in (("--sheet", sheet, ".png"), ("--highlights", highlights, ".mp4")):
        if path and path.suffix == suffix and len(files) > 1:
            raise ValueError(f"{option} ({path}) must be a folder for {len(files)} videos")
    trained, made, failed = scslib.load_trained(run, seed=seed), [], 0
    progress = tqdm(files, unit="video", disable=None if len(files) > 1 else True, leave=False)
    try:
        for video, name in zip(progress, _names(files), strict=True):
            try:
                picked = scslib.sample(video, k=k, sampler=trained, method=sampler)
                made.append(picked.cut(clips, name) if clips else picked.table)
                if sheet:
                    figure = picked.sheet()
                    figure.savefig(_place(sheet, name, ".png"), dpi=110)
                    plt.close(figure)  # of thousands of videos none must stay in memory
                if highlights:
                    picked.highlights(_place(highlights, name, ".mp4"))
            except VideoError as error:
                click.echo(f"Error: {error}", err=True)
                failed += 1
                continue
            if picked.sampler != sampler:
                click.echo(f"{video}: no sound, so the {picked.sampler} sampler chose", err=True)
            if picked.incomplete:
                click.echo(f"{video}: broken off; {picked.incomplete}", err=True)
    finally:  # of thousands of videos, what is done is not lost with the next one
        if made:
            _write(made, csv, lines)
    if failed:
        if len(files) > 1:
            click.echo(f"{failed} of {len(files)} videos could not be read", err=True)
        sys.exit(1)


@click.command()
@click.argument("run")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--seed", type=int, default=0, show_default=True, help="Which of the run's samplers.")
def export(run: str, path: Path, seed: int) -> None:
    """Write all samplers of RUN into the one FILE (.safetensors), to be used elsewhere."""
    import scslib

    click.echo(f"wrote {scslib.export(run, path, seed=seed)}")


def _files(videos: Sequence[Path]) -> Iterator[Path]:
    """Files as they are given; of a folder all files below it, in order, but for hidden ones."""
    from scslib.datasets.sources import all_files

    for video in videos:
        if video.is_dir():
            found, _ = all_files(video)
            yield from (source.path for source in found)
        else:
            yield video


def _names(files: Sequence[Path]) -> list[str]:
    """What is made of a video is named after it; where two have one name, numbered."""
    often, seen = Counter(file.stem for file in files), Counter()
    names = []
    for file in files:
        seen[file.stem] += 1
        names.append(f"{file.stem}-v{seen[file.stem]}" if often[file.stem] > 1 else file.stem)
    return names


def _place(target: Path, name: str, suffix: str) -> Path:
    if target.suffix == suffix:
        return target
    target.mkdir(parents=True, exist_ok=True)
    return target / f"{name}{suffix}"


def _write(tables: list, csv: Path | None, lines: Path | None) -> None:
    import pandas as pd

    if csv or not lines:
        text = pd.concat(tables).to_csv(csv, index=False, float_format="%.4f")
        click.echo(f"wrote {csv}" if csv else text.rstrip())
    if lines:
        lines.write_text("".join(_line(table) for table in tables), encoding="utf-8")
        click.echo(f"wrote {lines}")


def _line(table) -> str:
    """One video as a line of JSON: `video, sampler, clips`, and of each clip the other columns."""
    about = table[["video", "sampler"]].iloc[0].to_dict()
    clips = table.drop(columns=list(about)).round(4).to_dict("records")
    return json.dumps(about | {"clips": clips}, ensure_ascii=False) + "\n"
