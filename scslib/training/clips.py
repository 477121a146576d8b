"""Training clips of f: decoded, or their features by a frozen trunk; kept on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from scslib.datasets.manifest import Dataset, videos_of
from scslib.jobs import devices
from scslib.jobs.shard_files import Shards
from scslib.jobs.shards import Read, run_shards
from scslib.models.checkpoints import fingerprint
from scslib.models.specs import view_as_json, view_from_json
from scslib.models.views import ClassifierInput, View
from scslib.training.clip_choice import drawn_clips, picked, read
from scslib.training.dense_scores import cached_classifier, classify_with_features
from scslib.video.clips import ClipIndex
from scslib.video.frames import decode_clips


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
    trunk: str = "",
    device: str = "cpu",
) -> Shards:
    """Decode `per_video` clips of each video for the training of f.

    `segment_share` of them, 0..1, lie inside the annotated segments, which is what a classifier
    pre-trained on trimmed video has seen, fewer where these are short; the others lie anywhere, as in
    the paper (0: all of them).
    Shards of `start_s` (n,) and `clips` (n, frames, H, W, 3) uint8, what `view.fit` makes of them. With
    `trunk`, a classifier (see `load_classifier`) that is not to be changed but for its head, of its
    pooled `features` (n, D) float32 in place of the clips.
    """
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
        "view": view_as_json(view),
        "seed": seed,
    }
    if not trunk:
        work = drawn_clips if isinstance(view, ClassifierInput) else _fitted_clips
        return run_shards(work, rows, folder, params=params, workers=workers, title="decoding clips")
    where = devices.choose(device)
    return run_shards(
        _training_features,
        rows,
        folder,
        params=params | {"device": where.type},
        stands_on={"weights": fingerprint(trunk)},
        given={"checkpoint": trunk, "on": str(where)},
        workers=workers,
        title="features of clips",
    )


def _fitted_clips(path: Path, params: dict) -> Read:
    """Clips for the input of another library, which does the resizing."""
    index, picks = picked(path, params)
    return read({"clips": _fitted(index, picks, params["view"])}, index, picks)


def _training_features(path: Path, params: dict) -> Read:
    """The features of clips by a classifier whose trunk stays as it is."""
    network, view = cached_classifier(params["checkpoint"], params["weights"], params["on"])
    index, picks = picked(path, params)
    size, found = devices.clips_at_once(devices.choose(params["on"])), [np.zeros((0, 0), np.float32)]
    for first in range(0, len(picks), size):
        pixels = _fitted(index, picks[first : first + size], params["view"])
        found.append(classify_with_features(network, view, pixels, fitted=True)[1])
    return read({"features": np.concatenate(found[1:] or found)}, index, picks)


def _fitted(index: ClipIndex, picks: np.ndarray, view: dict) -> np.ndarray:
    """The picked clips (n, frames, h, w, 3) as a view, of `specs.view_as_json`, fits them."""
    made = view_from_json(view)
    size = made.read_size(index.info.width, index.info.height)
    pixels = decode_clips(index, picks.tolist(), size=size, frames=made.frames)
    return made.fit(torch.from_numpy(pixels)).numpy()
