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
    least decoding; of a stream with B-frames, whose P-frames lie far apart, at equal distances all the
    same. Where the frame at such a place is no P-frame, the next one of the same clip is taken: what is
    read of a clip does not depend on the clip before it.
    """

    def __init__(self, index: ClipIndex, runs: Sequence[range], pictures: int, *, early: bool = False):
        self._key, self._every = index.key, not pictures
        self._since = None if not early or index.info.reordered else _since_keyframe(index.key, runs)
        if self._every:
            places = [(run[0], run[-1]) for run in runs]
        else:
            places = sorted({(p, run[-1]) for run in runs for p in self._places(run, pictures)})
        self._left: deque[tuple[float, float]] = deque([*places, (math.inf, math.inf)])

    def _places(self, run: range, pictures: int) -> list[int]:
        key = self._key[run[0] : run[-1] + 1].tolist()
        at = [p for p, is_key in zip(run, key, strict=True) if not is_key] or list(run)
        if len(at) <= pictures:
            return at
        if self._since is not None and any(key):
            return sorted(sorted(at, key=self._since.__getitem__)[:pictures])
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

    def next_after(self, position: int) -> float:
        """The first position after this one to look at; infinity where nothing more is wanted."""
        first = next(first for first, end in self._left if end > position)
        return max(first, position + 1)

    def nothing_more_of(self, run: range, position: int) -> bool:
        """Tell whether no frame of a clip has to be seen after `position`."""
        return self._left[0][0] > run[-1] and not self._key[position + 1 : run[-1] + 1].any()


def _since_keyframe(key: np.ndarray, runs: Sequence[range]) -> dict[int, int]:
    """How many frames come before each of the runs' frames since the last keyframe."""
    begin, end = runs[0][0], runs[-1][-1] + 1
    before = np.flatnonzero(key[: begin + 1])
    at = np.arange(begin, end)
    last = np.maximum.accumulate(np.where(key[begin:end], at, before[-1] if len(before) else 0))
    return dict(zip(at.tolist(), (at - last).tolist(), strict=True))


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
    """The frames to see next, one at a time: keyframes of a clip, and frames that are `due`.

    What is due is asked when the next frame is: the reader must have told `due` of all frames before.
    """
    keys = (run[0] + np.flatnonzero(index.key[run[0] : run[-1] + 1]) for run in runs)
    keyframes = deque([*itertools.chain.from_iterable(each.tolist() for each in keys), math.inf])
    at = -1
    while True:
        while keyframes[0] <= at:
            keyframes.popleft()
        following = min(keyframes[0], due.next_after(at))
        if following == math.inf:
            return
        at = int(following)
        yield range(at, at + 1)
