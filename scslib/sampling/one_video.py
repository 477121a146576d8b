"""The K most salient clips of one video: `scslib.sample`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from scslib.jobs.threads import cores
from scslib.samplers import policies
from scslib.samplers.bundle import SamplerBundle, load_trained
from scslib.samplers.set_policies import split_method
from scslib.sampling.picked import Picked
from scslib.video.container import VideoError


def sample(
    video: str | Path,
    *,
    k: int = 10,
    sampler: str | Path | SamplerBundle | None = None,
    method: str = "audio-visual",
    device: str = "auto",
    threads: int = 0,
) -> Picked:
    """The K most salient clips of a video.

    sampler: a run's name or folder, an exported file, or what `load_trained` made of one (which saves
    loading it for each video); not needed by methods without training. method: one of
    `registry.sampler_names` but `empirical`, or with a policy (`set_policies`) such as
    `audio-visual+cdf3`; a video without sound is given to the visual sampler instead of a network that
    listens. device: where the networks run (see `devices.choose`), unless they are loaded already.
    threads: 0, one for each core. Raises `VideoError` for files that cannot be read, `WorkspaceError`
    and `CheckpointError` where there is no sampler.
    """
    if k < 1:
        raise ValueError(f"k ({k}) must be > 0")
    trained = sampler if isinstance(sampler, SamplerBundle) else load_trained(sampler, device=device)
    name, policy = split_method(method)
    chooser = trained.sampler(name, k=k)
    index = trained.spec.index(video)
    if "audio" in chooser.modalities and not index.info.has_audio and trained.networks:
        chooser = trained.sampler("visual", k=k)
    embed = policy is not None and policy.needs_embeddings
    clips, saliency, embeddings = chooser.score_file(
        index, trained.spec, threads=threads or cores(), embed=embed
    )
    if not len(clips):
        raise VideoError(f"{video}: not one clip could be decoded")
    times = np.array([clip[1:] for clip in index.clips])[clips]
    if policy is None:
        chosen, by = policies.top_k(saliency, k), chooser.name
    else:
        rng = policies.draws(0, Path(video).name, method)
        chosen, by = policy.pick(saliency, embeddings, times, k, rng), f"{chooser.name}+{policy.name}"
        chosen = chosen[np.argsort(-saliency[chosen], kind="stable")]
    table = pd.DataFrame(
        {
            "video": str(video),
            "rank": np.arange(1, len(chosen) + 1),
            "clip": clips[chosen],
            "start_s": times[chosen, 0],
            "end_s": times[chosen, 1],
            "saliency": saliency[chosen],
            "sampler": by,
        }
    )
    return Picked(table, clips, saliency, times, index)
