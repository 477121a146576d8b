"""The costly classifier f: the clips that it learns from, and its scores of every clip (dense)."""

from __future__ import annotations

import itertools
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from scslib.datasets.manifest import Dataset
from scslib.features import videos_of
from scslib.models.checkpoints import fingerprint, load_classifier
from scslib.models.classifiers import ClassifierInput, forward_features, spread
from scslib.shards import Read, Shards, run_shards
from scslib.video.clips import ClipIndex, expected_clips, index_clips
from scslib.video.frames import decode_clips, numbered_clips, short_side

CLIPS_AT_ONCE = 16


def read_training_clips(
    dataset: Dataset,
    videos,
    folder: str | Path,
    *,
    per_video: int,
    segment_share: float,
    view: ClassifierInput,
    seed: int,
    workers: int = 0,
) -> Shards:
    """Decode `per_video` clips of each video for the training of f.

    `segment_share` of them, 0..1, lie inside the annotated segments, which is what a classifier
    pre-trained on trimmed video has seen; the others lie anywhere, as in the paper (0: all of them).
    Shards of `clips` (n, frames, H, W, 3) uint8 and `start_s` (n,).
    """
    if not 0 <= segment_share <= 1:
        raise ValueError(f"segment_share ({segment_share}) must be in 0..1")
    if segment_share > 0 and dataset.segments.empty:
        raise ValueError(
            f"segment_share ({segment_share}) must be 0: {dataset.folder} has no segments.csv"
        )
    rows = [
        video._replace(own={"segments": dataset.segments_of(video.video_id).tolist()})
        for video in videos_of(dataset, videos)
    ]
    params = {
        "per_video": per_video,
        "inside": round(segment_share * per_video),
        "frames": view.frames,
        "frame_rate": view.frame_rate,
        "short_side": view.short_side,
        "seed": seed,
    }
    return run_shards(
        _training_clips, rows, folder, params=params, workers=workers, title="decoding clips"
    )


def _training_clips(path: Path, params: dict) -> Read:
    stride = max(1, params["frames"] // 4)  # starts between the evaluated clips' starts, too
    frames = {"clip_len": params["frames"], "frame_rate": params["frame_rate"]}
    index = index_clips(path, clip_stride=stride, **frames)
    spans, slack = params["segments"], index.frame_s / 2
    inside = [
        clip.index
        for clip in index.clips
        if any(s - slack <= clip.start_s and clip.end_s <= e + slack for s, e in spans)
    ]
    rng = np.random.default_rng([params["seed"], int(index.size.sum())])
    drawn = rng.choice(inside, size=min(params["inside"], len(inside)), replace=False) if inside else []
    others = np.setdiff1d(np.arange(len(index)), drawn)
    count = min(params["per_video"] - len(drawn), len(others))
    picks = np.sort([*drawn, *rng.choice(others, size=count, replace=False)]).astype(int)
    size = short_side(index.info.width, index.info.height, params["short_side"])
    pixels = decode_clips(index, picks, size=size)
    pixels = pixels[:, spread(pixels.shape[1], params["frames"])]
    start = np.array([index.clips[i].start_s for i in picks])
    return Read({"clips": pixels, "start_s": start}, len(pixels), len(picks), index.missing, index.note)


def dense_scores(
    dataset: Dataset, videos, checkpoint: str | Path, folder: str | Path, *, workers=0
) -> Shards:
    """f's answers on every clip of every video: shards of `probabilities` (N, C) float32 and of the
    pooled `features` (N, D) float16 that they were made from, and `clip` (N,), the clips' numbers."""
    params = {"weights": fingerprint(checkpoint), "arrays": ["clip", "probabilities", "features"]}
    options = {"given": {"checkpoint": str(checkpoint)}, "workers": workers, "title": "scoring clips"}
    return run_shards(_dense_scores, videos_of(dataset, videos), folder, params=params, **options)


def _dense_scores(path: Path, params: dict) -> Read:
    network, view, _ = _cached_classifier(params["checkpoint"], params["weights"])
    index = clips_for(path, view)
    size = short_side(index.info.width, index.info.height, view.short_side)
    stream, numbers = numbered_clips(index, size=size), []
    scores, features = [np.zeros((0, 0), np.float32)], [np.zeros((0, 0), np.float16)]
    while clips := list(itertools.islice(stream, CLIPS_AT_ONCE)):
        numbers += [number for number, _ in clips]
        answer = classify_with_features(network, view, np.stack([pixels for _, pixels in clips]))
        scores.append(answer[0])
        features.append(answer[1].astype(np.float16))
    arrays = {"probabilities": scores, "features": features}
    arrays = {name: np.concatenate(parts[1:] or parts) for name, parts in arrays.items()}
    arrays["clip"] = np.array(numbers, np.int64)
    return Read(arrays, len(numbers), expected_clips(index), index.missing, index.note)


def clips_for(path: str | Path, view: ClassifierInput) -> ClipIndex:
    """The clips of a video as a classifier wants them: so many pictures, at its frame rate."""
    return index_clips(path, clip_len=view.frames, frame_rate=view.frame_rate)


@torch.inference_mode()
def classify_with_features(
    network: torch.nn.Module, view: ClassifierInput, clips: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(class probabilities (K, C), pooled features (K, D)), float32, of clips (K, T, H, W, 3) uint8.

    Of several crops of a clip the means are taken.
    """
    device = next(network.parameters()).device
    inputs = view.prepare_crops(torch.from_numpy(clips).to(device))
    features, logits = forward_features(network, inputs)
    both = logits.softmax(1), features.float()
    return tuple(t.unflatten(0, (-1, view.crops)).mean(1).cpu().numpy() for t in both)


def classify(network: torch.nn.Module, view: ClassifierInput, clips: np.ndarray) -> np.ndarray:
    """Class probabilities (K, C) float32 of decoded clips (K, T, H, W, 3) uint8."""
    return classify_with_features(network, view, clips)[0]


@lru_cache(maxsize=1)
def _cached_classifier(checkpoint: str, weights: str):
    return load_classifier(checkpoint)
