"""Dense scores: f's answer on every clip of every video."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import nn

from scslib.datasets.manifest import Dataset, videos_of
from scslib.jobs import devices
from scslib.jobs.shard_files import Shards
from scslib.jobs.shards import Read, run_shards
from scslib.models.checkpoints import fingerprint, load_classifier
from scslib.models.heads import forward_features
from scslib.models.views import View
from scslib.video.clips import ClipIndex, expected_clips, index_clips
from scslib.video.frames import numbered_clips


def dense_scores(
    dataset: Dataset,
    videos,
    checkpoint: str | Path,
    folder: str | Path,
    *,
    device: str = "auto",
    workers: int = 0,
) -> Shards:
    """f's answers on every clip of every video: shards of `probabilities` (N, C) float32 and of the
    pooled `features` (N, D) float16 that they were made from, and `clip` (N,), the clips' numbers.

    Each of the processes decodes and asks f on the `device` (see `devices.choose`); they share a GPU.
    """
    where = devices.choose(device)
    return run_shards(
        _dense_scores,
        videos_of(dataset, videos),
        folder,
        params={"classifier": Path(checkpoint).stem, "device": where.type},
        stands_on={"weights": fingerprint(checkpoint)},
        given={"checkpoint": str(checkpoint), "on": str(where)},
        workers=workers,
        title="scoring clips",
    )


def _dense_scores(path: Path, params: dict) -> Read:
    network, view = cached_classifier(params["checkpoint"], params["weights"], params["on"])
    index = clips_for(path, view)
    size = view.read_size(index.info.width, index.info.height)
    stream, numbers = numbered_clips(index, size=size, frames=view.frames), []
    scores, features = [np.zeros((0, 0), np.float32)], [np.zeros((0, 0), np.float16)]
    for clips in devices.in_batches(stream, devices.choose(params["on"])):
        numbers += [number for number, _ in clips]
        answer = classify_with_features(network, view, np.stack([pixels for _, pixels in clips]))
        scores.append(answer[0])
        features.append(answer[1].astype(np.float16))
    arrays: dict[str, np.ndarray] = {
        "probabilities": np.concatenate(scores[1:] or scores),
        "features": np.concatenate(features[1:] or features),
        "clip": np.array(numbers, np.int64),
    }
    return Read(arrays, len(numbers), expected_clips(index), index.missing, index.note)


def clips_for(path: str | Path, view: View) -> ClipIndex:
    """The clips of a video as a classifier wants them: so many frames, at its frame rate."""
    return index_clips(path, clip_len=view.length, frame_rate=view.frame_rate)


@torch.inference_mode()
def classify_with_features(
    network: nn.Module, view: View, clips: np.ndarray, *, fitted: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Class probabilities (K, C) and pooled features (K, D) of clips. Both are float32, of clips (K, T,
    H, W, 3) uint8.

    Of several crops of a clip the means are taken. fitted: the clips have gone through `view.fit`.
    """
    device = next(network.parameters()).device
    pixels = torch.from_numpy(clips)
    pixels = pixels if fitted else view.fit(pixels)
    inputs = view.normalise(devices.put({"clips": pixels}, device)["clips"])
    with devices.precision(device):
        features, logits = forward_features(network, inputs)
    both = logits.float().softmax(1), features.float()
    return tuple(t.unflatten(0, (-1, view.crops)).mean(1).cpu().numpy() for t in both)


def classify(network: nn.Module, view: View, clips: np.ndarray, *, fitted: bool = False) -> np.ndarray:
    """Class probabilities (K, C) float32 of decoded clips (K, T, H, W, 3) uint8.

    fitted: they are some of `read_training_clips`.
    """
    return classify_with_features(network, view, clips, fitted=fitted)[0]


@lru_cache(maxsize=1)
def cached_classifier(checkpoint: str, weights: str, on: str) -> tuple[nn.Module, View]:
    """The classifier that a process asked for last; `weights`: its fingerprint."""
    network, view, _ = load_classifier(checkpoint)
    return network.to(devices.choose(on)), view
