"""`scs bench runtime`: the slides' rows in seconds, with everything at full size.

One video of the mean length of Sports1M, clips of 16 consecutive frames, the full MC3-18, samplers as
the preset `full` trains them. Weights are random: time does not depend on them (so there is no row
`adaptive`, which depends on how sure the classifier is: see notebook 11).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from scslib.baselines import motion_energy, packet_size
from scslib.bench.videos import encoded, lengthened
from scslib.cascade import Cascade
from scslib.clock import STAGES
from scslib.features import FeatureSpec
from scslib.models.classifiers import ClassifierInput, build_classifier
from scslib.models.samplers import Sampler
from scslib.paper import beside
from scslib.parallel import cores
from scslib.run import preset
from scslib.saliency import SAMPLERS, ClipSampler
from scslib.timing import time_methods
from scslib.video.write import Encoding

VIDEO_S, WARM_UP_S, BASE_S = 336, 16, 64  # 5 min 36 s; see `videos.lengthened` for the base
QUALITY = {"mpeg4": 4, "h264": 23}
CLASSES = 487  # of Sports1M
VIEW = ClassifierInput(frames=16, short_side=128, crop=112, frame_rate=0.0)

SHOWN = ["codec", "method", "seconds_per_video", *STAGES, "overhead_vs_uniform"]
SHOWN += ["slides: overhead_vs_uniform", "speedup_vs_dense", "share_of_ideal"]


def bench_runtime(
    folder: Path, *, codecs: Sequence[str], k: int = 10, device: str = "cpu", quick: bool = False
) -> pd.DataFrame:
    """`timing.time_methods` for a video of each codec at 340 x 256, 30 frames a second, GOP of 12.

    share_of_ideal: the speed-up over dense divided by N/K. A short video warms up. `quick` takes a
    narrow classifier and seconds of video. The videos are kept in `folder`.
    """
    torch.manual_seed(0)
    classifier = build_classifier("mc3_18", CLASSES, 4 if quick else 64).eval().to(device)
    samplers, spec = full_samplers(k, device)
    tables = []
    for codec in codecs:
        encoding = Encoding(340, 256, 30, 12, codec, QUALITY[codec])
        base_s, lengths = (3.2, (3.2, 6.4)) if quick else (BASE_S, (WARM_UP_S, VIDEO_S))
        base = encoded(folder, encoding, round(base_s * 30), sound=True)
        warm_up, video = (lengthened(base, seconds) for seconds in lengths)
        timed = {"k": k, "threads": cores(), "warm_up": warm_up}
        table = time_methods([video], (classifier, VIEW, None), samplers, spec, **timed)
        table = beside(table.drop(columns="gmacs"))  # they are of the short video
        clips = len(spec.index(video))
        table["share_of_ideal"] = table["speedup_vs_dense"] / (clips / k)
        facts = {"video_s": lengths[1], "clips_of": clips, "k": k, "device": device}
        tables.append(table.assign(codec=codec, **facts))
    return pd.concat(tables, ignore_index=True)


def full_samplers(k: int, device: str) -> tuple[list, FeatureSpec]:
    """All rows that choose, with random weights at the sizes of the preset `full`."""
    sizes = preset("full")

    def sampler(name: str, *inputs: tuple[str, ...]) -> ClipSampler:
        networks = [Sampler(i, 1, sizes["sampler_width"], sizes["sound_width"]) for i in inputs]
        return ClipSampler(name, "rank", tuple(_ready(network, device) for network in networks))

    audio = sampler("audio", ("logmel",))
    visual = sampler("visual", *[(name,) for name in SAMPLERS["visual"]])
    both = sampler("audio-visual", (*SAMPLERS["visual"], "logmel"))
    cascade = Cascade("cascade", (sampler("iframes", ("iframes",)), audio), both, k)
    spec = FeatureSpec(iframe_size=sizes["iframe_size"], pictures=sizes["kept_pictures"])
    return [packet_size(), motion_energy(), audio, visual, both, cascade], spec


def _ready(network: nn.Module, device: str) -> nn.Module:
    return network.eval().to(device)
