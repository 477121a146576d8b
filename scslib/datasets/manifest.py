"""The dataset format: a folder that every maker writes and all else reads.

dataset.json    name, classes (in the order of their labels), licence, origin
videos.csv      video_id, path, label, split      path relative to the folder; more columns allowed
segments.csv    video_id, start_s, end_s          optional: where the action is, half-open, seconds
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from scslib.datasets.classes import alike, alone, shortages
from scslib.jobs.files import lies_in
from scslib.jobs.shards import Video
from scslib.jobs.tables import TableError, read_texts

COLUMNS = ["video_id", "path", "label", "split"]


class DatasetError(ValueError):
    """A dataset folder that cannot be used; the message names the file and the value."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """A dataset folder that has been read and checked.

    videos: one row per video with `COLUMNS`; `label` is the class's name.
    segments: rows `video_id, start_s, end_s`; empty where nobody annotated them.
    """

    folder: Path
    name: str
    classes: tuple[str, ...]
    videos: pd.DataFrame
    segments: pd.DataFrame
    about: dict = field(default_factory=dict)

    def __repr__(self) -> str:
        splits = self.videos["split"].value_counts().to_dict()
        return f"Dataset({self.name!r}, {len(self.classes)} classes, videos: {splits})"

    def split(self, name: str) -> pd.DataFrame:
        """The videos of one split. Raises `DatasetError` where there are none."""
        rows = self.videos[self.videos["split"] == name]
        if rows.empty:
            have = sorted(self.videos["split"].unique())
            raise DatasetError(f"{self.folder / 'videos.csv'}: no videos in split {name!r} of {have}")
        return rows.reset_index(drop=True)

    def label_index(self, videos: pd.DataFrame) -> np.ndarray:
        """The position in `classes` of each video's class: (V,) int64."""
        return np.array([self.classes.index(label) for label in videos["label"]], dtype=np.int64)

    def path(self, video_id: str) -> Path:
        """The path of a video. Raises `KeyError` for an id that the dataset does not have."""
        return self.folder / self._paths[video_id]

    def segments_of(self, video_id: str) -> np.ndarray:
        """The annotated segments of one video: (S, 2) float64, start and end in seconds."""
        return self._spans.get(video_id, np.zeros((0, 2)))

    @cached_property
    def _paths(self) -> dict[str, str]:
        return dict(zip(self.videos["video_id"], self.videos["path"], strict=True))

    @cached_property
    def _spans(self) -> dict[str, np.ndarray]:
        groups = self.segments.groupby("video_id")[["start_s", "end_s"]]
        return {video_id: rows.to_numpy(float) for video_id, rows in groups}


def videos_of(dataset: Dataset, videos: pd.DataFrame) -> list[Video]:
    """Rows of `dataset.videos` as `run_shards` wants them."""
    rows = zip(videos["video_id"], videos["path"], strict=True)
    return [Video(video_id, dataset.folder / path) for video_id, path in rows]


def load_dataset(folder: str | Path) -> Dataset:
    """Read and check a dataset folder.

    Raises `DatasetError` with one line that names the file and the value: missing files or columns,
    duplicate ids, ids that are no names, labels that are not classes, a class without videos in train,
    classes that look alike, paths that leave the folder (also by links), or not one video that exists.
    Single missing videos are left to the reader, which counts them as failed.
    """
    folder = Path(folder)
    for name in ("dataset.json", "videos.csv", "segments.csv"):
        if not lies_in(folder, folder / name):
            raise DatasetError(f"{folder / name}: leads out of the dataset's folder")
    about = _read_json(folder / "dataset.json")
    _check_about(folder / "dataset.json", about)
    videos_csv = folder / "videos.csv"
    videos = _read_csv(videos_csv, COLUMNS)
    classes = tuple(about.get("classes") or sorted(videos["label"].unique()))
    if videos.empty:
        raise DatasetError(f"{videos_csv}: no videos")
    if double := videos.loc[videos["video_id"].duplicated(), "video_id"].tolist():
        raise DatasetError(f"{videos_csv}: video_id {double[0]!r} occurs twice")
    for column in COLUMNS:
        if videos[column].eq("").any():
            line = int(np.flatnonzero(videos[column].eq(""))[0]) + 2
            raise DatasetError(f"{videos_csv}: line {line}: {column} is empty")
    for video_id in videos["video_id"]:
        if {"/", "\\"} & set(video_id) or not video_id.strip(".") or not video_id.isprintable():
            raise DatasetError(f"{videos_csv}: video_id {video_id!r} must be a plain name")
    unknown = sorted(set(videos["label"]) - set(classes))
    if unknown:
        raise DatasetError(f"{videos_csv}: label {unknown[0]!r} is not a class of dataset.json")
    trained = set(videos.loc[videos["split"] == "train", "label"])
    for name in classes:
        if name not in trained:
            raise DatasetError(f"{videos_csv}: class {name!r} has no video in split 'train'")
    for path in videos["path"]:
        if not lies_in(folder, folder / path):
            raise DatasetError(f"{videos_csv}: path {path!r} leads out of the dataset's folder")
    if not any((folder / path).is_file() for path in videos["path"]):
        raise DatasetError(
            f"{videos_csv}: none of its {len(videos)} videos exists (first: {videos['path'][0]})"
        )
    if words := alike(classes):
        raise DatasetError(f"{videos_csv}: {words}")
    segments = pd.DataFrame(columns=["video_id", "start_s", "end_s"])
    if (folder / "segments.csv").is_file():
        segments = _read_csv(folder / "segments.csv", list(segments.columns))
        for column in ("start_s", "end_s"):
            segments[column] = pd.to_numeric(segments[column], errors="coerce")
        if not np.isfinite(segments[["start_s", "end_s"]].to_numpy(float)).all():
            raise DatasetError(f"{folder / 'segments.csv'}: start_s and end_s must be numbers")
        if lost := segments.loc[~segments["video_id"].isin(videos["video_id"]), "video_id"].tolist():
            some = f"{len(lost)} lines, first {lost[0]!r}; there are such as {videos['video_id'][0]!r}"
            raise DatasetError(f"{folder / 'segments.csv'}: video_id must be in videos.csv ({some})")
    return Dataset(folder, about.get("name", folder.name), classes, videos, segments, about)


def write_dataset(
    folder: str | Path,
    *,
    name: str,
    classes: Sequence[str],
    videos: pd.DataFrame,
    segments: pd.DataFrame | None = None,
    licence: str,
    origin: str,
    **more,
) -> Dataset:
    """Write the tables of a dataset whose videos lie in `folder` already. Then load and check it.

    `more` goes into dataset.json (how it was made: seed, parameters, encoding); its `notes` also say
    what a run will lack.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if short := shortages(videos):
        more["notes"] = [*more.get("notes", []), *short]
    about = {"name": name, "classes": list(classes), "licence": licence, "origin": origin, **more}
    videos.to_csv(folder / "videos.csv", index=False)
    if segments is not None:
        segments.to_csv(folder / "segments.csv", index=False, float_format="%.3f")
    # dataset.json comes last: a folder that has it is complete
    text = json.dumps(about, indent=2, ensure_ascii=False, default=str)
    (folder / "dataset.json").write_text(text + "\n", encoding="utf-8")
    return load_dataset(folder)


def sources_of(videos: pd.DataFrame) -> pd.Series:
    """The recording, (N,), that each of N videos comes from: its label and `group`, else itself."""
    if "group" not in videos:
        return videos["video_id"]
    return videos["label"] + "/" + videos["group"]


def hold_out(videos: pd.DataFrame, fraction: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Part training videos in two, class by class: (kept, held out), each in the order of `videos`.

    The clip classifier learns from the first part; its scores on the second are honest targets for
    the samplers. Where a `group` column exists, a group is never cut in two. Deterministic.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction ({fraction}) must be between 0 and 1")
    unit = _unit(videos)
    out: set[tuple[str, str]] = set()
    for _, rows in videos.groupby("label", sort=True):
        units = list(dict.fromkeys(rows[unit]))
        if len(units) < 2:
            raise DatasetError(
                f"class {rows['label'].iloc[0]!r} has {len(units)} training {unit}: "
                "at least 2 are needed, one to train the classifier and one held out for the samplers"
            )
        count = min(len(units) - 1, max(1, round(len(units) * fraction)))
        out.update((rows["label"].iloc[0], u) for u in units[len(units) - count :])
    held = np.array([key in out for key in zip(videos["label"], videos[unit], strict=True)])
    return videos[~held].reset_index(drop=True), videos[held].reset_index(drop=True)


def in_folds(videos: pd.DataFrame, folds: int) -> list[pd.DataFrame]:
    """Part training videos in `folds` parts, each with about its share of every class; no part is empty.

    Where a `group` column exists, a group is never cut in two. A class with one video (or group) is in
    none of the parts: nobody could learn that class without it.
    """
    if not folds:
        return []
    units = videos.groupby("label")[_unit(videos)]
    number = units.transform(lambda unit: pd.factorize(unit)[0] % folds)
    several = units.transform("nunique") > 1
    parts = [videos[several & (number == n)].reset_index(drop=True) for n in range(folds)]
    return [part for part in parts if len(part)]


def _unit(videos: pd.DataFrame) -> str:
    """The column of what must not be cut in two."""
    return "group" if "group" in videos else "video_id"


PARTS = ("classifier", "samplers", "validation")  # of the training videos


class Parts(NamedTuple):
    """The training videos by who learns from them: rows of `Dataset.videos`, no video in two of them."""

    classifier: pd.DataFrame
    samplers: pd.DataFrame
    validation: pd.DataFrame

    @property
    def held(self) -> pd.DataFrame:
        """All that f has not seen."""
        return pd.concat([self.samplers, self.validation], ignore_index=True)


def training_parts(videos: pd.DataFrame, held_out: float, validation: float = 0.0) -> Parts:
    """The training videos in three parts: for f, for the samplers, and to choose their settings by.

    `held_out` is the share that f does not see; `validation` the share of *these* that no sampler is
    trained on. A class with one held-out video (or group) leaves it to the samplers; 0 leaves them all.
    Where a column `part` says who learns from each video (`PARTS`), that counts, and the shares do not.
    """
    if "part" in videos:
        if unknown := sorted(set(videos["part"]) - set(PARTS)):
            raise DatasetError(f"part ({unknown[0]!r}) must be one of {', '.join(PARTS)}")
        return Parts(*(videos[videos["part"] == part].reset_index(drop=True) for part in PARTS))
    kept, held = hold_out(videos, held_out)
    unit = _unit(held)
    several = held.groupby("label")[unit].transform("nunique") > 1
    if validation == 0 or not several.any():
        return Parts(kept, held, held.iloc[:0])
    _, chosen = hold_out(held[several], validation)
    rest = held[~held["video_id"].isin(chosen["video_id"])].reset_index(drop=True)
    return Parts(kept, rest, chosen)


def check_classes(where: Path, labels: Iterable[str]) -> None:
    """Refuse one class alone and classes that look alike. Raises `DatasetError`, which names `where`."""
    labels = set(labels)
    if words := alone(labels) or alike(labels):
        raise DatasetError(f"{where}: {words}")


def _check_about(path: Path, about: dict) -> None:
    classes = about.get("classes") or []
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise DatasetError(f'{path}: classes must be a list of names in quotes, such as ["0", "1"]')
    if len(set(classes)) < len(classes):
        raise DatasetError(f"{path}: a class occurs twice in classes")
    if not isinstance(about.get("name", ""), str):
        raise DatasetError(f"{path}: name ({str(about['name'])[:80]}) must be a text")


def _read_json(path: Path) -> dict:
    if not path.is_file():
        raise DatasetError(f"{path}: no such file (is {path.parent} a dataset folder?)")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise DatasetError(f"{path}: not JSON ({error})") from error
    if not isinstance(value, dict):
        raise DatasetError(f"{path}: must hold an object")
    return value


def _read_csv(path: Path, columns: list[str]) -> pd.DataFrame:
    if not path.is_file():
        raise DatasetError(f"{path}: no such file")
    try:
        table = read_texts(path)
    except TableError as error:
        raise DatasetError(str(error)) from error
    for column in columns:
        if column not in table:
            raise DatasetError(f"{path}: column {column!r} is missing (has: {list(table.columns)})")
    return table
