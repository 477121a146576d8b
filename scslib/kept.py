"""What a trunk that does not learn makes of every clip's I-frames: computed once, and kept on disk.

Training a head on it takes a thousandth of the time of running the trunk at every step.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from scslib import devices
from scslib.datasets.manifest import Dataset
from scslib.inputs import sampler_inputs
from scslib.models import specs
from scslib.models.samplers import PretrainedTrunk
from scslib.shards import Read, Shards, run_shards, videos_of


@dataclass(frozen=True, eq=False)
class WithKept(Shards):
    """`Shards` of features, and the array `iframes_kept` (N, D) float16 of each video out of `kept`."""

    kept: Shards

    def has(self, video_id: str, name: str) -> bool:
        if name == "iframes_kept":
            return video_id in self.kept
        return super().has(video_id, name)

    def get(self, video_id: str, name: str, rows: slice | int | None = None) -> np.ndarray:
        if name == "iframes_kept":
            return self.kept.get(video_id, name, rows)
        return super().get(video_id, name, rows)

    def __reduce__(self):
        return WithKept, (self.folder, self.status, self.kept)


def keep_features(
    dataset: Dataset,
    features: Shards,
    trunk: str,
    folder: str | Path,
    *,
    device: str = "auto",
    workers: int = 0,
) -> WithKept:
    """`features` with what `trunk`, a classifier `timm:...`, has in its pooled layer of each clip."""
    rows = dataset.videos[dataset.videos["video_id"].map(features.__contains__)]
    shard = features.status.set_index("video_id")["shard"]
    videos = [
        video._replace(own={"video_id": video.video_id, "shard": int(shard[video.video_id])})
        for video in videos_of(dataset, rows)
    ]
    where = devices.choose(device)
    kept = run_shards(
        _kept,
        videos,
        folder,
        params={"trunk": trunk, "device": where.type},
        stands_on={"weights": specs.fingerprint(trunk), "features": features.folder.name},
        given={"folder": str(features.folder), "on": str(where)},
        workers=workers,
        title="features of I-frames",
    )
    return WithKept(features.folder, features.status, kept)


def _kept(path: Path, params: dict) -> Read:
    video_id, device = params["video_id"], devices.choose(params["on"])
    status = pd.DataFrame([{"video_id": video_id, "shard": params["shard"], "status": "ok"}])
    features = Shards(Path(params["folder"]), status)
    trunk, found = _trunk(params["trunk"], params["weights"], params["on"]), []
    clips = len(features.get(video_id, "times"))
    for some in devices.in_batches(iter(range(clips)), device):
        inputs = sampler_inputs(features, [(video_id, clip) for clip in some], ("iframes",))
        inputs = devices.put(inputs, device)
        with torch.inference_mode():
            found.append(trunk(inputs["iframes"], inputs["iframes_mask"]).cpu().numpy())
    kept = np.concatenate(found) if found else np.zeros((0, trunk.features))
    return Read({"iframes_kept": kept.astype(np.float16)}, clips, clips)


@lru_cache(maxsize=1)
def _trunk(spec: str, weights: str, on: str) -> PretrainedTrunk:
    return PretrainedTrunk(specs.parse(spec).name).start_from(spec).eval().to(devices.choose(on))
