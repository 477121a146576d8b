"""ActivityNet 1.3 (Caba Heilbron et al., 2015) by its own annotations, with segments.

    {"database": {<youtube id>: {"subset": "training", "duration": <seconds>, "annotations":
        [{"segment": [<start>, <end>], "label": ...}, ...], ...}, ...}, "taxonomy": ..., "version": ...}
    <anything>/v_<youtube id>.<suffix>, or without the v_

Its **validation is the kit's test**; the labels of its own testing set are withheld. **The label of a
video is the one with the longest annotated time**; where there are several, all of them are in the
column `labels`. Only segments of the video's own label are kept.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TypeGuard

from scslib.datasets.manifest import DatasetError
from scslib.datasets.public.listing import Listing
from scslib.datasets.public.lists import Files, ListRow, read_json, shorten

ORIGIN = "ActivityNet's own annotations, read by scslib.datasets.public.activitynet"
LICENCE = "none stated by its makers; the videos belong to those who uploaded them"
SPLIT_OF_SUBSET = {"training": "train", "validation": "test"}

Segments = list[tuple[float, float]]


def read_activitynet(videos: str | Path, annotations: str | Path) -> Listing:
    """The listing of the videos below `videos` by the JSON file `annotations`.

    Segments are clipped to the duration that the annotations give, sorted, and merged where they touch.
    Raises `DatasetError` for annotations that cannot be understood, naming the video.
    """
    path = Path(annotations)
    whole = read_json(path)
    database = whole.get("database") if isinstance(whole, dict) else None
    if not isinstance(database, dict):
        raise DatasetError(f"{path}: has no object 'database' (is it ActivityNet's file?)")
    files = Files(videos)
    rows, segments, dropped, testing = [], [], [], 0
    for name, entry in sorted(database.items()):
        subset = entry.get("subset") if isinstance(entry, dict) else None
        if not re.fullmatch(r"[\w-]+", name, re.ASCII):
            raise _wrong(path, name, "is not a YouTube id")
        if subset == "testing":
            testing += 1
            continue
        if subset not in SPLIT_OF_SUBSET:
            raise _wrong(path, name, f"subset {subset!r} must be training, validation or testing")
        found = (*files.of_stem(f"v_{name}"), *files.of_stem(name), "")[0]
        problem = "" if found else "no such file"
        timed, empty = _annotated(path, name, entry)
        if empty:
            dropped.append(name)
        label = ""
        if timed:
            label = min(timed, key=lambda key: (-sum(e - s for s, e in timed[key]), key))
            segments += [(name, start, end) for start, end in timed[label]]
        else:
            problem = "no annotation"
        labels = "|".join(sorted(timed)) if len(timed) > 1 else label
        rows.append(
            ListRow(name, found or f"v_{name}.*", label, SPLIT_OF_SUBSET[subset], "", labels, problem)
        )
    notes = ["the split 'test' is ActivityNet's validation"]
    if testing:
        notes.append(f"{testing} videos of its testing set are not used: their labels are withheld")
    if dropped:
        notes.append(f"segments without a length were dropped in: {shorten(dropped)}")
    return Listing(
        name="activitynet",
        root=files.root,
        classes=tuple(sorted({row.label for row in rows if row.label})),
        rows=tuple(rows),
        licence=LICENCE,
        origin=ORIGIN,
        segments=tuple(segments),
        notes=tuple(notes),
    )


def _annotated(path: Path, name: str, entry: dict) -> tuple[dict[str, Segments], bool]:
    """(the segments of each label, was any of them empty or reversed?) of one video."""
    duration = entry.get("duration")
    end_s = duration if _is_time(duration) and duration > 0 else math.inf
    given = entry.get("annotations")
    if not isinstance(given, list):
        raise _wrong(path, name, "annotations must be a list")
    timed: dict[str, Segments] = {}
    empty = False
    for one in given:
        segment = one.get("segment") if isinstance(one, dict) else None
        label = one.get("label") if isinstance(one, dict) else None
        if not isinstance(label, str) or not label.strip() or not _is_segment(segment):
            raise _wrong(path, name, f"annotation {str(one)[:80]!r} needs a label and two numbers")
        start, end = max(0.0, segment[0]), min(float(segment[1]), end_s)
        own = timed.setdefault(label.strip(), [])
        if start < end:
            own.append((start, end))
        else:
            empty = True
    return {label: merged(own) for label, own in timed.items()}, empty


def merged(segments: Segments) -> Segments:
    """The time of all segments in ascending ones that do not touch. Half-open, seconds."""
    out: Segments = []
    for start, end in sorted(segments):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((start, end))
    return out


def _is_segment(value: object) -> TypeGuard[list[float]]:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_time, value))


def _is_time(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _wrong(path: Path, name: str, why: str) -> DatasetError:
    return DatasetError(f"{path}: video {name[:80]!r}: {why}")
