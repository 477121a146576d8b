"""`scs data compose`: long untrimmed videos out of folders of trimmed ones, CLIPS/<class>/*.

Each video is a chain of pieces of a few seconds. About a seventh of the time shows the video's class,
cut from the trimmed clips of one group; the rest is cut from distractors, any other videos.

What must not give the class away, and how it is kept from it:

    codec, size, frame rate, GOP   everything is decoded and encoded again with one setting
    shape of the picture           scaled to cover, then cut at the centre: black bars would show the
                                   shape of the source, which differs by class in collected datasets
    speed                          pictures are picked by pts: a second stays a second at any rate
    an audio track                 every file has one, silent where a source has no sound
    order, number, length          drawn without looking at the class; ids are dealt out shuffled
    the source video               train and test share no group and no file, also not a copy

What remains: whether there *is* sound still differs by class where it does in the sources (in UCF-101
it does; `sound="silence"` takes it out, with all that an audio sampler could use); the length and so
the cuts of pieces where clips are shorter than a piece; and traces of the sources' own compression,
sharpness and frame rate in the pixels. `dataset.json` lists which properties of the source files tell
the class (`notes`), and `pieces.csv` where every piece comes from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

from scslib.datasets import sources
from scslib.datasets.classes import say_shortages
from scslib.datasets.copies import without_copies
from scslib.datasets.manifest import Dataset, DatasetError, check_classes, write_dataset
from scslib.datasets.pieces import Piece, piece_pictures, piece_sound
from scslib.datasets.sources import Source
from scslib.files import check_folder, replacing_if_other
from scslib.isolation import map_processes
from scslib.keys import OLDER, Key
from scslib.sources import code_of
from scslib.video.audio import SAMPLE_RATE
from scslib.video.write import Encoding, write_video


@dataclass(frozen=True)
class Composition:
    """What to make. Times in seconds, shares in 0..1.

    action_share: part of each video that shows its class. piece_s: the range of a piece's length,
    less where the file is shorter. sound: "keep" the sources' or "silence" everything.
    group_pattern: a regular expression whose one capture group is the group in a file's name.
    test_groups: the groups of the test videos; if empty, `test_share` of them, the same in all classes.
    """

    train_videos: int = 60
    test_videos: int = 30
    duration_s: float = 90.0
    action_share: float = 0.15
    piece_s: tuple[float, float] = (2.0, 4.0)
    sound: str = "keep"
    group_pattern: str = r"_(g\d+)_"
    test_groups: tuple[str, ...] = ()
    test_share: float = 0.3
    seed: int = 0
    encoding: Encoding = Encoding()

    def __post_init__(self):
        for name in ("train_videos", "test_videos"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} ({getattr(self, name)}) must be > 0")
        if not 10 <= self.duration_s < math.inf:
            raise ValueError(f"duration_s ({self.duration_s}) must be >= 10")
        for name in ("action_share", "test_share"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} ({getattr(self, name)}) must be between 0 and 1")
        if not 0.5 <= self.piece_s[0] <= self.piece_s[1] <= self.duration_s / 2:
            raise ValueError(f"piece_s {self.piece_s} must be ascending, in 0.5..duration_s / 2")
        if self.sound not in ("keep", "silence"):
            raise ValueError(f"sound ({self.sound}) must be one of keep, silence")
        sources.check_pattern(self.group_pattern)


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
    halves = _halves(others, spec)
    made_with = asdict(spec) | {"sources": _digest(actions + others)}
    (folder / "videos").mkdir(parents=True, exist_ok=True)
    stamp = folder / "spec.txt"
    if stamp.exists() and stamp.read_text(encoding="utf-8") != repr(made_with):
        raise DatasetError(f"{folder}: holds a dataset made with other parameters or sources")
    stamp.write_text(repr(made_with), encoding="utf-8")
    key, kept = Key("composing videos", repr(made_with), code_of(make_composed)), folder / "key.json"
    anew = key.begin_files(kept, exist=any((folder / "videos").iterdir()))

    rows, jobs = [], []
    for split, count in (("train", spec.train_videos), ("test", spec.test_videos)):
        mine = [s for s in actions if (s.group in test_groups) == (split == "test")]
        for label, group in _deal(mine, classes, count, spec, split):
            video_id = f"v{len(rows):04d}"
            cast = [s for s in mine if (s.label, s.group) == (label, group)]
            pieces = plan_video(spec, len(rows), cast, halves[split])
            rows.append((video_id, f"videos/{video_id}.mp4", label, split, group))
            jobs.append((spec, pieces, folder / rows[-1][1], anew))
    videos = pd.DataFrame(rows, columns=["video_id", "path", "label", "split", "group"])
    say_shortages(videos)
    map_processes(_make_video, jobs, workers=workers, title="composing")
    if anew:
        key.write(kept, again=key.why_again([kept]) or OLDER)
    plans = dict(zip(videos["video_id"], (pieces for _, pieces, *_ in jobs), strict=True))
    _piece_table(plans).to_csv(folder / "pieces.csv", index=False, float_format="%.3f")
    return write_dataset(
        folder,
        name="composed",
        classes=classes,
        videos=videos,
        segments=_segments(plans),
        licence="of the sources",
        origin="composed by scslib.datasets.compose from trimmed clips and distractors",
        made_with=made_with,
        test_groups=sorted(test_groups),
        left_out=len(left_out),
        notes=sources.write_left_out(folder, left_out)
        + [line for root in (clips, distractors) for line in sources.beside_note(root)]
        + [f"in the source clips, {line}" for line in sources.tells(actions)],
    )


def choose_test_groups(actions: Sequence[Source], spec: Composition) -> set[str]:
    """The groups of the test videos, so that every class has clips in train and in test.

    Raises `DatasetError` where that cannot be.
    """
    of_class: dict[str, set[str]] = {}
    for source in actions:
        of_class.setdefault(source.label, set()).add(source.group)
    groups = sorted(set().union(*of_class.values()))
    root = actions[0].root
    if spec.test_groups:
        for group in spec.test_groups:
            if group not in groups:
                raise DatasetError(f"{root}: test group {group!r} is none of {groups}")
        tries = [set(spec.test_groups)]
    else:
        count = min(len(groups) - 1, max(1, round(len(groups) * spec.test_share)))
        rng = np.random.default_rng([spec.seed, 1])
        tries = [set(rng.permutation(groups)[:count].tolist()) for _ in range(200)]
    for test in tries:
        lacking = [c for c, own in sorted(of_class.items()) if not own & test or not own - test]
        if not lacking:
            return test
    raise DatasetError(
        f"{root / lacking[0]}: class {lacking[0]!r} needs clips in train and in test groups "
        f"(its groups: {sorted(of_class[lacking[0]])}, test: {sorted(test)})"
    )


def plan_video(
    spec: Composition, number: int, cast: Sequence[Source], distractors: Sequence[Source]
) -> list[Piece]:
    """The pieces of video `number`, end to end: action from `cast` among `distractors`."""
    rng = np.random.default_rng([spec.seed, 2, number])
    rate = spec.encoding.frame_rate
    frames = round(spec.duration_s * rng.uniform(1.0, 1.1) * rate)
    action = round(frames * spec.action_share)
    cuts = _cuts(rng, spec, cast, action) + _cuts(rng, spec, distractors, frames - action)
    pieces, now = [], 0
    for i in rng.permutation(len(cuts)):
        source, start_s, count = cuts[i]
        pieces.append(Piece(source, start_s, count, now / rate, (now + count) / rate))
        now += count
    return pieces


def _cuts(
    rng: np.random.Generator, spec: Composition, pool: Sequence[Source], frames: int
) -> list[tuple[Source, float, int]]:
    """(source, start in it, frames) until `frames` are full; every file once before any comes again."""
    rate = spec.encoding.frame_rate
    cuts, turn = [], []
    while frames > 0:
        if not turn:
            turn = rng.permutation(len(pool)).tolist()
        source = pool[turn.pop()]
        longest = max(1, int(source.seconds * rate))
        count = min(round(rng.uniform(*spec.piece_s) * rate), longest)
        if 0 < frames - count < spec.piece_s[0] * rate:  # rather two like pieces than one and a flash
            count = min(frames if frames <= longest else frames // 2, longest)
        count = min(count, frames)
        spare = max(0.0, source.seconds - count / rate)
        cuts.append((source, float(rng.uniform(0, spare)), count))
        frames -= count
    return cuts


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


def _halves(distractors: list[Source], spec: Composition) -> dict[str, list[Source]]:
    """The distractors of train and of test: no file is in both."""
    order = np.random.default_rng([spec.seed, 3]).permutation(len(distractors))
    count = min(len(order) - 1, max(1, round(len(order) * spec.test_share)))
    mixed = [distractors[i] for i in order]
    return {"test": mixed[:count], "train": mixed[count:]}


def _deal(
    actions: Sequence[Source], classes: Sequence[str], count: int, spec: Composition, split: str
) -> list[tuple[str, str]]:
    """(class, group) of each of `count` videos: classes balanced, the groups of a class in turn."""
    rng = np.random.default_rng([spec.seed, 4, split == "test"])
    dealt = []
    for k, label in enumerate(classes):
        groups = rng.permutation(sorted({s.group for s in actions if s.label == label})).tolist()
        videos = count // len(classes) + (k < count % len(classes))
        dealt += [(label, groups[i % len(groups)]) for i in range(videos)]
    return [dealt[i] for i in rng.permutation(len(dealt))]


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
            kind = "action" if p.is_action else "distractor"
            rows.append((video_id, p.start_s, p.end_s, kind, p.source.name, p.source_start_s))
    columns = ["video_id", "start_s", "end_s", "kind", "source", "source_start_s"]
    return pd.DataFrame(rows, columns=columns)


def _digest(used: Sequence[Source]) -> str:
    """Which sources were used, in short: their names, sizes in bytes and lengths."""
    text = "\n".join(f"{s.name} {s.path.stat().st_size} {s.seconds:.3f}" for s in used)
    return f"{len(used)} files, sha256 {sha256(text.encode()).hexdigest()[:16]}"
