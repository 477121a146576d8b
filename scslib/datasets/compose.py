"""`scs data compose`: long untrimmed videos out of folders of trimmed ones, CLIPS/<class>/*.

Each video is a chain of pieces of a few seconds. About a seventh of the time shows the video's class,
cut from the trimmed clips of one group; the rest is cut from distractors, any other videos, and a part
of it from the actions of other classes, which are the hardest distractors.

What must not give the class away, and how it is kept from it:

    codec, size, frame rate, GOP   everything is decoded and encoded again with one setting
    shape of the picture           scaled to cover, then cut at the centre: black bars would show the
                                   shape of the source, which differs by class in collected datasets
    speed                          pictures are picked by pts: a second stays a second at any rate
    an audio track                 every file has one, silent where a source has no sound
    order, number, length          drawn without looking at the class; ids are dealt out shuffled
    the source video               train and test share no group and no file, also not a copy
    a distractor                   f's, the samplers', the validation and the test videos have each their
                                   own, and none is in more than a stated share of their videos: what is
                                   in all of them would be one constant error of f

What remains: whether there *is* sound still differs by class where it does in the sources (in UCF-101
it does; `sound="silence"` takes it out, with all that an audio sampler could use); the length and so
the cuts of pieces where clips are shorter than a piece; and traces of the sources' own compression,
sharpness and frame rate in the pixels. `dataset.json` lists which properties of the source files tell
the class (`notes`), and `pieces.csv` where every piece comes from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

from scslib.datasets import sources
from scslib.datasets.classes import say_shortages
from scslib.datasets.composition import Composition
from scslib.datasets.copies import without_copies
from scslib.datasets.manifest import Dataset, DatasetError, check_classes, write_dataset
from scslib.datasets.pieces import Piece, piece_pictures, piece_sound
from scslib.datasets.plans import choose_test_groups, deal_videos, plan_all_composed
from scslib.datasets.sources import Source
from scslib.jobs.files import check_folder, replacing_if_other
from scslib.jobs.fingerprint import code_of
from scslib.jobs.keys import OLDER, Key
from scslib.jobs.pool import map_processes
from scslib.video.audio import SAMPLE_RATE
from scslib.video.write import write_video


def make_composed(
    clips: str | Path,
    folder: str | Path,
    spec: Composition,
    *,
    distractors: str | Path,
    workers: int = 1,
) -> Dataset:
    """Compose the dataset into `folder`; the same `spec` and sources give the same dataset.

    Videos that already exist are kept, so an interrupted run goes on. Files that cannot be read are
    left out by name: `left_out.csv`, and `notes` in dataset.json (`Dataset.about`).
    Raises `DatasetError` for a class without usable clips (at all, in train or in test), a file name
    without group, too few distractors, and where `folder` holds a dataset made otherwise.
    """
    folder, clips, distractors = Path(folder), Path(clips), Path(distractors)
    check_folder(folder, what="out")
    actions, others, left_out = _survey(clips, distractors, workers)
    classes = sources.require_classes(clips, actions, left_out)
    for split in ("train_videos", "test_videos"):
        if getattr(spec, split) < len(classes):
            raise DatasetError(f"{split} ({getattr(spec, split)}) must be >= classes ({len(classes)})")
    actions = sources.with_groups(actions, spec.group_pattern)
    test_groups = choose_test_groups(actions, spec)
    videos = deal_videos(actions, classes, test_groups, spec)
    say_shortages(videos)
    pieces = plan_all_composed(spec, videos, actions, others)
    made_with = asdict(spec) | {"sources": _digest(actions + others)}
    (folder / "videos").mkdir(parents=True, exist_ok=True)
    stamp = folder / "spec.txt"
    if stamp.exists() and stamp.read_text(encoding="utf-8") != repr(made_with):
        raise DatasetError(f"{folder}: holds a dataset made with other parameters or sources")
    stamp.write_text(repr(made_with), encoding="utf-8")
    key, kept = Key("composing videos", repr(made_with), code_of(make_composed)), folder / "key.json"
    anew = key.begin_files(kept, exist=any((folder / "videos").iterdir()))
    jobs = [
        (spec, pieces[row.video_id], folder / row.path, anew) for row in videos.itertuples(index=False)
    ]
    map_processes(_make_video, jobs, workers=workers, title="composing")
    if anew:
        key.write(kept, again=key.why_again([kept]) or OLDER)
    _piece_table(pieces).to_csv(folder / "pieces.csv", index=False, float_format="%.3f")
    return write_dataset(
        folder,
        name="composed",
        classes=classes,
        videos=videos,
        segments=_segments(pieces),
        licence="of the sources",
        origin="composed by scslib.datasets.compose from trimmed clips and distractors",
        made_with=made_with,
        test_groups=sorted(test_groups),
        left_out=len(left_out),
        notes=sources.write_left_out(folder, left_out)
        + [line for root in (clips, distractors) for line in sources.beside_note(root)]
        + [f"in the source clips, {line}" for line in sources.tells(actions)],
    )


def _make_video(job: tuple[Composition, list[Piece], Path, bool]) -> None:
    """Pictures are streamed; the sound (64 kB for each second) is held."""
    spec, pieces, path, anew = job
    if path.exists() and not anew:
        return
    sound = np.zeros(round(pieces[-1].end_s * SAMPLE_RATE), np.float32)
    for piece in pieces:
        if spec.sound == "keep" and piece.source.sound:
            first, last = (round(t * SAMPLE_RATE) for t in (piece.start_s, piece.end_s))
            sound[first:last] = piece_sound(piece)
    pictures = (picture for piece in pieces for picture in piece_pictures(piece, spec.encoding))
    with replacing_if_other(path) as part:
        write_video(part, pictures, np.clip(sound, -1, 1), spec.encoding)


def _survey(
    clips: Path, distractors: Path, workers: int
) -> tuple[list[Source], list[Source], list[Source]]:
    """(clips, distractors, left out): every file decoded once, copies and broken ones left out."""
    inside, lost = sources.class_files(clips)
    outside, nameless = sources.all_files(distractors)
    check_classes(clips, [source.label for source in inside])
    kept, copies = without_copies(inside + outside)
    usable, broken = sources.survey(kept, whole=True, workers=workers, title="reading sources")
    others = [source for source in usable if not source.label]
    if len(others) < 2:
        raise DatasetError(
            f"{distractors}: {len(others)} usable distractors, at least 2 are needed (train and test)"
        )
    return [s for s in usable if s.label], others, lost + nameless + copies + broken


def _segments(plans: dict[str, list[Piece]]) -> pd.DataFrame:
    """Where the action is; pieces of action that touch are one segment."""
    rows = []
    for video_id, pieces in plans.items():
        before = None
        for piece in pieces:
            if piece.is_action and before is not None and before.is_action:
                rows[-1] = (*rows[-1][:2], piece.end_s)
            elif piece.is_action:
                rows.append((video_id, piece.start_s, piece.end_s))
            before = piece
    return pd.DataFrame(rows, columns=["video_id", "start_s", "end_s"])


def _piece_table(plans: dict[str, list[Piece]]) -> pd.DataFrame:
    """Where each piece comes from; sources are named below CLIPS or the distractors' folder."""
    rows = []
    for video_id, pieces in plans.items():
        for p in pieces:
            rows.append((video_id, p.start_s, p.end_s, p.kind, p.source.name, p.source_start_s))
    columns = ["video_id", "start_s", "end_s", "kind", "source", "source_start_s"]
    return pd.DataFrame(rows, columns=columns)


def _digest(used: Sequence[Source]) -> str:
    """Which sources were used, in short: their names, sizes in bytes and lengths."""
    text = "\n".join(f"{s.name} {s.path.stat().st_size} {s.seconds:.3f}" for s in used)
    return f"{len(used)} files, sha256 {sha256(text.encode()).hexdigest()[:16]}"
