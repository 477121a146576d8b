"""`scs data table`: a dataset by one CSV file, a line for each video.

`path` is relative to the videos' folder. Without a column `split` (train or test) it is drawn class by
class, as `scs data index` does. Other columns are not looked at.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from scslib.datasets.folder import test_groups
from scslib.datasets.manifest import DatasetError, check_classes
from scslib.datasets.public.listing import Listing
from scslib.datasets.public.lists import ListRow, ListRows, csv_rows, leads_out, wrong_line
from scslib.datasets.sources import Source

ORIGIN = "a user's table, read by scslib.datasets.table"


def read_video_table(
    table: str | Path,
    videos: str | Path | None = None,
    *,
    test_share: float = 0.3,
    seed: int = 0,
) -> Listing:
    """The listing of the CSV file `table`; `videos` is the folder of its paths, else the table's own.

    A video's id is its `video_id`, else its path without the suffix. `test_share` and `seed` count only
    where the table has no `split`; videos of one `group` are then in the same split.
    Raises `DatasetError` for lines that cannot be used, a group that the table puts in two splits, one
    class alone, or classes that look alike.
    """
    if not 0 < test_share < 1:
        raise ValueError(f"test_share ({test_share}) must be between 0 and 1")
    table = Path(table)
    root = table.parent if videos is None else Path(videos)
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder")
    rows, drawn = ListRows(), False
    for number, cells in csv_rows(table, ("path", "label")):
        path, text = cells["path"], ",".join(cells.values())
        if leads_out(path):
            raise wrong_line(table, number, text, "its path leads out of the videos' folder")
        drawn = "split" not in cells
        if not drawn and cells["split"] not in ("train", "test"):
            raise wrong_line(table, number, text, f"split {cells['split']!r} must be train or test")
        video_id = cells.get("video_id") or str(PurePosixPath(path).parent / PurePosixPath(path).stem)
        row = ListRow(video_id, path, cells["label"], cells.get("split", ""), cells.get("group", ""))
        rows.add(row, table, number)
    listed, notes = rows.done()
    if drawn:
        units = [Source(root, row.path, row.label, row.group or row.path) for row in listed]
        test = test_groups(units, test_share, seed)
        splits = ["test" if unit.group in test else "train" for unit in units]
        listed = tuple(row._replace(split=s) for row, s in zip(listed, splits, strict=True))
    _check_groups(table, listed)
    check_classes(table, [row.label for row in listed])
    return Listing(
        name=table.stem,
        root=root,
        classes=tuple(sorted({row.label for row in listed})),
        rows=listed,
        licence="of the sources",
        origin=ORIGIN,
        notes=notes,
        made_with={"test_share": test_share, "seed": seed} if drawn else {},
    )


def _check_groups(table: Path, rows: tuple[ListRow, ...]) -> None:
    first: dict[str, str] = {}
    for row in rows:
        if row.group and first.setdefault(row.group, row.split) != row.split:
            raise DatasetError(f"{table}: group {row.group!r} is in train and in test")
