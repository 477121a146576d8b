"""Pools of distractor clips; none is shown in too many videos."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from scslib.datasets import sources
from scslib.datasets.composition import Composition
from scslib.datasets.manifest import DatasetError
from scslib.datasets.sources import Source


def _most(most_share: float, videos: int) -> int:
    """In how many of so many videos a distractor may be."""
    return max(1, math.floor(most_share * videos + 1e-9))


class DistractorPool:
    """Sources that are lent to videos, the least used ones first. Each gets a share of them at most."""

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


def pools(
    spec: Composition, videos: pd.DataFrame, distractors: Sequence[Source]
) -> dict[str, DistractorPool]:
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
    return {part: DistractorPool(mine, spec.most_share, int(count[part])) for part, mine in own.items()}


def too_few(spec: Composition, pool: DistractorPool, part: str, needed_s: float) -> str:
    """A line that says that a part's distractors do not suffice. It also says for what they would."""
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
