"""The slides' rows in seconds: one long video, the full-size classifier, samplers as `full` trains them.

Weights are random: time does not depend on them. The video has the mean length of Sports1M.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import torch
from torch import nn

from scslib.baselines import motion_energy, packet_size
from scslib.cascade import Cascade
from scslib.features import FeatureSpec
from scslib.models.classifiers import ClassifierInput, build_classifier
from scslib.models.samplers import Sampler
from scslib.run import preset
from scslib.scoring import SAMPLERS, ClipSampler
from scslib.timing import time_methods

CLASSES = 400
VIEW = ClassifierInput(frames=16, short_side=128, crop=112, frame_rate=0.0)  # consecutive frames


def runtime(
    path: Path, warm_up: Path, *, k: int = 10, device: str = "cpu", threads: int
) -> pd.DataFrame:
    """`timing.time_methods` of the video `path`, with the share of the ideal speed-up N/K over dense.

    `warm_up` is a short video that is run before it. Networks run on `device`.
    """
    torch.manual_seed(0)
    sizes = preset("full")
    classifier = build_classifier("mc3_18", CLASSES).eval().to(device)
    spec = FeatureSpec(iframe_size=sizes["iframe_size"], pictures=sizes["kept_pictures"])

    def sampler(name: str, *inputs: tuple[str, ...]) -> ClipSampler:
        networks = [Sampler(i, 1, sizes["sampler_width"], sizes["sound_width"]) for i in inputs]
        return ClipSampler(name, "rank", tuple(_ready(network, device) for network in networks))

    audio = sampler("audio", ("logmel",))
    visual = sampler("visual", *[(name,) for name in SAMPLERS["visual"]])
    both = sampler("audio-visual", (*SAMPLERS["visual"], "logmel"))
    cascade = Cascade("cascade", (audio, sampler("iframes", ("iframes",))), both, k)
    samplers = [packet_size(), motion_energy(), audio, visual, both, cascade]
    table = time_methods(
        [path], (classifier, VIEW, None), samplers, spec, k=k, threads=threads, warm_up=warm_up
    )
    clips = len(spec.index(path))
    table["share_of_ideal"] = table["speedup_vs_dense"] / (clips / k)
    return table.assign(k=k, clips_of=clips, device=device)


def _ready(network: nn.Module, device: str) -> nn.Module:
    return network.eval().to(device)
