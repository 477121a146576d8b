"""`scs data prepare`: a dataset encoded again as the paper's was (sec. 3.1, 5.1).

Short side, an I-frame every `gop` frames, no B-frames, sound kept. A video that is so already is
linked, not encoded again; one that is done is not done again, so that a broken run goes on.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scslib.datasets.listing import place
from scslib.datasets.manifest import Dataset, DatasetError, load_dataset, write_dataset
from scslib.datasets.sources import Source, write_left_out
from scslib.parallel import map_processes
from scslib.video.probe import VideoError, index_clips, probe
from scslib.video.recode import Recoding, recode

SETTING = Recoding(short_side=256, gop=12, codec="h264", quality=23)


def prepare(
    source: str | Path, folder: str | Path, setting: Recoding = SETTING, *, workers: int = 0
) -> Dataset:
    """Make the dataset `folder` of the dataset `source`, its videos encoded by `setting`.

    A smaller video is not made larger. Videos that cannot be read are left out by name: `left_out.csv`,
    and `notes` in dataset.json; times in segments.csv count from a video's first picture. Raises
    `DatasetError` where `folder` lies in `source` or holds what was prepared otherwise.
    """
    dataset, folder = load_dataset(source), Path(folder)
    if folder.resolve().is_relative_to(dataset.folder.resolve()):
        raise DatasetError(f"{folder}: must not lie inside {dataset.folder}")
    made_with = {"source": str(dataset.name), **asdict(setting)}
    _begin(folder, made_with)
    paths = dataset.videos["path"].tolist()
    jobs = [
        (dataset.folder / path, folder, path, name, setting)
        for path, name in zip(paths, _names(paths), strict=True)
    ]
    done = list(map_processes(_prepare, jobs, workers=workers, title="encoding"))
    videos = dataset.videos.assign(path=[d.path for d in done])
    good = np.array([not d.problem for d in done])
    lost = [
        Source(dataset.folder, p, problem=d.problem)
        for p, d in zip(paths, done, strict=True)
        if d.problem
    ]
    begin = dict(zip(videos["video_id"], [d.begin_s for d in done], strict=True))
    segments = dataset.segments[dataset.segments["video_id"].isin(videos["video_id"][good])].copy()
    for column in ("start_s", "end_s"):
        shift = segments["video_id"].map(begin).astype(float)  # no rows have no type
        segments[column] = (segments[column] - shift).clip(lower=0)
    linked = sum(d.linked for d in done)
    notes = [f"{linked} of {len(done)} videos are so already and were not encoded again"] * (linked > 0)
    return write_dataset(
        folder,
        name=dataset.name,
        classes=dataset.classes,
        videos=videos[good],
        segments=segments if len(dataset.segments) else None,
        licence=dataset.about.get("licence", ""),
        origin=f"prepared by scslib.datasets.prepare; {dataset.about.get('origin', '')}",
        made_with=made_with,
        left_out=len(lost),
        notes=notes + write_left_out(folder, lost),
    )


def fits(path: str | Path, setting: Recoding) -> bool:
    """Whether a video is as `setting` would make it: codec, size, upright, GOP, no B-frames."""
    info, index = probe(path), index_clips(path)
    side = min(info.width, info.height)
    if info.codec != setting.codec or not info.as_stored or info.reordered:
        return False
    if setting.short_side and side > setting.short_side:
        return False
    *groups, last = np.diff(np.flatnonzero([*index.key, True]))
    return bool(index.key[0] and last <= setting.gop and all(g == setting.gop for g in groups))


def _begin(folder: Path, made_with: dict) -> None:
    """Note the setting in the folder, or refuse it where another one is noted."""
    folder.mkdir(parents=True, exist_ok=True)
    note, text = folder / "prepare.json", json.dumps(made_with, indent=2) + "\n"
    if note.is_file() and note.read_text(encoding="utf-8") != text:
        raise DatasetError(f"{note}: was prepared otherwise; take another folder")
    if (folder / "dataset.json").exists() and not note.is_file():
        raise DatasetError(f"{folder}: holds another dataset")
    note.write_text(text, encoding="utf-8")


class _Done(NamedTuple):
    """Where a video lies now, and the time of its first picture in the source; or its `problem`."""

    path: str = ""
    begin_s: float = 0.0
    linked: bool = False
    problem: str = ""


def _prepare(job: tuple[Path, Path, str, str, Recoding]) -> _Done:
    source, folder, path, name, setting = job
    try:
        if fits(source, setting):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            place(source, folder / path, link=True)
            return _Done(path, linked=True)
        index, info, target = index_clips(source), probe(source), folder / name
        if not target.is_file() or os.stat(target).st_mtime_ns < os.stat(source).st_mtime_ns:
            target.parent.mkdir(parents=True, exist_ok=True)
            side = min(setting.short_side or info.height, info.width, info.height)
            recode(source, target, setting=replace(setting, short_side=side))
        return _Done(name, begin_s=float(index.pts[0] * index.time_base))
    except (VideoError, OSError) as error:
        return _Done(problem=str(error).removeprefix(f"{source.resolve()}: "))


def _names(paths: Sequence[str]) -> list[str]:
    """The paths with the suffix .mp4; where two would be the same, after their own one."""
    stems = [str(Path(path).with_suffix("")) for path in paths]
    often = Counter(stems)
    return [
        f"{stem}.mp4" if often[stem] == 1 else f"{path}.mp4"
        for stem, path in zip(stems, paths, strict=True)
    ]
