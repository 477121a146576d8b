"""Read lists of text, CSV and JSON, as the readers of public datasets need.

A list comes from somewhere else: a line that cannot be understood is an error that names the file, the
line's number and its text, and no name in a list may lead out of the videos' folder.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from scslib.datasets.manifest import DatasetError

SUFFIXES = tuple(".mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .ts .flv .3gp .ogv".split())
SHOWN_CHARACTERS = 80  # characters of a line that an error message repeats


class ListRow(NamedTuple):
    """One video of a dataset's own lists.

    video_id: its name there. path: below the videos' folder, with `/`; where there is no such file, the
    path that was looked for. problem: why it cannot be used, in words; empty where nothing is known yet.
    labels: all of its classes with `|` between them, where a video may have several; `label` is one.
    """

    video_id: str
    path: str
    label: str
    split: str
    group: str = ""
    labels: str = ""
    problem: str = ""


class ListRows:
    """Rows as they are read, each video once. The same row twice is noted, a contradiction an error."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[ListRow, Path, int]] = {}
        self._again: list[str] = []
        self._against: list[str] = []

    def add(self, row: ListRow, path: Path, number: int) -> None:
        """Take up `row`, which stands in line `number` of the list `path`."""
        first, where, line = self._first.setdefault(row.video_id, (row, path, number))
        if (where, line) == (path, number):
            return
        if first == row:
            self._again.append(row.video_id)
        else:
            self._against.append(
                f"{path}: line {number}: {row.video_id!r} is {_what(row)}, "
                f"but {_what(first)} in line {line} of {where.name}"
            )

    def done(self) -> tuple[tuple[ListRow, ...], tuple[str, ...]]:
        """The rows by video id, and notes. Raises `DatasetError` for a video listed as two things."""
        if self._against:
            more = f" (and {len(self._against) - 1} more like it)" if len(self._against) > 1 else ""
            raise DatasetError(self._against[0] + more)
        notes: tuple[str, ...] = ()
        if self._again:
            notes = (f"listed twice, used once: {shorten(self._again)}",)
        return tuple(self._first[key][0] for key in sorted(self._first)), notes


class Files:
    """The files below a folder, looked at once, then found by their names; hidden ones do not count.

    Where several fit, the one nearest to the top is taken, then the first by name.
    """

    def __init__(self, root: str | Path) -> None:
        """Raises `DatasetError` where `root` is no folder."""
        self.root = Path(root)
        if not self.root.is_dir():
            raise DatasetError(f"{self.root}: no such folder")
        self._named: dict[str, list[str]] = {}
        self._stems: dict[str, list[str]] = {}
        top = os.fspath(self.root)
        for folder, folders, names in os.walk(top):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            inside = os.path.relpath(folder, top).replace(os.sep, "/")
            for name in sorted(names):
                if name.startswith("."):
                    continue
                path = name if inside == "." else f"{inside}/{name}"
                self._named.setdefault(name, []).append(path)
                stem, dot, suffix = name.rpartition(".")
                if dot and f".{suffix.lower()}" in SUFFIXES:
                    self._stems.setdefault(stem, []).append(path)
        for paths in (*self._named.values(), *self._stems.values()):
            if len(paths) > 1:
                paths.sort(key=lambda path: (path.count("/"), path))

    def of_class(self, label: str, name: str, classes: Collection[str]) -> str | None:
        """The file `name` in a folder `label`, or in one of no class."""
        paths = self._named.get(name, ())
        folders = [("/" + path).split("/")[-2] for path in paths]
        if label in folders:
            return paths[folders.index(label)]
        outside = (p for p, folder in zip(paths, folders, strict=True) if folder not in classes)
        return next(outside, None)

    def of_stem(self, stem: str) -> list[str]:
        """The video files of this name before the suffix."""
        return self._stems.get(stem, [])

    def __iter__(self) -> Iterator[str]:
        """Every video file's path."""
        return (path for paths in self._stems.values() for path in paths)


def first_file(folder: str | Path, *names: str) -> Path:
    """The first of `names` that exists in `folder`. Raises `DatasetError` that lists them."""
    folder = Path(folder)
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder")
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise DatasetError(f"{folder}: has no {' or '.join(names)}")


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The numbered lines of a text file that are not empty; also of .gz.

    Each is (number from 1, text without white space around it). Raises `DatasetError` where `path` does
    not exist or is not UTF-8 text.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line.strip()
    except FileNotFoundError as error:
        raise DatasetError(f"{path}: no such file") from error
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError) as error:
        raise DatasetError(f"{path}: not UTF-8 text ({error})") from error


def csv_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV file that has `columns`, perhaps more.

    Each is (number of its last line, the row by column). Raises `DatasetError` for a missing column, a
    row of another length, or an empty cell in `columns`.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            for column in columns:
                if column not in header:
                    raise DatasetError(f"{path}: column {column!r} is missing (has: {header})")
            for cells in reader:
                row = dict(zip(header, (cell.strip() for cell in cells), strict=False))
                if not any(cells):
                    continue
                if len(cells) != len(header):
                    why = f"has {len(cells)} cells, the header has {len(header)}"
                    raise wrong_line(path, reader.line_num, ",".join(cells), why)
                for column in columns:
                    if not row[column]:
                        text = ",".join(cells)
                        raise wrong_line(path, reader.line_num, text, f"{column} is empty")
                yield reader.line_num, row
    except FileNotFoundError as error:
        raise DatasetError(f"{path}: no such file") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path}: not a CSV file ({error})") from error


def read_json(path: Path) -> object:
    """The value in a JSON file. Raises `DatasetError`, also for a key that occurs twice in an object."""

    def once(pairs: list[tuple[str, object]]) -> dict:
        value: dict[str, object] = {}
        for key, one in pairs:
            if key in value:
                raise DatasetError(f"{path}: {key!r} occurs twice in one object")
            value[key] = one
        return value

    try:
        with open(path, encoding="utf-8-sig") as file:
            return json.load(file, object_pairs_hook=once)
    except FileNotFoundError as error:
        raise DatasetError(f"{path}: no such file") from error
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise DatasetError(f"{path}: not JSON ({error})") from error


def wrong_line(path: Path, number: int, line: str, why: str) -> DatasetError:
    """The error for a line that cannot be used; a long one is cut."""
    text = line if len(line) <= SHOWN_CHARACTERS else line[:SHOWN_CHARACTERS] + "..."
    return DatasetError(f"{path}: line {number}: {why}: {text!r}")


def leads_out(name: str) -> bool:
    """Tell whether a path from a list leaves its folder. It may do so on any operating system."""
    plain = name.replace("\\", "/")
    return plain.startswith("/") or plain[1:3] == ":/" or ".." in plain.split("/") or "\0" in name


def _what(row: ListRow) -> str:
    return f"({row.path}, {row.labels or row.label}, {row.split})"


def shorten(names: Sequence[str], most: int = 5) -> str:
    """The first names, and that there are more."""
    return ", ".join(names[:most]) + (f", ... ({len(names)})" if len(names) > most else "")
