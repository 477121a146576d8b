"""The slides' rows in seconds, with the full MC3-18, for samplers of two sizes.

One video of the mean length of Sports1M, clips of 16 consecutive frames. Weights are random: time does
not depend on them (so there is no row `adaptive`, which depends on how sure the classifier is: see
notebook 11).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from scs_bench.videos import encoded
from scslib.evaluation.timing import time_methods
from scslib.experiments.notebooks import preset
from scslib.jobs.clock import STAGES
from scslib.jobs.threads import cores
from scslib.models.classifiers import build_classifier
from scslib.models.modalities import VISUAL
from scslib.models.samplers import SamplerNetwork
from scslib.models.views import ClassifierInput
from scslib.report.paper import beside
from scslib.samplers.base import Setting
from scslib.samplers.cascade import Cascade
from scslib.samplers.features import FeatureSpec
from scslib.samplers.learned import LearnedSampler
from scslib.samplers.registry import make_sampler
from scslib.video.recode import lengthened
from scslib.video.write import Encoding

VIDEO_S, WARM_UP_S, BASE_S = 336, 16, 64  # 5 min 36 s; see `recode.lengthened` for the base
QUALITY = {"mpeg4": 4, "h264": 23}
CLASSES = 487  # of Sports1M
VIEW = ClassifierInput(frames=16, short_side=128, crop=112, frame_rate=0.0)

# the paper's sizes as we recall them: ResNet-18 on whole I-frames and on every P-frame, the whole VGG
PAPER = {
    "sampler_width": 64,
    "sound_width": 64,
    "iframe_size": 0,
    "kept_pictures": 0,
    "kept_early": False,
}

SHOWN = ["codec", "samplers", "method", "gmacs", "seconds_per_video", *STAGES, "overhead_vs_uniform"]
SHOWN += ["slides: overhead_vs_uniform", "speedup_vs_dense"]


def bench_runtime(
    folder: Path,
    *,
    codecs: Sequence[str],
    k: int = 10,
    device: str = "cpu",
    rounds: int = 5,
    quick: bool = False,
) -> pd.DataFrame:
    """`timing.time_methods` for a video of each codec at 340 x 256, 30 frames a second, GOP of 12.

    samplers: how large they are: as the preset `full` trains them, medians over `rounds`, and at the
    end, for the first codec and once, as the paper's were, as far as we recall. `gmacs`: 10^9
    multiply-adds of all networks for the video. A short video warms up. `quick` takes a narrow
    classifier, seconds of video, and one size. The videos are kept in `folder`.
    """
    torch.manual_seed(0)
    classifier = build_classifier("mc3_18", CLASSES, 4 if quick else 64).eval().to(device)
    tables = []
    light = preset("full")
    for codec, sizes in [*((c, light) for c in codecs), *([] if quick else [(codecs[0], PAPER)])]:
        encoding = Encoding(340, 256, 30, 12, codec, QUALITY[codec])
        base_s, lengths = (3.2, (3.2, 6.4)) if quick else (BASE_S, (WARM_UP_S, VIDEO_S))
        base = encoded(folder, encoding, round(base_s * 30), sound=True)
        warm_up, video = (lengthened(base, seconds) for seconds in lengths)
        samplers, spec = samplers_of(sizes, k, device)
        times = time_methods(
            [video],
            (classifier, VIEW, None),
            samplers,
            spec,
            k=k,
            threads=cores(),
            warm_up=warm_up,
            rounds=1 if quick or sizes is PAPER else rounds,
        )
        table = beside(times)
        clips, counted = len(spec.index(video)), len(spec.index(warm_up))
        table["gmacs"] = _of_whole(table.set_index("method")["gmacs"], counted, clips, k).to_numpy()
        facts = {"video_s": lengths[1], "clips_of": clips, "k": k, "device": device}
        tables.append(table.assign(codec=codec, samplers=in_words(sizes), **facts))
    return pd.concat(tables, ignore_index=True)


def _of_whole(gmacs: pd.Series, counted: int, clips: int, k: int) -> pd.Series:
    """What was counted on a video of fewer clips, for `clips` of them: f sees K, or all."""
    one = gmacs["dense"] / counted
    shown = min(k, counted)
    samplers = (gmacs - shown * one) * clips / counted
    return samplers.where(~gmacs.index.isin(["dense", "oracle"]), (clips - k) * one) + k * one


def in_words(sizes: dict) -> str:
    """The sizes of samplers and of what they see."""
    side, kept = sizes["iframe_size"], sizes["kept_pictures"]
    pictures = f"I-frames of {side} pixels" if side else "whole I-frames"
    widths = f"width {sizes['sampler_width']}, sound {sizes['sound_width']}"
    frames = f"{kept} P-frames a clip" if kept else "every P-frame"
    frames += ", early" if sizes["kept_early"] else ""
    return f"{widths}, {pictures}, {frames}"


def samplers_of(sizes: dict, k: int, device: str) -> tuple[list, FeatureSpec]:
    """All rows that choose, with random weights; sizes: parameters of notebook 05."""

    def sampler(name: str, *inputs: tuple[str, ...]) -> LearnedSampler:
        networks = [SamplerNetwork(i, 1, sizes["sampler_width"], sizes["sound_width"]) for i in inputs]
        return LearnedSampler(name, "rank", tuple(_ready(network, device) for network in networks))

    audio = sampler("audio", ("audio",))
    visual = sampler("visual", *[(name,) for name in VISUAL])
    both = sampler("audio-visual", (*VISUAL, "audio"))
    cascade = Cascade("cascade", (sampler("iframes", ("iframes",)), audio), both, k)
    spec = FeatureSpec(
        iframe_size=sizes["iframe_size"], pictures=sizes["kept_pictures"], early=sizes["kept_early"]
    )
    rules = [make_sampler(name, Setting()) for name in ("packet-size", "motion-energy")]
    return [*rules, audio, visual, both, cascade], spec


def _ready(network: nn.Module, device: str) -> nn.Module:
    return network.eval().to(device)
