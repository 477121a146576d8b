"""Turn a public dataset's own lists into a dataset folder.

A `Listing` is made by one reader for each dataset, without opening a video. `write_listing` looks into
the files, links the usable ones and writes the tables. Every video that is listed ends up either in
`videos.csv` or, with the reason, in `left_out.csv`.

A dataset's videos lie inside its folder, so each gets a *hard link* there: it takes no space, needs no
rights, and stays when the original is moved. Where links are impossible (another disk) it is a copy.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from scslib.datasets import sources
from scslib.datasets.copies import copies_note, without_copies
from scslib.datasets.manifest import Dataset, DatasetError, check_classes, write_dataset
from scslib.datasets.public.lists import ListRow
from scslib.datasets.sources import Source
from scslib.jobs.files import check_folder, lies_in

LONGEST_ID = 50  # characters of a video_id before it is cut
LONGEST_BYTES = 180  # a file is called after it, and a letter may have several
LONGEST_OWN_ID = 100  # of one that the dataset gave itself


@dataclass(frozen=True)
class Listing:
    """A dataset as its own lists describe it.

    root: the folder that the rows' paths are relative to. classes: in the order of their labels.
    origin: names the reader, so that one kind of dataset never overwrites another. segments: rows
    (video_id, start_s, end_s), half-open, in seconds. made_with: what the user chose.
    """

    name: str
    root: Path
    classes: tuple[str, ...]
    rows: tuple[ListRow, ...]
    licence: str
    origin: str
    segments: tuple[tuple[str, float, float], ...] = ()
    notes: tuple[str, ...] = ()
    made_with: dict = field(default_factory=dict)

    def __repr__(self) -> str:
        splits = dict(Counter(row.split for row in self.rows))
        return f"Listing({self.name!r}, {len(self.classes)} classes, rows: {splits})"


def write_listing(
    listing: Listing, folder: str | Path, *, link: bool = True, workers: int = 0
) -> Dataset:
    """Make the dataset `folder` of the videos of `listing` that can be read.

    The others are left out by name, and so are copies and a class without a usable training video. A
    second run takes up changes. `link=False` copies every file; `workers` processes read headers (0: one
    a core). Raises `DatasetError` where nothing is left, for classes that `check_classes` refuses, where
    `folder` lies inside the videos' folder, or where it holds another kind of dataset.
    """
    folder, root = Path(folder), listing.root
    refuse_inside(folder, root, "where the videos are looked for")
    refuse_other(folder, listing.origin)
    check_folder(folder, what="out")
    check_classes(root, [row.label for row in listing.rows])
    of_path, lost = _by_path(listing)
    there = [_source(root, row) for row in of_path.values()]
    there, copies = without_copies(there, [row.split for row in of_path.values()])
    seen, broken = sources.survey(there, whole=False, workers=workers, title="reading headers")
    left_out = lost + copies + broken
    trained = {s.label for s in seen if of_path[s.name].split == "train"}
    if len(trained) < 2:
        why = f" (first left out: {left_out[0].name}: {left_out[0].problem})" if left_out else ""
        lack = f"no usable training video of {len(listing.rows)} listed"
        if trained:
            lack = (
                f"only class {min(trained)!r} has usable training videos, at least 2 classes are needed"
            )
        raise DatasetError(f"{root}: {lack}{why}")
    usable = [s for s in seen if s.label in trained]
    untrained = [s for s in seen if s.label not in trained]
    left_out += [replace(s, problem="its class has no training video") for s in untrained]

    (folder / "videos").mkdir(parents=True, exist_ok=True)
    rows = [of_path[source.name] for source in usable]
    plain = [re.sub(r"[^\w.-]+", "_", row.video_id.rpartition("/")[2]).lstrip(".") for row in rows]
    ids = unique_ids(plain, [row.video_id for row in rows], LONGEST_OWN_ID)
    videos = pd.DataFrame(rows, columns=ListRow._fields).drop(columns="problem")
    videos = videos.rename(columns={"path": "source"}).assign(video_id=ids)
    videos.insert(1, "path", place_videos(usable, ids, folder, link=link))
    unused = [c for c in ("group", "labels") if videos[c].eq("").all()]
    own = {row.video_id: video_id for row, video_id in zip(rows, ids, strict=True)}
    kept = [(own[i], start, end) for i, start, end in listing.segments if i in own]
    segments = pd.DataFrame(kept, columns=["video_id", "start_s", "end_s"])
    classes = [name for name in listing.classes if name in trained]
    notes = [*sources.write_left_out(folder, left_out), *copies_note(copies), *listing.notes]
    notes += _classes_left_out(listing.classes, trained) + untested(videos)
    return write_dataset(
        folder,
        name=listing.name,
        classes=classes,
        videos=videos.drop(columns=unused),
        segments=segments if listing.segments else None,
        licence=listing.licence,
        origin=listing.origin,
        made_with=listing.made_with,
        left_out=len(left_out),
        notes=notes + sources.tells(usable),
    )


def _by_path(listing: Listing) -> tuple[dict[str, ListRow], list[Source]]:
    """(the rows that may be used by their paths, the others with their `problem`)."""
    of_path: dict[str, ListRow] = {}
    lost = []
    for row in listing.rows:
        problem = row.problem
        if row.path in of_path:
            problem = f"the same file as {of_path[row.path].video_id!r}"
        if problem:
            lost.append(_source(listing.root, row, problem))
        else:
            of_path[row.path] = row
    return of_path, lost


def place_videos(videos: Sequence[Source], ids: Sequence[str], folder: Path, *, link: bool) -> list[str]:
    """Put each file at FOLDER/videos/<id>.<its suffix>; gives the paths below `folder`."""
    paths = [
        f"videos/{video_id}{video.path.suffix.lower()}"
        for video, video_id in zip(videos, ids, strict=True)
    ]
    for video, path in zip(videos, paths, strict=True):
        place(video.path, folder / path, link=link)
    return paths


def place(source: Path, target: Path, *, link: bool) -> None:
    """Put the content of `source` at `target`: a hard link, or a copy where that is impossible."""
    source = source.resolve()  # a link to a symbolic link would lead out of the dataset's folder
    if target.is_file():
        old, new = target.stat(), source.stat()
        same = os.path.samestat(old, new)
        copied = (old.st_size, old.st_mtime_ns) == (new.st_size, new.st_mtime_ns)
        if (same and link) or (copied and not same):
            return
    temporary = target.with_name(".part" + target.suffix)
    temporary.unlink(missing_ok=True)
    try:
        if not link:
            raise OSError("a copy is wanted")
        os.link(source, temporary)
    except OSError:
        shutil.copy2(source, temporary)
    os.replace(temporary, target)


def video_ids(videos: Sequence[Source]) -> list[str]:
    """An id for each file, from its path: letters (of any script), digits, `_`, `-` and `.`."""
    stems = [f"{video.label}_{Path(video.name).stem}" for video in videos]
    plain = [re.sub(r"[^\w.-]+", "_", stem).strip("._-") for stem in stems]
    return unique_ids(plain, [video.name for video in videos], LONGEST_ID)


def unique_ids(plain: Iterable[str], names: Sequence[str], longest: int) -> list[str]:
    """`plain` as it is; where two are the same, or one is too long, its name's checksum ends it."""
    plain = [name or "video" for name in plain]
    often = Counter(name.casefold() for name in plain)
    ids = []
    for short, name in zip(plain, names, strict=True):
        size = len(short.encode())
        if often[short.casefold()] > 1 or len(short) > longest or size > LONGEST_BYTES:
            kept = short[:longest].encode()[:LONGEST_BYTES].decode(errors="ignore")
            short = f"{kept}-{hashlib.sha256(name.encode()).hexdigest()[:10]}"
        ids.append(short)
    return ids


def untested(videos: pd.DataFrame) -> list[str]:
    """A line that names the classes without a test video; none where every class has one."""
    labels = dict.fromkeys(videos["label"])
    tested = set(videos.loc[videos["split"] == "test", "label"])
    names = sorted(repr(name) for name in labels if name not in tested)
    return [f"{len(names)} classes have no test video: {', '.join(names)}"] if names else []


def refuse_inside(folder: Path, root: Path, why: str) -> None:
    """Refuse a dataset's `folder` inside the sources' folder. Raises `DatasetError`."""
    if lies_in(root, folder):
        raise DatasetError(f"{folder}: must not lie inside {root}, {why}")


def refuse_other(folder: Path, origin: str) -> None:
    """Refuse a `folder` that holds a dataset of another maker. Raises `DatasetError`."""
    about = folder / "dataset.json"
    if about.exists() and origin not in about.read_text(encoding="utf-8", errors="replace"):
        raise DatasetError(f"{folder}: holds another dataset")


def _source(root: Path, row: ListRow, problem: str = "") -> Source:
    return Source(root, row.path, row.label, row.group, problem)


def _classes_left_out(classes: Sequence[str], trained: set[str]) -> list[str]:
    names = [repr(name) for name in classes if name not in trained]
    if not names:
        return []
    return [f"{len(names)} classes left out, without a usable training video: {', '.join(names)}"]
