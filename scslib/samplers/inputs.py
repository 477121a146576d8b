"""Tensors for the sampler networks from features of some clips."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from scslib.jobs import devices
from scslib.models.modalities import SCALES
from scslib.samplers.base import Features
from scslib.video.audio import FLOOR, MEL_STEPS, MELS

FIRST, MOST_AT_ONCE = 8, 64  # clips whose inputs are made together
INPUTS_AT_ONCE = 2**23  # numbers in them, 32 MB


def inputs_of(
    features: Features,
    video_id: str,
    rows: Sequence[int],
    modalities: Sequence[str],
    device: torch.device,
) -> Iterator[dict[str, torch.Tensor]]:
    """`sampler_inputs` of a video's clips `rows`, on `device`: some clips at a time, in order.

    As many as hold `INPUTS_AT_ONCE` numbers, going by the first ones, and no more than `MOST_AT_ONCE`.
    """
    done, at_once = 0, FIRST
    while done < len(rows):
        picks = [(video_id, int(row)) for row in rows[done : done + at_once]]
        inputs = sampler_inputs(features, picks, modalities)
        yield devices.put(inputs, device)
        done += len(picks)
        of_one = sum(tensor.numel() for tensor in inputs.values()) / len(picks)
        at_once = int(min(max(1, INPUTS_AT_ONCE / of_one), MOST_AT_ONCE))


def sampler_inputs(
    features: Features,
    picks: Sequence[tuple[str, int]],
    modalities: Sequence[str],
    *,
    pictures: int | None = None,
    rng: np.random.Generator | None = None,
) -> dict[str, torch.Tensor]:
    """What the samplers see of B clips, given as (video_id, clip): see `modalities`.

    `pictures` draws so many of each clip's pictures at random with `rng` (training); None takes all.
    Clips with fewer pictures than others are filled up; `<modality>_mask` (B, S) says which count.
    A video without sound is heard as silence. Where features of a modality are kept (`extraction`) its
    pictures are not read: `<modality>_kept` (B, D) takes their place.
    """
    inputs = {}
    for modality in modalities:
        if all(features.has(video_id, f"{modality}_kept") for video_id, _ in picks):
            kept = [features.get(v, f"{modality}_kept", slice(c, c + 1)) for v, c in picks]
            inputs[f"{modality}_kept"] = torch.from_numpy(np.concatenate(kept).astype(np.float32))
            continue
        centre, spread = SCALES[modality]
        rows = [_pictures(features, video_id, clip, modality) for video_id, clip in picks]
        if pictures is not None and modality != "audio":
            if rng is None:
                raise ValueError(f"rng (None) must draw the {pictures} pictures of each clip")
            rows = [r[rng.integers(len(r), size=pictures)] if len(r) else r for r in rows]
        longest = max(1, max(len(r) for r in rows))
        shape = rows[0].shape[1:]
        batch = np.zeros((len(rows), longest, *shape), np.float32)
        mask = np.zeros((len(rows), longest), bool)
        for i, row in enumerate(rows):
            batch[i, : len(row)] = (row.astype(np.float32) - centre) / spread
            mask[i, : len(row)] = True
        if modality != "audio":
            batch = np.moveaxis(batch, -1, 2)
            inputs[modality + "_mask"] = torch.from_numpy(mask)
        inputs[modality] = torch.from_numpy(np.ascontiguousarray(batch))
    return inputs


def _pictures(features: Features, video_id: str, clip: int, modality: str) -> np.ndarray:
    """The pictures (S, ...) of one clip that belong to a modality."""
    one = slice(clip, clip + 1)
    if modality == "audio":
        if not features.has(video_id, "audio"):
            return np.full((1, MEL_STEPS, MELS), math.log(FLOOR), np.float32)
        return features.get(video_id, "audio", one)
    if modality == "iframes":
        first, last = features.get(video_id, "iframe_start", slice(clip, clip + 2))
        return features.get(video_id, "iframes", slice(int(first), int(last)))
    predicted = features.get(video_id, "predicted", one)[0]
    return features.get(video_id, modality, one)[0][predicted]
