"""Sports1M (Karpathy et al., 2014) by its own lists, and miniSports drawn from it.

    labels.txt                  the 487 classes, a line each; the first one is class 0
    train_partition.txt[.gz]    <youtube url> <class>[,<class>...]         in original/, or
    sports1m_train.json         [{"id": ..., "label487": [<class>, ...], ...}, ...]
    <anything>/<youtube_id>.<suffix>

Some videos have several classes. **The first one listed is the label**, as a single-label classifier
needs one; all of them are kept in the column `labels`, with `|` between them.

The paper's miniSports is a subset of which no list was published: `per_class_train` and
`per_class_test` draw one like it, among the videos that exist. A video's turn depends on its id and
the seed only.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from scslib.datasets.manifest import DatasetError
from scslib.datasets.public.listing import Listing
from scslib.datasets.public.lists import (
    Files,
    ListRow,
    ListRows,
    first_file,
    read_json,
    text_lines,
    wrong_line,
)

ORIGIN = "Sports1M's own lists, read by scslib.datasets.public.sports1m"
LICENCE = "CC-BY-3.0 (the lists, by their makers); the videos belong to those who uploaded them"


def read_sports1m(
    videos: str | Path,
    lists: str | Path,
    *,
    per_class_train: int | None = None,
    per_class_test: int | None = None,
    seed: int = 0,
) -> Listing:
    """The listing of the Sports1M videos below `videos`, or of some.

    These are at most so many of each class that exist. Raises `DatasetError` for lists that cannot be
    understood, `ValueError` for a number below 1.
    """
    most = {"train": per_class_train, "test": per_class_test}
    for split, count in most.items():
        if count is not None and count < 1:
            raise ValueError(f"per_class_{split} ({count}) must be > 0")
    lists = Path(lists)
    classes = _classes(first_file(lists, "labels.txt"))
    files, rows = Files(videos), ListRows()
    for split in most:
        names = (f"{split}_partition.txt", f"{split}_partition.txt.gz")
        inside = [f"original/{name}" for name in names]
        path = first_file(lists, *inside, *names, f"sports1m_{split}.json")
        for number, youtube_id, labels in (_json if path.suffix == ".json" else _partition)(path):
            if not labels or not all(0 <= label < len(classes) for label in labels):
                raise wrong_line(path, number, str(labels), f"classes must be in 0..{len(classes) - 1}")
            own = [classes[label] for label in labels]
            found = (*files.of_stem(youtube_id), "")[0]
            problem = "" if found else "no such file"
            path_or_name = found or f"{youtube_id}.*"
            row = ListRow(youtube_id, path_or_name, own[0], split, "", "|".join(own), problem)
            rows.add(row, path, number)
    kept, notes = rows.done()
    made_with = {}
    if per_class_train is not None or per_class_test is not None:
        made_with = {f"per_class_{split}": count for split, count in most.items()} | {"seed": seed}
        kept, more = _draw(kept, most, seed)
        notes += more
    return Listing(
        name="minisports" if made_with else "sports1m",
        root=files.root,
        classes=classes,
        rows=kept,
        licence=LICENCE,
        origin=ORIGIN,
        notes=(*notes, "of a video's several classes (column labels) the first one is its label"),
        made_with=made_with,
    )


def _draw(
    rows: tuple[ListRow, ...], most: dict[str, int | None], seed: int
) -> tuple[tuple[ListRow, ...], tuple[str, ...]]:
    """At most `most[split]` of each class among the videos that exist, and what there is to say."""
    there = [row for row in rows if not row.problem]
    parts: dict[tuple[str, str], list[ListRow]] = {}
    for row in there:
        parts.setdefault((row.label, row.split), []).append(row)
    drawn, short = [], []
    for (label, split), own in parts.items():
        count = most[split]
        own.sort(key=lambda row: hashlib.sha256(f"{seed} {row.video_id}".encode()).digest())
        drawn += own if count is None else own[:count]
        if count is not None and len(own) < count:
            short.append(f"{label!r} ({len(own)} of {count} {split})")
    notes = [f"drawn among {len(there)} videos that exist, of {len(rows)} listed"]
    if short:
        notes.append(f"fewer than asked for: {', '.join(sorted(short))}")
    return tuple(sorted(drawn)), tuple(notes)


def _classes(path: Path) -> tuple[str, ...]:
    classes: dict[str, int] = {}
    for number, name in text_lines(path):
        if name in classes:
            raise wrong_line(path, number, name, f"the same class as line {classes[name]}")
        classes[name] = number
    return tuple(classes)


def _partition(path: Path) -> Iterator[tuple[int, str, list[int]]]:
    """(line, youtube id, classes) of `https://www.youtube.com/watch?v=UDqivjS-lpI 168,169`."""
    for number, line in text_lines(path):
        match = re.fullmatch(r"https?://\S+[?&]v=([\w-]+)(?:&\S*)?\s+(\d+(?:,\d+)*)", line, re.ASCII)
        if not match:
            raise wrong_line(path, number, line, "is not '<youtube url> <class>[,<class>...]'")
        yield number, match[1], [int(label) for label in match[2].split(",")]


def _json(path: Path) -> Iterator[tuple[int, str, list[int]]]:
    """(number of the entry from 1, youtube id, classes)."""
    entries = read_json(path)
    if not isinstance(entries, list):
        raise DatasetError(f"{path}: must hold a list")
    for number, entry in enumerate(entries, 1):
        name = entry.get("id") if isinstance(entry, dict) else None
        labels = entry.get("label487") if isinstance(entry, dict) else None
        if (
            not isinstance(name, str)
            or not re.fullmatch(r"[\w-]+", name, re.ASCII)
            or not isinstance(labels, list)
            or not all(type(label) is int for label in labels)
        ):
            raise wrong_line(path, number, str(entry), "needs an id and whole numbers in label487")
        yield number, name, labels
