"""A run's sampler on any video file: the K most salient clips, as a table and as a contact sheet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from scslib import sampling, show
from scslib.cascade import load_cascade
from scslib.features import FeatureSpec
from scslib.parallel import cores
from scslib.scoring import load_clip_sampler, sampler_features
from scslib.video.frames import decode_clips, short_side
from scslib.video.probe import ClipIndex, VideoError, expected_clips, probe
from scslib.workspace import Run, WorkspaceError


@dataclass(frozen=True, eq=False)
class Picked:
    """The clips of one video: `table` has a row per chosen clip, best first.

    clips, saliency: (N,), of all clips that could be read; times: (N, 2), seconds.
    """

    sampler: str
    table: pd.DataFrame
    clips: np.ndarray
    saliency: np.ndarray
    times: np.ndarray
    index: ClipIndex

    @property
    def incomplete(self) -> str:
        """What is missing of a broken file, in words; empty for a whole one."""
        read, declared = len(self.times), expected_clips(self.index)
        return f"{read} of {declared} clips could be read" if read < declared else ""


def pick(path: str | Path, run: Run, *, k: int, sampler: str = "audio-visual", seed: int = 0) -> Picked:
    """The K most salient clips of a video: `video, rank, clip, start_s, end_s, saliency, sampler`.

    A video without sound is given to the visual sampler instead. Raises `VideoError` for files that
    cannot be read, `WorkspaceError` where the run has no such sampler.
    """
    if k < 1:
        raise ValueError(f"k ({k}) must be > 0")
    info = probe(path)
    if not info.has_audio and sampler != "visual":
        sampler = "visual"
    folder = run.folder / "checkpoints"
    objective = run.notes().get("objective")
    if objective is None:
        raise WorkspaceError(f"{run.folder}: no trained samplers here (scs run makes them)")
    if sampler == "cascade":
        network = load_cascade(folder, objective=objective, seed=seed, k=k)
    else:
        network = load_clip_sampler(sampler, folder, objective=objective, seed=seed)
    spec = FeatureSpec(**sampler_features(folder, "visual", objective=objective, seed=seed))
    index = spec.index(path)
    clips, saliency = network.score_file(index, spec, threads=cores())
    if not len(clips):
        raise VideoError(f"{path}: not one clip could be decoded")
    times = np.array([clip[1:] for clip in index.clips])[clips]
    chosen = sampling.top_k(saliency, k)
    table = pd.DataFrame(
        {
            "video": str(path),
            "rank": np.arange(1, len(chosen) + 1),
            "clip": clips[chosen],
            "start_s": times[chosen, 0],
            "end_s": times[chosen, 1],
            "saliency": saliency[chosen],
            "sampler": sampler,
        }
    )
    return Picked(sampler, table, clips, saliency, times, index)


def sheet(picked: Picked, *, height: int = 120):
    """A contact sheet of the chosen clips under the saliency curve of the whole video."""
    info = probe(picked.index.path)
    clips = picked.table["clip"].tolist()
    pictures = decode_clips(picked.index, clips, size=short_side(info.width, info.height, height))
    captions = [
        f"{r.rank}.  {r.start_s:.1f}–{r.end_s:.1f} s" for r in picked.table.itertuples(index=False)
    ]
    title = (
        f"{picked.index.path.name}   {picked.sampler} sampler, K = {len(clips)} of {len(picked.times)}"
    )
    rows = np.searchsorted(picked.clips, clips).tolist()
    return show.sheet_with_curve(pictures, captions, picked.times, picked.saliency, rows, title=title)
