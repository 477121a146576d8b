"""`scs data prepare`: encode a dataset again as in the paper (sec. 3.1, 5.1).

Short side, an I-frame every `gop` frames, no B-frames, sound kept. A video that is so already is
linked, not encoded again; one that is done is not done again, so that a broken run goes on.
FOLDER/shards has a status for each (see `shards`).
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd

from scslib.datasets.classes import say_shortages
from scslib.datasets.copies import copies_note, without_copies
from scslib.datasets.manifest import Dataset, DatasetError, load_dataset, write_dataset
from scslib.datasets.public.listing import place
from scslib.datasets.sources import Source, write_left_out
from scslib.jobs.files import lies_in, replacing_if_other, short_file_name
from scslib.jobs.fingerprint import code_of
from scslib.jobs.keys import OLDER, Key
from scslib.jobs.shards import Read, Shards, Video, run_shards
from scslib.video.clips import ClipIndex, expected_clips, index_clips
from scslib.video.recode import Recoding, recode

SETTING = Recoding(short_side=256, gop=12, codec="h264", quality=23)


def prepare(
    source: str | Path, folder: str | Path, setting: Recoding = SETTING, *, workers: int = 0
) -> Dataset:
    """Make the dataset `folder` of the dataset `source`, its videos encoded by `setting`.

    A smaller video is not made larger. Videos that cannot be read, and copies of others, are left out by
    name: `left_out.csv`, and `notes` in dataset.json; times in segments.csv count from a video's first
    picture. Raises `DatasetError` where `folder` lies in `source` or holds what was prepared otherwise.
    """
    dataset, folder = load_dataset(source), Path(folder)
    if lies_in(dataset.folder, folder):
        raise DatasetError(f"{folder}: must not lie inside {dataset.folder}")
    made_with = {"source": str(dataset.name), **asdict(setting)}
    _begin(folder, made_with)
    say_shortages(dataset.videos)
    rows, copies = _without_copies(dataset)
    names = dict(zip(rows["video_id"], _names(rows["path"].tolist()), strict=True))
    jobs = [
        Video(video_id, dataset.folder / path, {"path": path, "name": names[video_id]})
        for video_id, path in zip(rows["video_id"], rows["path"], strict=True)
    ]
    key, kept = Key("encoding videos", made_with, code_of(_prepare)), folder / "key.json"
    anew = key.begin_files(kept, exist=any((folder / job.own["name"]).is_file() for job in jobs))
    done = run_shards(
        _prepare,
        jobs,
        folder / "shards" / "prepare",
        params={"folder": str(folder.resolve()), "setting": asdict(setting)},
        given={"anew": anew},
        workers=workers,
        title="encoding",
        made=_made,
    )
    if anew:
        key.write(kept, again=key.why_again([kept]) or OLDER)
    good = np.array([video_id in done for video_id in rows["video_id"]])
    linked = [
        video_id in done and bool(done.get(video_id, "linked")[0]) for video_id in rows["video_id"]
    ]
    videos = rows.assign(path=rows["path"].where(linked, rows["video_id"].map(names)))
    lost = copies + [
        Source(dataset.folder, job.own["path"], problem=_plain(job.path, reason))
        for job, reason in zip(jobs, done.status["reason"], strict=True)
        if job.video_id not in done
    ]
    segments = _segments(dataset, done, videos["video_id"][good])
    notes = _notes(done, len(rows), sum(linked))
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
        notes=notes + copies_note(copies) + write_left_out(folder, lost),
    )


def _segments(dataset: Dataset, done: Shards, video_ids: pd.Series) -> pd.DataFrame:
    """The segments of these videos, from the first pictures of what was made of them."""
    begin = {video_id: done.get(video_id, "begin_s")[0] for video_id in video_ids}
    segments = dataset.segments[dataset.segments["video_id"].isin(video_ids)].copy()
    for column in ("start_s", "end_s"):
        shift = segments["video_id"].map(begin).astype(float)  # no rows have no type
        segments[column] = (segments[column] - shift).clip(lower=0)
    return segments


def _notes(done: Shards, videos: int, linked: int) -> list[str]:
    notes, part = [], int((done.status["status"] == "partial").sum())
    if linked:
        notes.append(f"{linked} of {videos} videos are so already and were not encoded again")
    if part:
        notes.append(f"{part} of {videos} videos break off and are shorter than they declare")
    return notes


def _without_copies(dataset: Dataset) -> tuple[pd.DataFrame, list[Source]]:
    """(the rows of the videos, those that are copies of others): see `copies.without_copies`.

    Raises `DatasetError` where a class has no other training video.
    """
    rows = dataset.videos
    there = [Source(dataset.folder, row.path, row.label) for row in rows.itertuples()]
    kept, copies = without_copies(there, rows["split"].tolist())
    rows = rows[rows["path"].isin([source.name for source in kept])].reset_index(drop=True)
    for label in set(dataset.classes) - set(rows.loc[rows["split"] == "train", "label"]):
        raise DatasetError(f"{dataset.folder}: class {label!r} has nothing but copies to train on")
    return rows, copies


def fits(index: ClipIndex, setting: Recoding) -> bool:
    """Tell whether a video is as `setting` would make it: codec, size, upright, GOP, no B-frames."""
    info = index.info
    side = min(info.width, info.height)
    if info.codec != setting.codec or not info.as_stored or info.reordered or index.joins:
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


def _prepare(path: Path, params: dict) -> Read:
    """Encode or link one video. Arrays: whether it was linked, and the time of its first picture."""
    folder, setting = Path(params["folder"]), Recoding(**params["setting"])
    index, begin_s = index_clips(path), 0.0
    linked = fits(index, setting)
    if linked:
        target = folder / params["path"]
        target.parent.mkdir(parents=True, exist_ok=True)
        place(path, target, link=True)
    else:
        target, info = folder / params["name"], index.info
        old = not target.is_file() or os.stat(target).st_mtime_ns < os.stat(path).st_mtime_ns
        if old or params["anew"]:
            side = min(setting.short_side or info.height, info.width, info.height)
            with replacing_if_other(target) as part:
                recode(index, part, setting=replace(setting, short_side=side))
        begin_s = float(index.pts[0] * index.time_base)
    arrays = {"linked": np.array([linked]), "begin_s": np.array([begin_s])}
    return Read(arrays, len(index), expected_clips(index), index.missing, index.note)


def _made(video: Video, params: dict) -> bool:
    """Whether the file that was made of a video is still there."""
    folder = Path(params["folder"])
    return (folder / video.own["path"]).is_file() or (folder / video.own["name"]).is_file()


def _plain(path: Path, reason: str) -> str:
    return reason.removeprefix(f"{path.resolve()}: ").removeprefix(f"{path}: ")


def _names(paths: Sequence[str]) -> list[str]:
    """The paths with the suffix .mp4, long ones cut; where two would be equal, after their own one."""
    stems = [str(Path(path).with_name(short_file_name(Path(path).stem))) for path in paths]
    often = Counter(stems)
    return [
        f"{stem}.mp4" if often[stem] == 1 else f"{path}.mp4"
        for stem, path in zip(stems, paths, strict=True)
    ]
