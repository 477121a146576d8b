"""Kinetics-400, -600, -700 and -700-2020 by the lists of CVDF or DeepMind.

    train.csv, val.csv    label,youtube_id,time_start,time_end,split[,is_cc]      times in seconds
    train/..., val/...    [<class>/]<youtube_id>_<start, 6 digits>_<end, 6 digits>.mp4

The labels of Kinetics' own test set are not used by the field: its **val is the kit's test**. Files in
a folder `replacement*` (CVDF's, for corrupted videos of Kinetics-400) go before all others.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from scslib.datasets.public.listing import Listing
from scslib.datasets.public.lists import (
    Files,
    ListRow,
    ListRows,
    csv_rows,
    first_file,
    leads_out,
    wrong_line,
)

ORIGIN = "Kinetics' own lists, read by scslib.datasets.public.kinetics"
LICENCE = "CC-BY-4.0 (the lists, by DeepMind); the videos belong to those who uploaded them"
# CVDF's complete lists of Kinetics-600 end in .txt (its .csv are incomplete); DeepMind's say "validate"
TABLES = {
    "train": ("train.txt", "train.csv"),
    "val": ("val.txt", "val.csv", "validate.csv"),
}
LIST_COLUMNS = ("label", "youtube_id", "time_start", "time_end")


def read_kinetics(videos: str | Path, lists: str | Path) -> Listing:
    """The listing of the Kinetics videos below `videos`, by CSV files.

    The CSV files are those in `lists` (or its `annotations`). A video's id is its file's name,
    `<youtube_id>_<start>_<end>`. Raises `DatasetError` for lists that cannot be understood.
    """
    lists = Path(lists)
    lists = lists / "annotations" if (lists / "annotations").is_dir() else lists
    listed = [(split, first_file(lists, *names)) for split, names in TABLES.items()]
    clips = [clip for split, path in listed for clip in _clips(split, path)]
    files, rows = Files(videos), ListRows()
    replaced = {Path(path).name[:11]: path for path in files if _is_replacement(path)}
    often = Counter(youtube_id for _, _, _, youtube_id, _, _ in clips)
    for split, path, number, youtube_id, stem, label in clips:
        there = files.of_stem(stem)
        if not any(map(_is_replacement, there)) and often[youtube_id] == 1 and youtube_id in replaced:
            there = [replaced[youtube_id]]  # its times may differ: CVDF goes by the id alone
        there = sorted(there, key=lambda p: (not _is_replacement(p), split not in p.split("/")))
        found = there[0] if there else f"{split}/{stem}.mp4"
        rows.add(ListRow(stem, found, label, "train" if split == "train" else "test"), path, number)
    kept, notes = rows.done()
    return Listing(
        name="kinetics",
        root=files.root,
        classes=tuple(sorted({row.label for row in kept})),
        rows=kept,
        licence=LICENCE,
        origin=ORIGIN,
        notes=(*notes, "the split 'test' is Kinetics' val; its own test set is not used"),
    )


def _clips(split: str, path: Path) -> list[tuple[str, Path, int, str, str, str]]:
    """(split, list, line, youtube_id, name without suffix, label) of each line of one list."""
    clips = []
    for number, row in csv_rows(path, LIST_COLUMNS):
        text = ",".join(row[name] for name in LIST_COLUMNS)
        youtube_id = row["youtube_id"]
        if leads_out(youtube_id) or "/" in youtube_id:
            raise wrong_line(path, number, text, "leads out of the videos' folder")
        try:
            start, end = (int(float(row[name])) for name in LIST_COLUMNS[2:])
        except (ValueError, OverflowError) as error:
            raise wrong_line(path, number, text, "its times are not numbers") from error
        stem = f"{youtube_id}_{start:06d}_{end:06d}"
        clips.append((split, path, number, youtube_id, stem, row["label"]))
    return clips


def _is_replacement(path: str) -> bool:
    return any(part.startswith("replacement") for part in path.split("/")[:-1])
