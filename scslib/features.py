"""Reading a dataset once: compressed-video features and log-mel pictures of every clip, kept on disk."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from scslib.datasets.manifest import Dataset
from scslib.models.samplers import MODALITIES, VISUAL
from scslib.shards import Shards, run_shards
from scslib.video.audio import FLOOR, MELS, STEPS, iter_logmel
from scslib.video.compressed import BLOCK, iter_compressed
from scslib.video.frames import short_side
from scslib.video.probe import ClipIndex, expected_clips, index_clips, probe

# The scale of the samplers' inputs: what enters a network is (value - centre) / spread.
SCALES = {
    "iframes": (114.75, 57.0),
    "motion": (0.0, 8.0),
    "residual": (0.0, 16.0),
    "logmel": (-6.0, 3.0),
}


@dataclass(frozen=True)
class FeatureSpec:
    """How videos are read.

    clip_len, frame_rate: what a clip is (`index_clips`), the same as for f. height, width: the frame
    size in pixels that the samplers know. Videos of another size are fitted: grids resized, vectors
    scaled; 0 keeps each video's own size. iframe_size: the I-frames' short side in pixels; 0 keeps the
    full size, as in the paper.
    """

    clip_len: int = 16
    accumulate: bool = False
    iframe_size: int = 0
    height: int = 0
    width: int = 0
    frame_rate: float = 0.0

    def index(self, path: str | Path) -> ClipIndex:
        return index_clips(path, clip_len=self.clip_len, frame_rate=self.frame_rate)


def extract_features(
    dataset: Dataset, videos, folder: str | Path, spec: FeatureSpec, *, workers: int = 0
) -> Shards:
    """Read the features of `videos` (rows of `dataset.videos`) into shards; see `VideoFeatures`."""
    rows = [(v, dataset.folder / p) for v, p in zip(videos["video_id"], videos["path"], strict=True)]
    return run_shards(
        read_features, rows, folder, params=asdict(spec), workers=workers, title="reading streams"
    )


def read_features(path: Path, params: dict) -> tuple[dict[str, np.ndarray], int, int]:
    """The arrays of one video for `run_shards`: what `read_video` reads, sound if there is any."""
    spec = FeatureSpec(**params)
    index = spec.index(path)
    modalities = MODALITIES if probe(path).has_audio else VISUAL
    video = read_video(index, spec, modalities)
    return video.arrays, expected_clips(index), len(video.arrays["times"])


@dataclass(frozen=True, eq=False)
class VideoFeatures:
    """The features of one video in memory, with the same `get` and `has` as `Shards`.

    Of N clips of T frames: times (N, 2) float64 seconds; bytes (N,) int64, compressed size; motion
    (N, T, h, w, 2) and residual (N, T, h, w, 3) float16; intra (N, T) bool; iframes (M, H, W, 3)
    uint8, those of clip i at iframe_start[i]..iframe_start[i + 1]; logmel (N, 200, 40) float16.
    """

    arrays: dict[str, np.ndarray]

    def has(self, video_id: str, name: str) -> bool:
        return name in self.arrays

    def get(self, video_id: str, name: str, rows: slice | None = None) -> np.ndarray:
        return self.arrays[name] if rows is None else self.arrays[name][rows]


def read_video(index: ClipIndex, spec: FeatureSpec, modalities: Sequence[str]) -> VideoFeatures:
    """Read what samplers of these modalities need of one video, and nothing else."""
    arrays, clips = {}, index.clips
    if set(modalities) & set(VISUAL):
        info = probe(index.path)
        height, width = spec.height or info.height, spec.width or info.width
        size = short_side(width, height, spec.iframe_size) if spec.iframe_size else (height, width)
        options = {"accumulate": spec.accumulate, "residuals": "residual" in modalities}
        read = list(iter_compressed(index, iframe_size=size, **options))
        clips = [clips[c.index] for c in read]
        if read:
            grid = max(1, height // BLOCK), max(1, width // BLOCK)
            scale = np.array([width / info.width, height / info.height], np.float32)
            arrays["motion"] = _fit(np.stack([c.motion for c in read]), grid, scale)
            if "residual" in modalities:
                arrays["residual"] = _fit(np.stack([c.residual for c in read]), grid)
            arrays["intra"] = np.stack([c.intra for c in read])
            arrays["iframes"] = np.concatenate([c.iframes for c in read])
            arrays["iframe_start"] = np.cumsum([0] + [len(c.iframes) for c in read])
    if "logmel" in modalities:
        arrays["logmel"] = np.array(list(iter_logmel(index.path, clips)), dtype=np.float16)
    arrays["times"] = np.array([clip[1:] for clip in clips]).reshape(-1, 2)
    arrays["bytes"] = np.array([index.size[list(index.frames(c.index))].sum() for c in clips])
    return VideoFeatures(arrays)


def _fit(field: np.ndarray, grid: tuple[int, int], scale: np.ndarray | float = 1) -> np.ndarray:
    """Grids (N, T, h, w, C) as float16 on another `grid`, each cell the mean of what it covers."""
    if field.shape[2:4] != grid:
        flat = torch.from_numpy(field).flatten(0, 1).permute(0, 3, 1, 2)
        flat = F.interpolate(flat, size=grid, mode="area") * torch.as_tensor(scale).view(-1, 1, 1)
        field = flat.permute(0, 2, 3, 1).reshape(*field.shape[:2], *grid, -1).numpy()
    return field.astype(np.float16)


def sampler_inputs(
    features: Shards | VideoFeatures,
    picks: Sequence[tuple[str, int]],
    modalities: Sequence[str],
    *,
    pictures: int | None = None,
    rng: np.random.Generator | None = None,
) -> dict[str, torch.Tensor]:
    """What the samplers see of B clips, given as (video_id, clip): see `models.samplers`.

    `pictures` draws so many of each clip's pictures at random with `rng` (training); None takes all.
    Clips with fewer pictures than others are filled up; `<modality>_mask` (B, S) says which count.
    A video without sound is heard as silence.
    """
    inputs = {}
    for modality in modalities:
        centre, spread = SCALES[modality]
        rows = [_pictures(features, video_id, clip, modality) for video_id, clip in picks]
        if pictures is not None and modality != "logmel":
            rows = [r[rng.integers(len(r), size=pictures)] if len(r) else r for r in rows]
        longest = max(1, max(len(r) for r in rows))
        shape = rows[0].shape[1:]
        batch = np.zeros((len(rows), longest, *shape), np.float32)
        mask = np.zeros((len(rows), longest), bool)
        for i, row in enumerate(rows):
            batch[i, : len(row)] = (row.astype(np.float32) - centre) / spread
            mask[i, : len(row)] = True
        if modality != "logmel":
            batch = np.moveaxis(batch, -1, 2)
            inputs[modality + "_mask"] = torch.from_numpy(mask)
        inputs[modality] = torch.from_numpy(np.ascontiguousarray(batch))
    return inputs


def _pictures(features: Shards | VideoFeatures, video_id: str, clip: int, modality: str) -> np.ndarray:
    """The pictures (S, ...) of one clip that belong to a modality."""
    one = slice(clip, clip + 1)
    if modality == "logmel":
        if not features.has(video_id, "logmel"):
            return np.full((1, STEPS, MELS), math.log(FLOOR), np.float32)
        return features.get(video_id, "logmel", one)
    if modality == "iframes":
        first, last = features.get(video_id, "iframe_start", slice(clip, clip + 2))
        return features.get(video_id, "iframes", slice(int(first), int(last)))
    intra = features.get(video_id, "intra", one)[0]
    return features.get(video_id, modality, one)[0][~intra]
