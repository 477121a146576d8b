"""The share of each clip that lies in its video's annotated segments."""

from __future__ import annotations

import numpy as np
import pandas as pd

from scslib.datasets.manifest import Dataset
from scslib.jobs.shard_files import Shards


def inside_segments(
    dataset: Dataset, video_id: str, features: Shards, numbers: np.ndarray
) -> pd.Series | None:
    """The share, (N,), of each clip inside the video's segments. Clips are f's `numbers`; None without
    annotation.

    NaN for clips of which `features`, which know the times, could read nothing.
    """
    spans = dataset.segments_of(video_id)
    if not len(spans) or video_id not in features:
        return None
    start, end = features.get(video_id, "times").T
    share = pd.Series(overlap(start, end, spans) / np.maximum(end - start, 1e-9))
    share.index = clip_numbers(features, video_id, len(share))
    return share.reindex(numbers).reset_index(drop=True)  # its mean passes over NaN


def overlap(start: np.ndarray, end: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """The seconds, (N,), that intervals [start, end) share with the disjoint `spans` (S, 2)."""
    shared = np.minimum(end[:, None], spans[:, 1]) - np.maximum(start[:, None], spans[:, 0])
    return np.clip(shared, 0, None).sum(1)


def clip_numbers(shards: Shards, video_id: str, rows: int) -> np.ndarray:
    """The clip numbers, (N,) int, of the `rows` of a video's arrays: damaged clips have no row."""
    return shards.get(video_id, "clip") if shards.has(video_id, "clip") else np.arange(rows)
