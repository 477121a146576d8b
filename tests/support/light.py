"""What processes of a step have in memory. Such processes import this module: it is light itself."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import psutil

from scslib.jobs.shards import Read
from scslib.samplers.features import read_features
from scslib.training.clip_choice import drawn_clips

HEAVY = ("torch", "torchvision", "torchaudio")


def held() -> tuple[list[str], float]:
    """Which of `HEAVY` this process has imported, and how much memory it holds, in MB of 1e6 bytes."""
    return [name for name in HEAVY if name in sys.modules], psutil.Process().memory_info().rss / 1e6


def with_held(read: Read) -> Read:
    heavy, memory_mb = held()
    about = {"heavy": np.array([len(heavy)]), "memory_mb": np.array([memory_mb])}
    return read._replace(arrays=read.arrays | about)


def features(path: Path, params: dict) -> Read:
    return with_held(read_features(path, params))


def training_clips(path: Path, params: dict) -> Read:
    return with_held(drawn_clips(path, params))


def prepared(path: Path, params: dict) -> Read:
    from scslib.datasets.prepare import _prepare

    return with_held(_prepare(path, params))


def reads(job: None) -> list[str]:
    return held()[0]


def made_and_cut(job: tuple) -> tuple[list[str], float]:
    """What makers of datasets and cutters do with a video, here."""
    from scslib.datasets import compose, sources
    from scslib.datasets.synthetic import make
    from scslib.video.clips import index_clips
    from scslib.video.recode import cut, recode

    folder, source, synthetic_spec, composition, pieces = job
    looked = sources._look((source, True))
    assert not looked.problem
    make._make_video((synthetic_spec, 0, synthetic_spec.names[0], folder / "synthetic.mp4", False))
    compose._make_video((composition, pieces, folder / "composed.mp4", False))
    recode(source.path, folder / "recoded.mp4")
    clip = index_clips(source.path, clip_len=4).clips[1]
    cut(source.path, folder / "cut.mp4", (clip.start_s, clip.end_s))
    return held()
