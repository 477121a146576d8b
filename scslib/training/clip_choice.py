"""Choose and decode the clips that f is trained on, without PyTorch.

It and tables take seconds and half a gigabyte; `training.clips` asks for the clips.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from scslib.jobs.shards import Read
from scslib.samplers import policies
from scslib.video.clips import ClipIndex, index_clips
from scslib.video.frames import decode_clips, short_side


def drawn_clips(path: Path, params: dict) -> Read:
    """The drawn clips for the kit's own input, which is cut in training: (n, frames, H, W, 3) uint8."""
    index, picks = picked(path, params)
    view = params["view"]
    size = short_side(index.info.width, index.info.height, view["short_side"])
    clips = decode_clips(index, picks.tolist(), size=size, frames=view["frames"])
    return read({"clips": clips}, index, picks)


def picked(path: Path, params: dict) -> tuple[ClipIndex, np.ndarray]:
    """The clips of a video, and the ascending numbers of those drawn for training.

    Fewer than asked for where fewer lie inside the segments: others would be called what they are not.
    """
    view = params["view"]
    length = view["clip_len"] or view["frames"]
    stride = max(1, length // 4)  # starts between the evaluated clips' starts, too
    index = index_clips(path, clip_len=length, clip_stride=stride, frame_rate=view["frame_rate"])
    spans, slack = params["segments"], index.frame_s / 2
    inside = [
        clip.index
        for clip in index.clips
        if any(s - slack <= clip.start_s and clip.end_s <= e + slack for s, e in spans)
    ]
    rng = policies.draws(params["seed"], params["video_id"])
    drawn = rng.choice(inside, size=min(params["inside"], len(inside)), replace=False) if inside else []
    others = np.setdiff1d(np.arange(len(index)), drawn)
    count = min(params["per_video"] - params["inside"], len(others))
    return index, np.sort([*drawn, *rng.choice(others, size=count, replace=False)]).astype(int)


def read(arrays: dict[str, np.ndarray], index: ClipIndex, picks: np.ndarray) -> Read:
    """What `run_shards` wants of the arrays of the picked clips."""
    arrays |= {"start_s": np.array([index.clips[i].start_s for i in picks])}
    return Read(arrays, len(picks), len(picks), index.missing, index.note)
