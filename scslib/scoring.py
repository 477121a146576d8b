"""Scoring every clip: by the classifier (dense, costly) and by the samplers (cheap)."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from scslib.clock import Clock
from scslib.datasets.manifest import Dataset
from scslib.features import FeatureSpec, VideoFeatures, map_chunks, sampler_inputs, videos_of
from scslib.models.checkpoints import fingerprint, load_classifier, load_sampler
from scslib.models.classifiers import ClassifierInput, forward_features, spread
from scslib.models.samplers import VISUAL, Sampler
from scslib.shards import Read, Shards, run_shards
from scslib.video.clips import ClipIndex, expected_clips, index_clips
from scslib.video.frames import decode_clips, iter_clips, short_side
from scslib.video.probe import probe

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
    info = probe(path)
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
    size = short_side(info.width, info.height, params["short_side"])
    pixels = decode_clips(index, picks, size=size)
    pixels = pixels[:, spread(pixels.shape[1], params["frames"])]
    start = np.array([index.clips[i].start_s for i in picks])
    return Read({"clips": pixels, "start_s": start}, len(pixels), len(picks), index.missing)


def dense_scores(
    dataset: Dataset, videos, checkpoint: str | Path, folder: str | Path, *, workers=0
) -> Shards:
    """f's answers on every clip of every video: shards of `probabilities` (N, C) float32 and of the
    pooled `features` (N, D) float16 that they were made from."""
    params = {"weights": fingerprint(checkpoint), "arrays": ["probabilities", "features"]}
    options = {"given": {"checkpoint": str(checkpoint)}, "workers": workers, "title": "scoring clips"}
    return run_shards(_dense_scores, videos_of(dataset, videos), folder, params=params, **options)


def _dense_scores(path: Path, params: dict) -> Read:
    network, view, _ = _cached_classifier(params["checkpoint"], params["weights"])
    info = probe(path)
    index = clips_for(path, view)
    stream = iter_clips(index, size=short_side(info.width, info.height, view.short_side))
    scores, features = [np.zeros((0, 0), np.float32)], [np.zeros((0, 0), np.float16)]
    while clips := list(itertools.islice(stream, CLIPS_AT_ONCE)):
        answer = classify_with_features(network, view, np.stack(clips))
        scores.append(answer[0])
        features.append(answer[1].astype(np.float16))
    arrays = {"probabilities": scores, "features": features}
    arrays = {name: np.concatenate(parts[1:] or parts) for name, parts in arrays.items()}
    return Read(arrays, len(arrays["probabilities"]), expected_clips(index), index.missing)


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
    def saliency(
        self, features: Shards | VideoFeatures, video_id: str, clips: Sequence[int] | None = None
    ) -> np.ndarray:
        """(N,) float64: AC, the highest of the C averaged class probabilities; RANK, the mean score.

        Of the rows `clips` of the features, or of all.
        """
        rows = range(len(features.get(video_id, "times"))) if clips is None else clips
        out, device = [torch.zeros(0)], next(self.networks[0].parameters()).device
        for start in range(0, len(rows), CLIPS_AT_ONCE):
            picks = [(video_id, int(i)) for i in rows[start : start + CLIPS_AT_ONCE]]
            inputs = sampler_inputs(features, picks, self.modalities)
            inputs = {name: tensor.to(device) for name, tensor in inputs.items()}
            scores = [network(inputs) for network in self.networks]
            if self.objective == "ac":
                out.append(torch.stack([s.softmax(1) for s in scores]).mean(0).amax(1))
            else:
                out.append(torch.stack([s[:, 0] for s in scores]).mean(0))
        return torch.cat([scores.cpu() for scores in out]).double().numpy()

    def score_file(
        self,
        index: ClipIndex,
        spec: FeatureSpec,
        clips: Sequence[int] | None = None,
        *,
        threads: int = 1,
        clock: Clock | None = None,
    ) -> FileScores:
        """The saliency of a file's clips, read and scored a few hundred at a time.

        Of ascending numbers `clips`, or of all. `clock` is charged `read_s` and `sampler_s`; several
        threads read and score at once, and the time is charged as they spent it.
        """
        clock, found = clock or Clock(), [FileScores(np.zeros(0, int), np.zeros(0))]
        begin, busy = time.perf_counter(), []

        def score(chunk: VideoFeatures) -> FileScores:
            start = time.perf_counter()
            with clock.counting():
                saliency = self.saliency(chunk, "")
            busy.append(time.perf_counter() - start)
            return FileScores(chunk.get("", "clip"), saliency)

        found += map_chunks(score, index, spec, self.modalities, clips, threads=threads)
        took, networks = time.perf_counter() - begin, sum(busy) / threads
        clock.seconds["sampler_s"] += networks
        clock.seconds["read_s"] += took - networks
        return FileScores(*(np.concatenate(column) for column in zip(*found, strict=True)))


class FileScores(NamedTuple):
    """Ascending clip numbers (n,) that could be read, and their saliencies (n,)."""

    clips: np.ndarray
    saliency: np.ndarray


def sampler_checkpoint(folder: Path, network: str, *, objective: str, seed: int) -> Path:
    """Where the weights of one network lie: FOLDER/NETWORK-OBJECTIVE-seedN.safetensors."""
    return folder / f"{network}-{objective}-seed{seed}.safetensors"


def load_clip_sampler(name: str, folder: Path, *, objective: str, seed: int) -> ClipSampler:
    """The sampler `audio`, `visual` or `audio-visual` from a run's folder of checkpoints."""
    if name not in SAMPLERS:
        raise ValueError(f"sampler ({name!r}) must be one of {sorted(SAMPLERS)}")
    networks = load_networks(SAMPLERS[name], folder, objective=objective, seed=seed)
    return ClipSampler(name, objective, networks)


def load_networks(
    names: Sequence[str], folder: Path, *, objective: str, seed: int
) -> tuple[Sampler, ...]:
    """Single networks of a run: `iframes`, `motion`, `residual`, `logmel`, `joint`."""
    paths = [sampler_checkpoint(folder, n, objective=objective, seed=seed) for n in names]
    return tuple(load_sampler(path)[0] for path in paths)


def sampler_features(folder: Path, name: str, *, objective: str, seed: int) -> dict:
    """How the videos were read that a sampler was trained on: the fields of a `FeatureSpec`."""
    path = sampler_checkpoint(folder, SAMPLERS[name][0], objective=objective, seed=seed)
    return load_sampler(path)[1]["features"]
