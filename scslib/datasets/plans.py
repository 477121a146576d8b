"""What a composed video is made of: which seconds of which sources, and which videos share a source.

`compose` cuts and encodes what is planned here; nothing here opens a file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scslib.datasets import sources
from scslib.datasets.manifest import PARTS, DatasetError, training_parts
from scslib.datasets.pieces import Piece
from scslib.datasets.sources import Source
from scslib.video.write import Encoding

OF_A_SOURCE = 3  # test videos, at least, where there are so many


@dataclass(frozen=True)
class Composition:
    """What to make. Times in seconds, shares in 0..1.

    action_share: part of each video that shows its class. hard_share: part of the rest that shows the
    actions of other classes, each for at most half as long as its own class, and less where clips lack.
    most_share: no distractor is in more than this share of the videos of a part, and none comes more
    than most_times in one video. piece_s: the range of a piece's length, less where the file is
    shorter. sound: "keep" the sources' or "silence" everything.
    group_pattern: a regular expression whose one capture group is the group in a file's name.
    test_groups: the groups of the test videos; if empty, `test_share` of them, the same in all classes.
    held_out, validation: the parts of the training videos; see `manifest.training_parts`.
    distractor_pattern: a regular expression whose capture group is the source in a distractor's name;
    distractors of one source are in one part. Empty: each file is its own source.
    """

    train_videos: int = 60
    test_videos: int = 30
    duration_s: float = 90.0
    action_share: float = 0.15
    hard_share: float = 0.2
    most_share: float = 0.2
    most_times: int = 1
    piece_s: tuple[float, float] = (2.0, 4.0)
    sound: str = "keep"
    group_pattern: str = r"_(g\d+)_"
    test_groups: tuple[str, ...] = ()
    test_share: float = 0.3
    held_out: float = 0.34
    validation: float = 0.2
    distractor_pattern: str = ""
    seed: int = 0
    encoding: Encoding = Encoding()

    def __post_init__(self):
        for name in ("train_videos", "test_videos", "most_times"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} ({getattr(self, name)}) must be > 0")
        if not 10 <= self.duration_s < math.inf:
            raise ValueError(f"duration_s ({self.duration_s}) must be >= 10")
        for name in ("hard_share", "validation"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} ({getattr(self, name)}) must be in 0..1, less than 1")
        if not 0 < self.most_share <= 1:
            raise ValueError(f"most_share ({self.most_share}) must be in 0..1, more than 0")
        for name in ("action_share", "test_share", "held_out"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} ({getattr(self, name)}) must be between 0 and 1")
        if not 0.5 <= self.piece_s[0] <= self.piece_s[1] <= self.duration_s / 2:
            raise ValueError(f"piece_s {self.piece_s} must be ascending, in 0.5..duration_s / 2")
        if self.sound not in ("keep", "silence"):
            raise ValueError(f"sound ({self.sound}) must be one of keep, silence")
        sources.check_pattern(self.group_pattern)
        if self.distractor_pattern:
            sources.check_pattern(self.distractor_pattern)


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


def deal_videos(
    actions: Sequence[Source], classes: Sequence[str], test_groups: set[str], spec: Composition
) -> pd.DataFrame:
    """`video_id, path, label, split, group, part` of every video: which clips it is cut from."""
    rows = []
    for split, count in (("train", spec.train_videos), ("test", spec.test_videos)):
        mine = [s for s in actions if (s.group in test_groups) == (split == "test")]
        for label, group in _deal(mine, classes, count, spec, split):
            video_id = f"v{len(rows):04d}"
            rows.append((video_id, f"videos/{video_id}.mp4", label, split, group))
    videos = pd.DataFrame(rows, columns=["video_id", "path", "label", "split", "group"])
    part = pd.Series("test", videos.index)
    train = videos[videos["split"] == "train"]
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


def plan_videos(
    spec: Composition, videos: pd.DataFrame, actions: Sequence[Source], distractors: Sequence[Source]
) -> dict[str, list[Piece]]:
    """The pieces of every video, by its id. Raises `DatasetError` for too few distractors."""
    plans = {}
    pools = _pools(spec, videos, distractors)
    for part, rows in videos.groupby("part", sort=False):
        cast = {key: [] for key in zip(rows["label"], rows["group"], strict=True)}
        for source in actions:
            if (source.label, source.group) in cast:
                cast[source.label, source.group].append(source)
        hard = _Pool([s for some in cast.values() for s in some], spec.most_share, len(rows))
        for number, row in zip(rows.index, rows.itertuples(index=False), strict=True):
            plans[row.video_id] = plan_video(
                spec, number, cast[row.label, row.group], hard, pools[part], part=part
            )
    return plans


def _most(most_share: float, videos: int) -> int:
    """In how many of so many videos a distractor may be."""
    return max(1, math.floor(most_share * videos + 1e-9))


class _Pool:
    """Sources that are lent to videos, the least used ones first, each to a share of them at most."""

    def __init__(self, sources: Sequence[Source], most_share: float, videos: int):
        self.sources, self.videos = list(sources), videos
        self.most = _most(most_share, videos)
        self.used = np.zeros(len(self.sources), int)

    @property
    def fair_s(self) -> float:
        """How many seconds each of the videos can have, if all have as many.

        The last source that a video takes is hardly ever used up: one is left for that.
        """
        there = sum(s.seconds for s in self.sources)
        return max(0.0, there * self.most / self.videos - there / len(self.sources))

    def lend(
        self, rng: np.random.Generator, seconds: float, allowed: Callable[[Source], bool] = bool
    ) -> list[Source]:
        """Sources of `seconds` together for one video, or as much as there is."""
        order = rng.permutation(len(self.sources))
        lent = []
        for i in sorted(order, key=lambda i: self.used[i]):
            if seconds <= 0:
                break
            if self.used[i] < self.most and allowed(self.sources[i]):
                self.used[i] += 1
                lent.append(self.sources[i])
                seconds -= self.sources[i].seconds
        return lent


def _pools(spec: Composition, videos: pd.DataFrame, distractors: Sequence[Source]) -> dict[str, _Pool]:
    """The distractors of each part, by how many its videos need; no source is in two parts."""
    if spec.distractor_pattern:
        distractors = sources.with_groups(distractors, spec.distractor_pattern)
    origins: dict[str, list[Source]] = {}
    for source in distractors:
        origins.setdefault(source.group or source.name, []).append(source)
    order = np.random.default_rng([spec.seed, 3]).permutation(sorted(origins)).tolist()
    count = videos["part"].value_counts()
    own: dict[str, list[Source]] = {part: [] for part in count.index}
    need = {part: n / _most(spec.most_share, n) for part, n in count.items()}
    if len(order) < len(own):
        raise DatasetError(
            f"{distractors[0].root}: {len(order)} sources of distractors, at least {len(own)} are "
            f"needed, one each for {', '.join(own)}"
        )
    for name in order:  # to the part that has least of its need
        part = min(own, key=lambda part: sum(s.seconds for s in own[part]) / need[part])
        own[part] += origins[name]
    return {part: _Pool(mine, spec.most_share, int(count[part])) for part, mine in own.items()}


def plan_video(
    spec: Composition,
    number: int,
    cast: Sequence[Source],
    hard: _Pool,
    distractors: _Pool,
    *,
    part: str = "test",
) -> list[Piece]:
    """The pieces of video `number`, end to end: action from `cast` among what the pools lend.

    Raises `DatasetError` where these cannot fill it.
    """
    rng = np.random.default_rng([spec.seed, 2, number])
    rate = spec.encoding.frame_rate
    frames = round(spec.duration_s * rng.uniform(1.0, 1.1) * rate)
    action = round(frames * spec.action_share)
    cuts = [(*cut, "action") for cut in _cuts(rng, spec, cast, action)]
    others = sorted({s.label for s in hard.sources} - {cast[0].label})
    each = round(min((frames - action) * spec.hard_share / max(1, len(others)), action / 2))
    rest = frames - action
    for label in others if each >= spec.piece_s[0] * rate / 2 else ():
        lent = hard.lend(rng, each / rate, lambda source, label=label: source.label == label)
        some = min(each, int(sum(s.seconds for s in lent) * rate))
        cuts += [(*cut, "other action") for cut in _cuts(rng, spec, lent, some)]
        rest -= some
    different_s = min(rest / rate, distractors.fair_s)
    lent = distractors.lend(rng, max(rest / rate / spec.most_times, different_s))
    if sum(s.seconds for s in lent) * rate * spec.most_times < rest - 1:
        raise DatasetError(_too_few(spec, distractors, part, rest / rate))
    cuts += [(*cut, "distractor") for cut in _cuts(rng, spec, lent, rest)]
    pieces, now = [], 0
    for i in rng.permutation(len(cuts)):
        source, start_s, count, kind = cuts[i]
        pieces.append(Piece(source, start_s, count, now / rate, (now + count) / rate, kind))
        now += count
    return pieces


def _too_few(spec: Composition, pool: _Pool, part: str, needed_s: float) -> str:
    """That the distractors of a part do not suffice, in words, and for what they would."""
    there = sum(s.seconds for s in pool.sources)
    one_s = there / len(pool.sources)
    most_s = pool.fair_s * spec.most_times  # of each video
    shorter = spec.duration_s * 0.9 * most_s / needed_s
    words = (
        f"{pool.sources[0].root}: {len(pool.sources)} distractors of {there:.0f} s together for "
        f"{pool.videos} {part} videos; each video needs {needed_s:.0f} s of them, and none may be in "
        f"more than {pool.most}: give more distractors, a larger --hard-share, or --duration-s "
        f"{shorter:.0f}"
    )
    once_s = needed_s / spec.most_times
    if once_s < there:
        share = math.ceil(100 * min(1, 1.1 * (once_s + one_s) / there + 1 / pool.videos)) / 100
        words += f", or --most-share {share:g}"
    return words + f", or --most-times {spec.most_times + 1}"


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
