"""The frames that a reader of compressed features has to see; no others are decoded.

After the last frame that is needed in a group of pictures, the reader goes on at the next keyframe:

    frames     K . . . . . . . . . . . K . . . . . . . . . . . K      K: keyframes
    wanted           P           P               P           P
    decoded    x x x x x x x x x x     x x x x x x x x x x x x x
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np

from scslib.video.clips import ClipIndex
from scslib.video.layout import in_the_middle


class Due:
    """The P-frames whose features are still wanted, by position.

    runs: the frames of each clip, ascending. pictures: about so many of each clip (0: all), at equal
    distances. early: of a clip with a keyframe in it those that come soonest after one, which need the
    least decoding. Where the frame at such a place is no P-frame, the next one of the same clip is
    taken: what is read of a clip does not depend on that before it.
    """

    def __init__(self, index: ClipIndex, runs: Sequence[range], pictures: int, *, early: bool = False):
        self._key, self._every, self._early = index.key.tolist(), not pictures, early
        numbers = np.arange(len(index.key))
        self._since_key = (numbers - np.maximum.accumulate(numbers * index.key)).tolist()
        if self._every:
            places = [(run[0], run[-1]) for run in runs]
        else:
            places = sorted({(p, run[-1]) for run in runs for p in self._places(run, pictures)})
        self._left: deque[tuple[float, float]] = deque([*places, (math.inf, math.inf)])

    def _places(self, run: range, pictures: int) -> list[int]:
        at = [p for p in run if not self._key[p]] or list(run)
        if len(at) <= pictures:
            return at
        if self._early and len(at) < len(run):
            return sorted(sorted(at, key=self._since_key.__getitem__)[:pictures])
        return [at[i] for i in in_the_middle(len(at), pictures)]

    def give_up(self, position: int) -> None:
        """Give up what was wanted of clips that end before `position`."""
        while self._left[0][1] < position:
            self._left.popleft()

    def wants(self, position: int) -> bool:
        """Tell whether the frame at `position` is wanted, if it is a P-frame."""
        return self._left[0][0] <= position

    def found(self, position: int) -> None:
        """Take note that the features of the frame at `position` are there."""
        while not self._every and self.wants(position):
            self._left.popleft()
            if self._early:  # each of those side by side has a frame of its own
                return

    def next_after(self, position: int) -> float:
        """The first position after this one to look at; infinity where nothing more is wanted."""
        first = next(first for first, end in self._left if end > position)
        return max(first, position + 1)

    def nothing_more_of(self, run: range, position: int) -> bool:
        """Tell whether no frame of a clip has to be seen after `position`."""
        return self._left[0][0] > run[-1] and not any(self._key[position + 1 : run[-1] + 1])


def keyframes_of(index: ClipIndex, runs: Sequence[range]) -> list[range]:
    """The stretch from the keyframe before each run to the last one in it."""
    keys = np.union1d(0, np.flatnonzero(index.key))  # the first frame stands in where none is
    first = np.searchsorted(keys, [run[0] for run in runs], side="right") - 1
    last = np.searchsorted(keys, [run[-1] for run in runs], side="right") - 1
    return [range(a, b + 1) for a, b in zip(keys[first], keys[last], strict=True)]


def none_shared(runs: Sequence[range]) -> bool:
    """Tell whether no frame is in two of the clips."""
    return all(run[-1] < following[0] for run, following in itertools.pairwise(runs))


def one_by_one(index: ClipIndex, runs: Sequence[range], due: Due) -> Iterator[range]:
    """Each next frame that has to be seen: a keyframe of a clip, or one that is `due` by then."""
    inside = {p for run in runs for p in run}
    keys = [p for p in np.flatnonzero(index.key).tolist() if p in inside]
    at, number = -1, 0
    while True:
        while number < len(keys) and keys[number] <= at:
            number += 1
        key = keys[number] if number < len(keys) else math.inf
        following = min(key, due.next_after(at))
        if following == math.inf:
            return
        at = int(following)
        yield range(at, at + 1)
