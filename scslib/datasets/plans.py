"""Plan composed videos: which seconds of which source files each one shows.

`compose` cuts and encodes what is planned here; nothing here opens a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np
import pandas as pd

from scslib.datasets.composition import Composition
from scslib.datasets.distractors import DistractorPool, pools, too_few
from scslib.datasets.manifest import PARTS, DatasetError, training_parts
from scslib.datasets.pieces import Piece
from scslib.datasets.sources import Source

OF_A_SOURCE = 3  # test videos, at least, where there are so many


def choose_test_groups(actions: Sequence[Source], spec: Composition) -> set[str]:
    """The groups of the test videos. They are such that every class has clips in train and in test.

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


def deal_videos(
    actions: Sequence[Source], classes: Sequence[str], test_groups: set[str], spec: Composition
) -> pd.DataFrame:
    """`video_id, path, label, split, group, part` of every video: which clips it is cut from."""
    rows: list[tuple[str, str, str, str, str]] = []
    for split, count in (("train", spec.train_videos), ("test", spec.test_videos)):
        mine = [s for s in actions if (s.group in test_groups) == (split == "test")]
        for label, group in _deal(mine, classes, count, spec, split):
            video_id = f"v{len(rows):04d}"
            rows.append((video_id, f"videos/{video_id}.mp4", label, split, group))
    videos = pd.DataFrame(rows, columns=["video_id", "path", "label", "split", "group"])
    part = pd.Series("test", videos.index)
    train = videos[videos["split"] == "train"]
    parts: Iterable[pd.DataFrame]
    try:
        parts = training_parts(train, spec.held_out, spec.validation)
    except DatasetError:  # a class with one group, which is said of any dataset
        parts = [train]
    for name, some in zip(PARTS, parts, strict=False):
        part[videos["video_id"].isin(some["video_id"])] = name
    return videos.assign(part=part)


def _deal(
    actions: Sequence[Source], classes: Sequence[str], count: int, spec: Composition, split: str
) -> list[tuple[str, str]]:
    """(class, group) of each of `count` videos: classes balanced, the groups of a class in turn.

    In test no more groups than have `OF_A_SOURCE` videos each, so that each is looked at more than once.
    """
    rng = np.random.default_rng([spec.seed, 4, split == "test"])
    dealt = []
    for k, label in enumerate(classes):
        groups = rng.permutation(sorted({s.group for s in actions if s.label == label})).tolist()
        videos = count // len(classes) + (k < count % len(classes))
        if split == "test":
            groups = groups[: max(1, videos // OF_A_SOURCE)]
        dealt += [(label, groups[i % len(groups)]) for i in range(videos)]
    return [dealt[i] for i in rng.permutation(len(dealt))]


def plan_all_composed(
    spec: Composition, videos: pd.DataFrame, actions: Sequence[Source], distractors: Sequence[Source]
) -> dict[str, list[Piece]]:
    """The pieces of every video, by its id. Raises `DatasetError` for too few distractors."""
    plans = {}
    lent = pools(spec, videos, distractors)
    for part, rows in videos.groupby("part", sort=False):
        cast: dict[tuple[str, str], list[Source]]
        cast = {key: [] for key in zip(rows["label"], rows["group"], strict=True)}
        for source in actions:
            if (source.label, source.group) in cast:
                cast[source.label, source.group].append(source)
        hard = DistractorPool([s for some in cast.values() for s in some], spec.most_share, len(rows))
        for number, row in zip(rows.index, rows.itertuples(index=False), strict=True):
            plans[row.video_id] = plan_composed(
                spec, number, cast[row.label, row.group], hard, lent[part], part=part
            )
    return plans


def plan_composed(
    spec: Composition,
    number: int,
    cast: Sequence[Source],
    hard: DistractorPool,
    distractors: DistractorPool,
    *,
    part: str = "test",
) -> list[Piece]:
    """The pieces of video `number`, end to end: action from `cast` among what the pools lend.

    Raises `DatasetError` where these cannot fill it.
    """
    rng = np.random.default_rng([spec.seed, 2, number])
    rate = float(spec.encoding.frame_rate)
    frames = round(spec.duration_s * rng.uniform(1.0, 1.1) * rate)
    action = round(frames * spec.action_share)
    cuts = [(*cut, "action") for cut in _cuts(rng, spec, cast, action)]
    others = sorted({s.label for s in hard.sources} - {cast[0].label})
    each = round(min((frames - action) * spec.hard_share / max(1, len(others)), action / 2))
    rest = frames - action
    for label in others if each >= spec.piece_s[0] * rate / 2 else ():
        lent = hard.lend(rng, each / rate, partial(_is_of, label))
        some = min(each, int(sum(s.seconds for s in lent) * rate))
        cuts += [(*cut, "other action") for cut in _cuts(rng, spec, lent, some)]
        rest -= some
    different_s = min(rest / rate, distractors.fair_s)
    lent = distractors.lend(rng, max(rest / rate / spec.most_times, different_s))
    if sum(s.seconds for s in lent) * rate * spec.most_times < rest - 1:
        raise DatasetError(too_few(spec, distractors, part, rest / rate))
    cuts += [(*cut, "distractor") for cut in _cuts(rng, spec, lent, rest)]
    pieces, now = [], 0
    for i in rng.permutation(len(cuts)):
        source, start_s, count, kind = cuts[i]
        pieces.append(Piece(source, start_s, count, now / rate, (now + count) / rate, kind))
        now += count
    return pieces


def _is_of(label: str, source: Source) -> bool:
    return source.label == label


def _cuts(
    rng: np.random.Generator, spec: Composition, pool: Sequence[Source], frames: int
) -> list[tuple[Source, float, int]]:
    """(source, start in it, frames) until `frames` are full; every file once before any comes again."""
    rate = spec.encoding.frame_rate
    cuts = []
    turn: list[int] = []
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
