"""Extract the features of a dataset's videos once, and keep them.

Training a head on kept features takes a thousandth of the time of running the trunk at every step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from scslib.datasets.manifest import Dataset, videos_of
from scslib.jobs import devices
from scslib.jobs.shard_files import Shards, join, reopen
from scslib.jobs.shards import Read, Video, run_shards, with_places
from scslib.models import specs
from scslib.models.samplers import PretrainedTrunk
from scslib.samplers.features import FeatureSpec, read_features
from scslib.samplers.inputs import inputs_of
from scslib.samplers.plugins import load_plugins
from scslib.samplers.readers import READERS, read_input


def extract_features(
    dataset: Dataset,
    videos: pd.DataFrame,
    folder: str | Path,
    spec: FeatureSpec,
    *,
    readers: Sequence[str] = (),
    device: str = "auto",
    workers: int = 0,
) -> Shards:
    """Read the features of `videos` (rows of `dataset.videos`) into shards; see `VideoFeatures`.

    With `spec.iframe_trunk` they have `iframes_kept`, too, which is computed on the `device`. readers:
    names of registered ones (see `readers`), of each of which they have an array.
    """
    params = asdict(replace(spec, iframe_trunk=""))
    rows = videos_of(dataset, videos)
    features = run_shards(read_features, rows, folder, params=params, workers=workers, title="reading")
    found = features
    for name in readers:
        found = join(found, name, _own_input(name, rows, features, folder, spec, workers))
    if not spec.iframe_trunk:
        return found
    where = devices.choose(device)
    kept = run_shards(
        _kept,
        with_places(rows, features),
        folder,
        params={"trunk": spec.iframe_trunk, "device": where.type},
        stands_on={
            "weights": specs.spec_fingerprint(spec.iframe_trunk),
            "features": features.folder.name,
        },
        given={"on": str(where)},
        workers=workers,
        title="features of I-frames",
    )
    return join(found, "iframes_kept", kept)


def _own_input(
    name: str,
    rows: Sequence[Video],
    features: Shards,
    folder: str | Path,
    spec: FeatureSpec,
    workers: int,
) -> Shards:
    """What the registered reader `name` reads of the clips in `features`."""
    file, version = READERS.origin(name)
    if not file:
        raise ValueError(f"reader ({name!r}) must be in a file of plugins: other processes run it")
    return run_shards(
        _read_own,
        with_places(rows, features),
        folder,
        params={"reader": name, "spec": asdict(spec)},
        stands_on={"plugin": version, "features": features.folder.name},
        given={"file": file},
        workers=workers,
        title=f"reading {name}",
    )


def _read_own(path: Path, params: dict) -> Read:
    name, file = params["reader"], params["file"]
    load_plugins({file: params["plugin"]} if file.endswith(".py") else {})
    clips = reopen(params["video_id"], params["place"]).get(params["video_id"], "clip").tolist()
    array = read_input(name, FeatureSpec(**params["spec"]).index(path), clips)
    return Read({name: array}, len(clips), len(clips))


def _kept(path: Path, params: dict) -> Read:
    video_id, device = params["video_id"], devices.choose(params["on"])
    features = reopen(video_id, params["place"])
    trunk, found = _trunk(params["trunk"], params["weights"], params["on"]), []
    clips = len(features.get(video_id, "times"))
    for inputs in inputs_of(features, video_id, range(clips), ("iframes",), device):
        with torch.inference_mode():
            found.append(trunk(inputs["iframes"], inputs["iframes_mask"]).cpu().numpy())
    kept = np.concatenate(found) if found else np.zeros((0, trunk.features))
    return Read({"iframes_kept": kept.astype(np.float16)}, clips, clips)


@lru_cache(maxsize=1)
def _trunk(spec: str, weights: str, on: str) -> PretrainedTrunk:
    return PretrainedTrunk(specs.parse(spec).name).start_from(spec).eval().to(devices.choose(on))
