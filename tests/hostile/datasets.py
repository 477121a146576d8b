"""Datasets whose tables lead out of their folder, or make no sense."""

from __future__ import annotations

import json
from pathlib import Path

from scslib.datasets.manifest import load_dataset
from tests.hostile.corpus import SCRIPT, Place, hostile
from tests.support import mutate


def _dataset(place: Place, *, about: object = None, **columns: str) -> Path:
    """A dataset of two videos, with other values in the columns of the second."""
    folder = place.folder / "data"
    (folder / "videos").mkdir(parents=True)
    (folder / "videos" / "a.mp4").write_bytes(mutate.good()["mpeg4.mp4"])
    row = {"video_id": "b", "path": "videos/a.mp4", "label": "hop", "split": "test"} | columns
    lines = [",".join(row), "a,videos/a.mp4,hop,train", ",".join(row.values())]
    (folder / "videos.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    text = about if isinstance(about, str) else json.dumps(about or {"name": "d", "classes": ["hop"]})
    (folder / "dataset.json").write_text(text, encoding="utf-8")
    return folder


@hostile("dataset")
def dotted_path(place: Place):
    """a path with .. in videos.csv | is read | `leads out of the dataset's folder`"""
    folder = _dataset(place, path="videos/../../../outside/secret.mp4")
    return lambda: load_dataset(folder)


@hostile("dataset")
def absolute_path(place: Place):
    """an absolute path in videos.csv | is read | `leads out of the dataset's folder`"""
    folder = _dataset(place, path=str(place.secret))
    return lambda: load_dataset(folder)


@hostile("dataset")
def linked_video(place: Place):
    """a video that is a link to a file outside | is read | `leads out of the dataset's folder`"""
    folder = _dataset(place, path="videos/b.mp4")
    (folder / "videos" / "b.mp4").symlink_to(place.secret)
    return lambda: load_dataset(folder)


@hostile("dataset")
def linked_table(place: Place):
    """a videos.csv that is a link to a file outside | its first line is shown in the error | `leads
    out of the dataset's folder`"""
    folder = _dataset(place)
    (folder / "videos.csv").unlink()
    (folder / "videos.csv").symlink_to(place.secret)
    return lambda: load_dataset(folder)


@hostile("dataset")
def id_as_path(place: Place):
    """a video_id of ../../outside/pwned | what is made of the video is written there | `must be a
    plain name`"""
    folder = _dataset(place, video_id="../../outside/pwned")
    return lambda: load_dataset(folder)


@hostile("dataset")
def deep_json(place: Place):
    """a dataset.json with brackets 100,000 deep | overflows the parser's stack | `not JSON`"""
    folder = _dataset(place, about="[" * 100_000)
    return lambda: load_dataset(folder)


@hostile("dataset")
def odd_classes(place: Place):
    """a dataset.json whose classes are objects | ends in a traceback | `classes must be a list of
    names`"""
    folder = _dataset(place, about={"classes": [{"hop": 1}], "name": SCRIPT})
    return lambda: load_dataset(folder)


@hostile("dataset")
def endless_segment(place: Place):
    """a segment that ends at infinity | ends in a traceback, or a picture without end | `start_s
    and end_s must be numbers`"""
    folder = _dataset(place)
    (folder / "segments.csv").write_text("video_id,start_s,end_s\na,0,inf\n")
    return lambda: load_dataset(folder)
