"""Seconds and multiply-adds of each method on real files, stage by stage.

Every row is charged for all that it needs and for nothing else: reading (packets, vectors, residuals,
I-frames, sound), its own networks, decoding the clips that it shows to f, and f.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from scslib.jobs import devices
from scslib.jobs.clock import STAGES, Clock
from scslib.models.views import View
from scslib.samplers import policies
from scslib.samplers.base import Sampler
from scslib.samplers.features import FeatureSpec
from scslib.training.dense_scores import classify, clips_for
from scslib.video.clips import ClipIndex
from scslib.video.frames import decode_clips, iter_clips


@contextmanager
def _imports_not_collected() -> Iterator[None]:
    """Python's garbage collection leaves alone what is there: else one goes through all imports, 0.3 s,
    in whichever row it comes.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@_imports_not_collected()
def time_methods(
    paths: Sequence[Path],
    classifier,
    samplers: Sequence[Sampler],
    spec: FeatureSpec,
    *,
    k: int,
    adaptive: str = "",
    threads: int = 1,
    warm_up: Path | None = None,
    rounds: int = 1,
) -> pd.DataFrame:
    """A table of `STAGES`, their sum, and ratios; seconds per video, the median over files and rounds.

    One file more, the first or `warm_up`, is run before them and not timed: `gmacs` are the 10^9
    multiply-adds of all networks on it. The oracle needs f's scores of all clips, so it costs as much as
    dense. `adaptive`, a sampler's name, adds the row `adaptive`: see `table.evaluate`. With several
    `threads` one video is read in several places at once. rounds: so often each file goes through all
    methods, by turns; through dense, which takes longest, once.
    """
    network, view, _ = classifier
    tables: dict[str, list[Clock]] = {}
    for number, path in enumerate((warm_up or paths[0], *list(paths) * rounds)):
        counts = number == 0
        clocks = {"uniform": Clock(counts=counts)}
        index = clocks["uniform"]("read_s", clips_for, path, view)
        _classify(index, policies.uniform(len(index), k), network, view, clocks["uniform"])
        clocks["random"] = clocks["uniform"]
        for sampler in samplers:
            clock = clocks[sampler.name] = Clock(counts=counts)
            index = clock("read_s", clips_for, path, view)
            found = sampler.score_file(index, spec, threads=threads, clock=clock)
            picks = found.clips[policies.top_k(found.saliency, k)]
            if sampler.name == adaptive:
                clocks["adaptive"] = clock.copy()
                _until_settled(index, picks, network, view, clocks["adaptive"])
            _classify(index, picks, network, view, clock)
        if number <= len(paths):
            clocks["dense"] = clocks["oracle"] = Clock(counts=counts)
            _dense(path, network, view, clocks["dense"])
        for name, clock in clocks.items():
            tables.setdefault(name, []).append(clock)
    rows = []
    for name, (first, *timed) in tables.items():
        row = {s: float(np.median([clock.seconds.get(s, 0.0) for clock in timed])) for s in STAGES}
        rows.append({"method": name, "gmacs": first.gmacs, **row})
    return _with_ratios(pd.DataFrame(rows).set_index("method"))


def seconds_per_clip(path: Path, network, view: View, *, clips: int = 2) -> float:
    """How long f takes for one clip, on the first `clips` of a file; one round more warms up."""
    index = clips_for(path, view)
    some = range(min(clips, len(index)))
    pixels = _decode(index, some, view)
    clocks = [Clock(), Clock()]
    for clock in clocks:
        clock("classifier_s", classify, network, view, pixels)
    return clocks[-1].seconds["classifier_s"] / len(some)


def at_speed(costs: pd.DataFrame, shown: pd.Series, seconds_per_clip: float) -> pd.DataFrame:
    """`costs` (see `time_methods`) as they would be if f took `seconds_per_clip` for every clip.

    shown: the clips that f sees, by method. All other stages stay as they were measured.
    """
    table = costs.set_index("method").drop(columns="gmacs")  # those of the f that was timed
    table["classifier_s"] = shown.reindex(table.index) * seconds_per_clip
    return _with_ratios(table)


def _with_ratios(table: pd.DataFrame) -> pd.DataFrame:
    """The sum of the stages, and its ratios to dense and to uniform; `table` is indexed by method."""
    total = table[list(STAGES)].sum(axis=1)
    ratios = {
        "speedup_vs_dense": total["dense"] / total,
        "overhead_vs_uniform": total / total["uniform"],
    }
    columns = pd.DataFrame({"seconds_per_video": total, **ratios})
    others = [name for name in ("gmacs", *STAGES) if name in table]
    return columns.join(table[others]).reset_index()


def _decode(index: ClipIndex, clips: Sequence[int], view: View) -> np.ndarray:
    """What f is to see of these clips."""
    size = view.read_size(index.info.width, index.info.height)
    return decode_clips(index, clips, size=size, frames=view.frames)


def _classify(index: ClipIndex, picks: np.ndarray, network, view: View, clock: Clock) -> None:
    """Decode the picked clips in order of time, and show them to f."""
    pixels = clock("decode_s", _decode, index, np.sort(picks).tolist(), view)
    clock("classifier_s", classify, network, view, pixels)


def _until_settled(index: ClipIndex, picks: np.ndarray, network, view: View, clock: Clock) -> None:
    """Decode clip after clip, the best first, until the rest cannot change the answer."""
    votes = 0.0
    for shown, pick in enumerate(picks, 1):
        pixels = clock("decode_s", _decode, index, [pick], view)
        votes += clock("classifier_s", classify, network, view, pixels)[0].astype(float)
        if policies.settled(votes, left=len(picks) - shown):
            return


def _dense(path: Path, network, view: View, clock: Clock) -> None:
    """Decode everything, and show it to f."""
    index = clock("read_s", clips_for, path, view)
    size = view.read_size(index.info.width, index.info.height)
    stream = iter_clips(index, size=size, frames=view.frames)
    at_once = devices.clips_at_once(next(network.parameters()).device)
    while clips := clock("decode_s", lambda: list(islice(stream, at_once))):
        clock("classifier_s", classify, network, view, np.stack(clips))
