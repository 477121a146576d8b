"""Scoring every clip: by the classifier (dense, costly) and by the samplers (cheap)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from scslib.datasets.manifest import Dataset
from scslib.features import VideoFeatures, sampler_inputs
from scslib.models.checkpoints import fingerprint, load_classifier, load_sampler
from scslib.models.classifiers import ClassifierInput
from scslib.models.samplers import VISUAL, Sampler
from scslib.shards import Shards, run_shards
from scslib.video.frames import decode_clips, iter_clips, short_side
from scslib.video.probe import expected_clips, index_clips, probe

CLIPS_AT_ONCE = 16
# the networks whose scores make each sampler (paper, sec. 3.2, 3.3; "audio-visual" is joint training)
SAMPLERS = {"audio": ("logmel",), "visual": VISUAL, "audio-visual": ("joint",)}


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
    Shards of `clips` (n, T, H, W, 3) uint8 and `start_s` (n,).
    """
    if not 0 <= segment_share <= 1:
        raise ValueError(f"segment_share ({segment_share}) must be in 0..1")
    if segment_share > 0 and dataset.segments.empty:
        raise ValueError(
            f"segment_share ({segment_share}) must be 0: {dataset.folder} has no segments.csv"
        )
    rows = _paths(dataset, videos)
    params = {
        "per_video": per_video,
        "inside": round(segment_share * per_video),
        "segments": {str(path): dataset.segments_of(v).tolist() for v, path in rows},
        "frames": view.frames,
        "short_side": view.short_side,
        "seed": seed,
    }
    return run_shards(
        _training_clips, rows, folder, params=params, workers=workers, title="decoding clips"
    )


def _training_clips(path: Path, params: dict) -> tuple[dict[str, np.ndarray], int, int]:
    info = probe(path)
    stride = max(1, params["frames"] // 4)  # starts between the evaluated clips' starts, too
    index = index_clips(path, clip_len=params["frames"], clip_stride=stride)
    spans, slack = params["segments"][str(path)], index.frame_s / 2
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
    size = short_side(info.width, info.height, params["short_side"])
    pixels = decode_clips(index, picks, size=size)
    start = np.array([index.clips[i].start_s for i in picks])
    return {"clips": pixels, "start_s": start}, len(picks), len(pixels)


def dense_scores(
    dataset: Dataset, videos, checkpoint: str | Path, folder: str | Path, *, workers=0
) -> Shards:
    """f's class probabilities of every clip of every video: shards of `probabilities` (N, C) float32."""
    params = {"checkpoint": str(checkpoint), "weights": fingerprint(checkpoint)}
    rows = _paths(dataset, videos)
    return run_shards(_dense_scores, rows, folder, params=params, workers=workers, title="scoring clips")


def _dense_scores(path: Path, params: dict):
    network, view, _ = _cached_classifier(params["checkpoint"], params["weights"])
    info = probe(path)
    index = index_clips(path, clip_len=view.frames)
    size = short_side(info.width, info.height, view.short_side)
    stream = iter_clips(index, size=size)
    out = []
    while clips := list(itertools.islice(stream, CLIPS_AT_ONCE)):
        out.append(classify(network, view, np.stack(clips)))
    scores = np.concatenate(out) if out else np.zeros((0, 0), np.float32)
    return {"probabilities": scores}, expected_clips(index), len(scores)


@torch.inference_mode()
def classify(network: torch.nn.Module, view: ClassifierInput, clips: np.ndarray) -> np.ndarray:
    """Class probabilities (K, C) float32 of decoded clips (K, T, H, W, 3) uint8."""
    device = next(network.parameters()).device
    inputs = view.prepare(torch.from_numpy(clips).to(device))
    return network(inputs).softmax(1).cpu().numpy()


@lru_cache(maxsize=1)
def _cached_classifier(checkpoint: str, weights: str):
    return load_classifier(checkpoint)


@dataclass(frozen=True, eq=False)
class ClipSampler:
    """One or more networks of one objective whose scores are averaged, e.g. the three visual ones."""

    name: str
    objective: str
    networks: tuple[Sampler, ...]

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(m for network in self.networks for m in network.modalities))

    @torch.inference_mode()
    def saliency(self, features: Shards | VideoFeatures, video_id: str) -> np.ndarray:
        """(N,) float64: AC, the highest of the C averaged class probabilities; RANK, the mean score."""
        count = len(features.get(video_id, "times"))
        out = []
        for start in range(0, count, CLIPS_AT_ONCE):
            picks = [(video_id, i) for i in range(start, min(start + CLIPS_AT_ONCE, count))]
            inputs = sampler_inputs(features, picks, self.modalities)
            scores = [network(inputs) for network in self.networks]
            if self.objective == "ac":
                out.append(torch.stack([s.softmax(1) for s in scores]).mean(0).amax(1))
            else:
                out.append(torch.stack([s[:, 0] for s in scores]).mean(0))
        return torch.cat(out).double().numpy()


def sampler_checkpoint(folder: Path, network: str, *, objective: str, seed: int) -> Path:
    """Where the weights of one network lie: FOLDER/NETWORK-OBJECTIVE-seedN.safetensors."""
    return folder / f"{network}-{objective}-seed{seed}.safetensors"


def load_clip_sampler(name: str, folder: Path, *, objective: str, seed: int) -> ClipSampler:
    """The sampler `audio`, `visual` or `audio-visual` from a run's folder of checkpoints."""
    if name not in SAMPLERS:
        raise ValueError(f"sampler ({name!r}) must be one of {sorted(SAMPLERS)}")
    paths = [sampler_checkpoint(folder, n, objective=objective, seed=seed) for n in SAMPLERS[name]]
    return ClipSampler(name, objective, tuple(load_sampler(path)[0] for path in paths))


def sampler_features(folder: Path, name: str, *, objective: str, seed: int) -> dict:
    """How the videos were read that a sampler was trained on: the fields of a `FeatureSpec`."""
    path = sampler_checkpoint(folder, SAMPLERS[name][0], objective=objective, seed=seed)
    return load_sampler(path)[1]["features"]


def _paths(dataset: Dataset, videos) -> list[tuple[str, Path]]:
    return [(v, dataset.folder / p) for v, p in zip(videos["video_id"], videos["path"], strict=True)]
