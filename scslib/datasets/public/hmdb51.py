"""HMDB51 (Kuehne et al., 2011) by its own lists, `testTrainMulti_7030_splits`.

    <class>_test_split1.txt    April_09_brush_hair_u_nm_np1_ba_goo_0.avi 1

1 is train, 2 test, 0 not used in this fold. Three folds. File names hold almost any character, and
the same name may lie in the folders of two classes.
"""

from __future__ import annotations

import re
from pathlib import Path

from scslib.datasets.manifest import DatasetError
from scslib.datasets.public.listing import Listing
from scslib.datasets.public.lists import Files, ListRow, ListRows, leads_out, text_lines, wrong_line

ORIGIN = "HMDB51's own lists, read by scslib.datasets.public.hmdb51"
LICENCE = "CC-BY-4.0 (the dataset, by its makers); the films belong to those who made them"
FOLDER = "testTrainMulti_7030_splits"
SPLIT_OF_MARK = {"1": "train", "2": "test"}


def read_hmdb51(videos: str | Path, lists: str | Path, *, fold: int = 1) -> Listing:
    """The listing of one `fold` (1, 2 or 3) of the videos below `videos`: <class>/*.avi.

    `lists` is the folder with the `*_test_split<fold>.txt`, or the one that was unpacked around it.
    Raises `DatasetError` for lists that cannot be understood.
    """
    if fold not in (1, 2, 3):
        raise ValueError(f"fold ({fold}) must be 1, 2 or 3")
    lists = Path(lists)
    lists = lists / FOLDER if (lists / FOLDER).is_dir() else lists
    tables = {}
    for path in sorted(lists.glob(f"*_test_split{fold}.txt")):
        tables[re.sub(r"_test_split\d\.txt$", "", path.name)] = path
    if not tables:
        raise DatasetError(f"{lists}: has no <class>_test_split{fold}.txt")
    files, rows, unused = Files(videos), ListRows(), 0
    for label, path in tables.items():
        for number, line in text_lines(path):
            name, _, use = line.rpartition(" ")
            name = name.strip()
            if leads_out(name) or "/" in name:
                raise wrong_line(path, number, line, "leads out of the class's folder")
            if not name or use not in ("0", "1", "2"):
                raise wrong_line(path, number, line, "is not '<name>.avi <0, 1 or 2>'")
            if use == "0":
                unused += 1
                continue
            found = files.of_class(label, name, tables) or f"{label}/{name}"
            row = ListRow(f"{label}/{Path(name).stem}", found, label, SPLIT_OF_MARK[use])
            rows.add(row, path, number)
    listed, notes = rows.done()
    if unused:
        notes = (*notes, f"{unused} videos belong to neither split of fold {fold}")
    return Listing(
        name="hmdb51",
        root=files.root,
        classes=tuple(tables),
        rows=listed,
        licence=LICENCE,
        origin=ORIGIN,
        notes=notes,
        made_with={"fold": fold},
    )
