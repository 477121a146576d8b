"""`scs data index`: a user's own videos, FOLDER/<class>/*, as a dataset, as they are.

A dataset's videos lie inside its folder, so each gets a *hard link* there: it takes no space, needs no
rights, and stays when the original is moved. Where links are impossible (another disk) it is a copy.
Nothing is encoded again: what codec, size, frame rate or sound say about the class stays in, and is
named in `notes` of dataset.json.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from scslib.datasets import sources
from scslib.datasets.manifest import Dataset, DatasetError, write_dataset
from scslib.datasets.sources import Source

ORIGIN = "indexed by scslib.datasets.folder"
LONGEST_ID = 50  # characters of a video_id before it is cut


def index_folder(
    clips: str | Path,
    folder: str | Path,
    *,
    test_share: float = 0.3,
    group_pattern: str | None = None,
    seed: int = 0,
    link: bool = True,
    workers: int = 0,
) -> Dataset:
    """Make the dataset `folder` of the files clips/<class>/*; a second run takes up changes.

    The split is drawn class by class, `test_share` of its groups (of its files without
    `group_pattern`) for test; a group is never in both. `link=False` copies every file.
    Files that cannot be opened are left out by name: `left_out.csv`, and `notes` in dataset.json.
    Raises `DatasetError` for a class without readable videos, a name without group, or where `folder`
    lies inside `clips` or holds another kind of dataset; `ValueError` for wrong parameters.
    """
    clips, folder = Path(clips), Path(folder)
    if not 0 < test_share < 1:
        raise ValueError(f"test_share ({test_share}) must be between 0 and 1")
    if group_pattern is not None:
        sources.check_pattern(group_pattern)
    if folder.resolve().is_relative_to(clips.resolve()):
        raise DatasetError(f"{folder}: must not lie inside {clips}, whose folders are classes")
    _refuse_other(folder)
    files, misplaced = sources.class_files(clips)
    usable, broken = sources.survey(files, whole=False, workers=workers, title="reading headers")
    left_out = misplaced + broken
    classes = sources.require_classes(clips, usable, left_out)
    if group_pattern is not None:
        usable = sources.with_groups(usable, group_pattern)
    else:  # each file is a group of its own
        usable = [replace(source, group=source.name) for source in usable]
    test = test_groups(usable, test_share, seed)

    (folder / "videos").mkdir(parents=True, exist_ok=True)
    rows = []
    for video_id, source in zip(video_ids(usable), usable, strict=True):
        path = f"videos/{video_id}{source.path.suffix.lower()}"
        place(source.path, folder / path, link=link)
        split = "test" if source.group in test else "train"
        rows.append((video_id, path, source.label, split, source.group, source.name))
    columns = ["video_id", "path", "label", "split", "group", "source"]
    videos = pd.DataFrame(rows, columns=columns)
    untested = [c for c in classes if not ((videos.label == c) & (videos.split == "test")).any()]
    notes = [f"class {name!r} has no test video: too few of its own groups" for name in untested]
    return write_dataset(
        folder,
        name=clips.resolve().name,
        classes=classes,
        videos=videos.drop(columns="group") if group_pattern is None else videos,
        licence="of the sources",
        origin=ORIGIN,
        made_with={"test_share": test_share, "group_pattern": group_pattern, "seed": seed},
        left_out=len(left_out),
        notes=sources.write_left_out(folder, left_out) + notes + sources.tells(usable),
    )


def test_groups(videos: Sequence[Source], test_share: float, seed: int) -> set[str]:
    """The groups for test: of each class `test_share`, at least one, and never its last.

    A group may have videos of several classes; it is then in the same split for all of them.
    Deterministic, and a group's turn depends on its name only, so new files disturb little.
    """
    classes: dict[str, set[str]] = {}  # group -> its classes
    for video in videos:
        classes.setdefault(video.group, set()).add(video.label)
    counts = Counter(label for labels in classes.values() for label in labels)
    # rounded half up; a class with one group has it in train
    room = {c: min(n - 1, max(1, math.floor(n * test_share + 0.5))) for c, n in counts.items()}
    test = set()
    for group in sorted(classes, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest()):
        if all(room[label] > 0 for label in classes[group]):
            test.add(group)
            room.update({label: room[label] - 1 for label in classes[group]})
    return test


def video_ids(videos: Sequence[Source]) -> list[str]:
    """An id for each file, from its path: letters (of any script), digits, `_`, `-` and `.`.

    Where two files would get the same one, or it is too long, the path's checksum makes it unique.
    """
    plain = []
    for video in videos:
        stem = Path(video.name).stem
        plain.append(re.sub(r"[^\w.-]+", "_", f"{video.label}_{stem}").strip("._-") or "video")
    often = Counter(name.casefold() for name in plain)
    ids = []
    for name, video in zip(plain, videos, strict=True):
        if often[name.casefold()] > 1 or len(name) > LONGEST_ID:
            name = f"{name[:LONGEST_ID]}-{hashlib.sha256(video.name.encode()).hexdigest()[:10]}"
        ids.append(name)
    return ids


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


def _refuse_other(folder: Path) -> None:
    about = folder / "dataset.json"
    if about.exists() and ORIGIN not in about.read_text(encoding="utf-8", errors="replace"):
        raise DatasetError(f"{folder}: holds another dataset")
