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
    """What is still wanted of clips: P-frames, and keyframes to be shown.

    runs: the frames of each clip, ascending. pictures: about so many P-frames of each clip (0: all), at
    equal distances, and all its keyframes. early: what needs the least decoding of a clip with a
    keyframe in it, its first keyframe and the P-frames that come next, and if they are too few those at
    its beginning; of a stream with B-frames, whose P-frames lie far apart, and where all P-frames are
    wanted it is as without. Where the frame at such a place is no P-frame, the next one of the same clip
    is taken: what is read of a clip does not depend on the clip before it.
    """

    def __init__(self, index: ClipIndex, runs: Sequence[range], pictures: int, *, early: bool = False):
        self._key, self._every = index.key, not pictures
        self.early = early and pictures > 0 and not index.info.reordered
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
        if self.early and any(key):
            first = run[0] + key.index(True)
            return sorted(sorted(at, key=lambda p: (p < first, p))[:pictures])
        return [at[i] for i in in_the_middle(len(at), pictures)]

    def keyframes(self, run: range) -> list[int]:
        """The keyframes of a clip that are shown, by position; none where it has none."""
        inside = (run[0] + np.flatnonzero(self._key[run[0] : run[-1] + 1])).tolist()
        return inside[:1] if self.early else inside

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
        return self._left[0][0] > run[-1] and max(self.keyframes(run), default=-1) <= position


def keyframes_of(index: ClipIndex, runs: Sequence[range], due: Due) -> list[range]:
    """The frames of each run to see where only keyframes are shown.

    From the keyframe before the run to its last; where `due` is early, that which is shown alone, or
    the one before the run if it has none.
    """
    keys = np.union1d(0, np.flatnonzero(index.key))  # the first frame stands in where none is
    before = keys[np.searchsorted(keys, [run[0] for run in runs], side="right") - 1].tolist()
    shown = [due.keyframes(run) or [first] for run, first in zip(runs, before, strict=True)]
    begin = [each[0] for each in shown] if due.early else before
    return [range(first, each[-1] + 1) for first, each in zip(begin, shown, strict=True)]


def none_shared(runs: Sequence[range]) -> bool:
    """Tell whether no frame is in two of the clips."""
    return all(run[-1] < following[0] for run, following in itertools.pairwise(runs))


def one_by_one(runs: Sequence[range], due: Due) -> Iterator[range]:
    """The frames to see next, one at a time: the keyframes that are shown, and frames that are `due`.

    What is due is asked when the next frame is: the reader must have told `due` of all frames before.
    """
    keyframes = deque([*itertools.chain.from_iterable(map(due.keyframes, runs)), math.inf])
    at = -1
    while True:
        while keyframes[0] <= at:
            keyframes.popleft()
        following = min(keyframes[0], due.next_after(at))
        if following == math.inf:
            return
        at = int(following)
        yield range(at, at + 1)
