"""Find files with the same content in two splits or two classes.

Sizes are compared first, and checksums where two files have one size. Links to one file are copies, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from scslib.datasets.classes import shortages
from scslib.datasets.manifest import Dataset, DatasetError
from scslib.datasets.sources import Source


def without_copies(
    sources: Sequence[Source], splits: Sequence[str] = ()
) -> tuple[list[Source], list[Source]]:
    """The sources, and the copies with their `problem`. Of files with the same content the first one
    stays.

    One of training (by `splits`) stays before one of test. Of a content in two classes none stays: it is
    not known which is right.
    """
    left_out: dict[int, Source] = {}
    for group in same_content([source.path for source in sources]):
        group = sorted(group, key=lambda i: bool(splits) and splits[i] == "test")
        labels = {sources[i].label for i in group if sources[i].label}
        for i in group:
            if len(labels) > 1:
                other = next(sources[j] for j in group if sources[j].label not in ("", sources[i].label))
                problem = f"the same content as {other.name}, of class {other.label!r}"
            elif i != group[0]:
                problem = f"the same content as {sources[group[0]].name}"
            else:
                continue
            left_out[i] = replace(sources[i], problem=problem)
    kept = [source for i, source in enumerate(sources) if i not in left_out]
    return kept, [left_out[i] for i in sorted(left_out)]


def ready_to_run(dataset: Dataset) -> None:
    """Refuse a dataset that breaks a run, or makes it worthless, after hours. Raises `DatasetError`."""
    for line in shortages(dataset.videos):
        raise DatasetError(f"{dataset.folder / 'videos.csv'}: {line}")
    refuse_copies(dataset)


def refuse_copies(dataset: Dataset) -> None:
    """Refuse a content in training and in test, or in two classes. Raises `DatasetError`."""
    rows = list(dataset.videos.itertuples())
    for group in same_content([dataset.folder / row.path for row in rows]):
        first = rows[group[0]]
        for other in (rows[i] for i in group[1:]):
            if (other.label, other.split) != (first.label, first.split):
                both = [f"{row.video_id!r} ({row.label}, {row.split})" for row in (first, other)]
                raise DatasetError(
                    f"{dataset.folder / 'videos.csv'}: {both[0]} and {both[1]} have the same content: "
                    "take one out, or let scs data prepare do it"
                )


def copies_note(copies: Sequence[Source]) -> list[str]:
    """A line that names the copies which were left out; none without any."""
    if not copies:
        return []
    named = [f"{source.name} is {source.problem}" for source in copies[:5]]
    return [f"{len(copies)} copies left out: {', '.join(named)}{', ...' if len(copies) > 5 else ''}"]


def same_content(paths: Sequence[Path]) -> list[list[int]]:
    """The positions of files with the same content, in groups.

    A group has two and more, in order. Files that are empty or cannot be read are no copies: whoever
    reads them says what is wrong.
    """
    sizes = _grouped((i, _size(path)) for i, path in enumerate(paths))
    groups: list[list[int]] = []
    for size, members in sizes.items():
        if size and len(members) > 1:  # a size that no other file has needs no reading
            seen: dict[tuple, bytes | None] = {}
            groups += _grouped((i, _content(paths[i], seen)) for i in members).values()
    return sorted(group for group in groups if len(group) > 1)


def _grouped(pairs: Iterable[tuple[int, object]]) -> dict[object, list[int]]:
    groups: dict[object, list[int]] = {}
    for i, key in pairs:
        if key is not None:
            groups.setdefault(key, []).append(i)
    return groups


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _content(path: Path, seen: dict[tuple, bytes | None]) -> bytes | None:
    """The checksum of a file; a file with several names is read once."""
    try:
        about = path.stat()
        node = about.st_dev, about.st_ino
        if node not in seen:
            with path.open("rb") as file:
                seen[node] = hashlib.file_digest(file, "sha256").digest()
        return seen[node]
    except OSError:
        return None
