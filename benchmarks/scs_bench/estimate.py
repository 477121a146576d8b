"""`python benchmarks estimate`: what whole public datasets would cost, from what `runtime` has measured.

Nothing is run but one minute of video, for the size of its features. A method's time on a video grows
with its length where it reads and where samplers look, and with K where f does.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from scs_bench.runtime import VIDEO_S, samplers_of
from scs_bench.videos import encoded
from scslib.experiments.notebooks import preset
from scslib.models.modalities import MODALITIES
from scslib.samplers.features import FeatureSpec, read_video
from scslib.video.write import Encoding

DATASETS = {  # videos, their mean length in seconds
    "Sports1M": (1_133_158, 336.0),
    "Kinetics-400": (306_245, 10.0),
}
METHODS = ("uniform", "dense", "audio", "visual", "audio-visual", "cascade")
CLIP_S = 16 / 30
SAMPLE_S = 64

SHOWN = [
    "data",
    "videos",
    "samplers",
    "method",
    "device",
    "core_hours",
    "gpu_hours",
    "features_tb",
    "paper_tb",
]


def bench_estimate(folder: Path, runtime: pd.DataFrame) -> pd.DataFrame:
    """A row for each dataset and method of `runtime` (the table of `bench_runtime`), MPEG-4 as there.

    core_hours: of processors; where `runtime` was measured on an accelerator, what it did is gpu_hours.
    features_tb: terabytes of the features as the preset `full` keeps them; paper_tb: of every P-frame
    and full-size I-frames, as the paper's networks see them.
    """
    runtime = runtime[(runtime["codec"] == "mpeg4") & runtime["method"].isin(METHODS)]
    if runtime.empty:
        raise ValueError(f"runtime must have rows of codec mpeg4 and a method of {METHODS}")
    if "samplers" not in runtime:
        raise ValueError("runtime has no column samplers: measure again with python benchmarks runtime")
    video = encoded(folder, Encoding(340, 256, 30, 12, "mpeg4", 4), SAMPLE_S * 30, sound=True)
    kept = samplers_of(preset("full"), 10, "cpu")[1]
    full, paper = (_bytes_per_s(video, spec) for spec in (kept, FeatureSpec()))
    rows = []
    for name, (videos, length_s) in DATASETS.items():
        for row in runtime.itertuples():
            clips = max(1, int(length_s / CLIP_S))
            shown = clips if row.method == "dense" else min(clips, row.k)
            measured = row.clips_of if row.method == "dense" else row.k
            reading = row.read_s * length_s / VIDEO_S + row.decode_s * shown / measured
            networks = row.sampler_s * length_s / VIDEO_S + row.classifier_s * shown / measured
            cores, accelerated = int(row.hardware.split(" cores")[0].split()[-1]), row.device != "cpu"
            hours = videos / 3600
            found = {"data": name, "videos": videos, "method": row.method, "device": row.device}
            found["samplers"] = row.samplers
            found["core_hours"] = hours * cores * (reading + (0 if accelerated else networks))
            found["gpu_hours"] = hours * networks if accelerated else None
            chosen = row.method not in ("uniform", "dense")
            found["features_tb"] = videos * length_s * full / 1e12 if chosen else 0.0
            found["paper_tb"] = videos * length_s * paper / 1e12 if chosen else 0.0
            rows.append(found | {"measured_at": row.commit})
    return pd.DataFrame(rows)


def _bytes_per_s(video: Path, spec: FeatureSpec, modalities: Sequence[str] = MODALITIES) -> float:
    arrays = read_video(spec.index(video), spec, modalities).arrays
    return sum(array.nbytes for array in arrays.values()) / SAMPLE_S
