"""The clips that the classifier f learns from: decoded once, kept on disk.

Processes that only decode import neither PyTorch nor tables, which take seconds and half a gigabyte.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scslib import sampling
from scslib.shards import Read, Shards, run_shards, videos_of
from scslib.video.clips import ClipIndex, index_clips
from scslib.video.frames import decode_clips, short_side

if TYPE_CHECKING:
    from scslib.datasets.manifest import Dataset
    from scslib.models.views import View


def read_training_clips(
    dataset: Dataset,
    videos,
    folder: str | Path,
    *,
    per_video: int,
    segment_share: float,
    view: View,
    seed: int,
    workers: int = 0,
) -> Shards:
    """Decode `per_video` clips of each video for the training of f.

    `segment_share` of them, 0..1, lie inside the annotated segments, which is what a classifier
    pre-trained on trimmed video has seen; the others lie anywhere, as in the paper (0: all of them).
    Shards of `clips` (n, frames, H, W, 3) uint8, what `view.fit` makes of them, and `start_s` (n,).
    """
    from scslib.models.specs import describe  # and with it PyTorch

    if not 0 <= segment_share <= 1:
        raise ValueError(f"segment_share ({segment_share}) must be in 0..1")
    if segment_share > 0 and dataset.segments.empty:
        raise ValueError(
            f"segment_share ({segment_share}) must be 0: {dataset.folder} has no segments.csv"
        )
    rows = [
        video._replace(
            own={"video_id": video.video_id, "segments": dataset.segments_of(video.video_id).tolist()}
        )
        for video in videos_of(dataset, videos)
    ]
    params = {
        "per_video": per_video,
        "inside": round(segment_share * per_video),
        "view": describe(view),
        "seed": seed,
    }
    return run_shards(
        _training_clips, rows, folder, params=params, workers=workers, title="decoding clips"
    )


def _training_clips(path: Path, params: dict) -> Read:
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
    rng = sampling.draws(params["seed"], params["video_id"])
    drawn = rng.choice(inside, size=min(params["inside"], len(inside)), replace=False) if inside else []
    others = np.setdiff1d(np.arange(len(index)), drawn)
    count = min(params["per_video"] - len(drawn), len(others))
    picks = np.sort([*drawn, *rng.choice(others, size=count, replace=False)]).astype(int)
    pixels = _fitted(index, picks, view)
    start = np.array([index.clips[i].start_s for i in picks])
    return Read({"clips": pixels, "start_s": start}, len(pixels), len(picks), index.missing, index.note)


def _fitted(index: ClipIndex, picks: np.ndarray, view: dict) -> np.ndarray:
    """The picked clips as a view, of `specs.describe`, fits them; of the kit's own without PyTorch."""
    width, height = index.info.width, index.info.height
    if view["kind"] == "kit":
        size = short_side(width, height, view["short_side"])
        return decode_clips(index, picks, size=size, frames=view["frames"])
    import torch

    from scslib.models.specs import view_of

    made = view_of(view)
    pixels = decode_clips(index, picks, size=made.read_size(width, height), frames=made.frames)
    return made.fit(torch.from_numpy(pixels)).numpy()
