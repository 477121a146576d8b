"""UCF101 (Soomro et al., 2012) by its own lists, `ucfTrainTestlist`.

    classInd.txt       1 ApplyEyeMakeup
    trainlist01.txt    ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1
    testlist01.txt     ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi

A group (`g08`) is cut from one longer video, and the lists never part it. Three folds; the field
reports one or the mean of three.
"""

from __future__ import annotations

import re
from pathlib import Path

from scslib.datasets.manifest import DatasetError
from scslib.datasets.public.listing import Listing
from scslib.datasets.public.lists import (
    Files,
    ListRow,
    ListRows,
    first_file,
    leads_out,
    text_lines,
    wrong_line,
)

ORIGIN = "UCF101's own lists, read by scslib.datasets.public.ucf101"
LICENCE = "none stated by its makers; the videos belong to those who uploaded them"


def read_ucf101(videos: str | Path, lists: str | Path, *, fold: int = 1) -> Listing:
    """The listing of one `fold` (1, 2 or 3) of the videos below `videos`: <Class>/*.avi, or all in one.

    `lists` is the folder with classInd.txt, or the one that was unpacked around it. Raises
    `DatasetError` for lists that cannot be understood.
    """
    if fold not in (1, 2, 3):
        raise ValueError(f"fold ({fold}) must be 1, 2 or 3")
    index = first_file(lists, "classInd.txt", "ucfTrainTestlist/classInd.txt")
    classes = _classes(index)
    files, rows = Files(videos), ListRows()
    for split in ("train", "test"):
        path = first_file(index.parent, f"{split}list0{fold}.txt")
        for number, line in text_lines(path):
            name, label = line, None
            if split == "train":
                name, _, label = line.rpartition(" ")
            if leads_out(name):
                raise wrong_line(path, number, line, "leads out of the videos' folder")
            folder, _, file = name.strip().rpartition("/")
            group = re.fullmatch(r".*_(g\d+)_c\d+\.\w+", file)
            if folder not in classes or not group:
                raise wrong_line(path, number, line, "is not <Class>/v_<Class>_g<group>_c<clip>.avi")
            if label is not None and label != classes[folder]:
                raise wrong_line(path, number, line, f"{folder} is number {classes[folder]}, not")
            found = files.of_class(folder, file, classes)
            row = ListRow(file.rpartition(".")[0], found or name, folder, split, group.group(1))
            rows.add(row, path, number)
    listed, notes = rows.done()
    return Listing(
        name="ucf101",
        root=files.root,
        classes=tuple(classes),
        rows=listed,
        licence=LICENCE,
        origin=ORIGIN,
        notes=notes,
        made_with={"fold": fold},
    )


def _classes(path: Path) -> dict[str, str]:
    """Each class and the number that the lists give it, in their order."""
    classes: dict[str, str] = {}
    for number, line in text_lines(path):
        index, name = (*line.split(maxsplit=1), "")[:2]
        if not index.isdecimal() or not name or name in classes or index in classes.values():
            raise wrong_line(path, number, line, "is not '<number> <Class>', each once")
        classes[name] = index
    if not classes:
        raise DatasetError(f"{path}: no classes")
    return classes
