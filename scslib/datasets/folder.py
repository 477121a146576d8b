"""`scs data index`: a user's own videos, FOLDER/<class>/*, as a dataset.

Nothing is encoded again: what codec, size, frame rate or sound say about the class stays in, and is
named in `notes` of dataset.json. The files are linked as `listing` says.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from scslib.datasets import sources
from scslib.datasets.copies import copies_note, without_copies
from scslib.datasets.manifest import Dataset, check_classes, write_dataset
from scslib.datasets.public.listing import place_videos, refuse_inside, refuse_other, video_ids
from scslib.datasets.sources import Source
from scslib.jobs.files import check_folder

ORIGIN = "indexed by scslib.datasets.folder"


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
    Files that cannot be opened, and copies of others, are left out by name: `left_out.csv`, and `notes`
    in dataset.json. Raises `DatasetError` for a class without readable videos, classes that only look
    different, a name without group, or where `folder` lies inside `clips` or holds another kind of
    dataset; `ValueError` for wrong parameters.
    """
    clips, folder = Path(clips), Path(folder)
    if not 0 < test_share < 1:
        raise ValueError(f"test_share ({test_share}) must be between 0 and 1")
    if group_pattern is not None:
        sources.check_pattern(group_pattern)
    refuse_inside(folder, clips, "whose folders are classes")
    refuse_other(folder, ORIGIN)
    check_folder(folder, what="out")
    files, misplaced = sources.class_files(clips)
    check_classes(clips, [source.label for source in files])
    files, copies = without_copies(files)
    usable, broken = sources.survey(files, whole=False, workers=workers, title="reading headers")
    left_out = misplaced + copies + broken
    classes = sources.require_classes(clips, usable, left_out)
    if group_pattern is not None:
        usable = sources.with_groups(usable, group_pattern)
    else:  # each file is a group of its own
        usable = [replace(source, group=source.name) for source in usable]
    test = test_groups(usable, test_share, seed)
    (folder / "videos").mkdir(parents=True, exist_ok=True)
    ids = video_ids(usable)
    paths = place_videos(usable, ids, folder, link=link)
    rows = []
    for video_id, path, source in zip(ids, paths, usable, strict=True):
        split = "test" if source.group in test else "train"
        rows.append((video_id, path, source.label, split, source.group, source.name))
    videos = pd.DataFrame(rows, columns=["video_id", "path", "label", "split", "group", "source"])
    untested = [c for c in classes if not ((videos.label == c) & (videos.split == "test")).any()]
    notes = copies_note(copies) + sources.beside_note(clips)
    notes += [f"class {name!r} has no test video: too few of its own groups" for name in untested]
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
