"""Settings of a composed dataset: how many videos, of what, how long."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scslib.datasets import sources
from scslib.video.write import Encoding


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
