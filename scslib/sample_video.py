"""Trained samplers on any video file: the K most salient clips, as a table, pictures and files.

picked = scslib.sample("match.mp4", k=10, sampler="laptop")
picked.table                              rank, start_s, end_s, saliency
picked.cut("clips")                       the K clips as files

`sample` reads a file in this process; `sample_files` reads many, each in a child that may die of it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from scslib.jobs import devices
from scslib.jobs.files import check_folder
from scslib.jobs.shards import Read, Video, run_shards
from scslib.jobs.threads import cores
from scslib.report import show
from scslib.samplers import policies
from scslib.samplers.bundle import METHODS, SamplerBundle, load_trained
from scslib.video import recode
from scslib.video.clips import ClipIndex, expected_clips
from scslib.video.container import VideoError
from scslib.video.frames import decode_clips, short_side


@dataclass(frozen=True, eq=False)
class Picked:
    """The clips of one video: `table` has a row per chosen clip, best first.

    Its columns: `video, rank, clip, start_s, end_s, saliency, sampler`. clips, saliency: (N,), of all
    clips that could be read; times: (N, 2), seconds.
    """

    table: pd.DataFrame
    clips: np.ndarray
    saliency: np.ndarray
    times: np.ndarray
    index: ClipIndex

    @property
    def path(self) -> Path:
        return self.index.path

    @property
    def sampler(self) -> str:
        return self.table["sampler"].iloc[0]

    @property
    def incomplete(self) -> str:
        """What is missing of a broken file, in words; empty for a whole one."""
        read, declared = len(self.times), expected_clips(self.index)
        return f"{read} of {declared} clips could be read" if read < declared else ""

    def spans(self) -> list[recode.Span]:
        """(start, end) in seconds of the chosen clips, in the order of time, those that touch as one."""
        spans: list[recode.Span] = []
        for start, end in sorted(zip(self.table["start_s"], self.table["end_s"], strict=True)):
            if spans and start <= spans[-1][1] + self.index.frame_s / 2:
                spans[-1] = spans[-1][0], end
            else:
                spans.append((start, end))
        return spans

    def sheet(self, *, height: int = 120) -> Figure:
        """A contact sheet of the chosen clips under the saliency curve of the whole video."""
        info, clips = self.index.info, self.table["clip"].tolist()
        pictures = decode_clips(self.index, clips, size=short_side(info.width, info.height, height))
        rows = self.table.itertuples(index=False)
        captions = [f"{r.rank}.  {r.start_s:.1f}–{r.end_s:.1f} s" for r in rows]
        title = f"{self.path.name}   {self.sampler} sampler, K = {len(clips)} of {len(self.times)}"
        chosen = np.searchsorted(self.clips, clips).tolist()
        return show.sheet_with_curve(pictures, captions, self.times, self.saliency, chosen, title=title)

    def cut(self, folder: str | Path, name: str = "") -> pd.DataFrame:
        """Cut the chosen clips into `folder`/NAME-RANK.mp4, by default the video's name without suffix.

        Gives `table` with two columns more: `file`, and `copied`, which is True where the pictures are
        the original ones and False where they had to be encoded again (see `recode.cut`).
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        files = _files(name or self.path.stem, self.table)
        spans = zip(self.table["start_s"], self.table["end_s"], strict=True)
        copied = [recode.cut(self.index, folder / f, span) for f, span in zip(files, spans, strict=True)]
        return self.table.assign(file=files, copied=copied)

    def highlights(self, path: str | Path) -> None:
        """Write the chosen clips, in the order of time, as one MP4."""
        recode.recode(self.index, path, self.spans())


def sample(
    video: str | Path,
    *,
    k: int = 10,
    sampler: str | Path | SamplerBundle,
    method: str = "audio-visual",
    device: str = "auto",
    threads: int = 0,
) -> Picked:
    """The K most salient clips of a video.

    sampler: a run's name or folder, an exported file, or what `load_trained` made of one (which saves
    loading it for each video). method: one of `bundle.METHODS`; a video without
    sound is given to the visual sampler instead. device: where the networks run (see `devices.choose`),
    unless they are loaded already. threads: 0, one for each core. Raises `VideoError` for
    files that cannot be read, `WorkspaceError` and `CheckpointError` where there is no sampler.
    """
    if k < 1:
        raise ValueError(f"k ({k}) must be > 0")
    trained = sampler if isinstance(sampler, SamplerBundle) else load_trained(sampler, device=device)
    chooser = trained.sampler(method, k=k)
    index = trained.spec.index(video)
    if "logmel" in chooser.modalities and not index.info.has_audio:
        chooser = trained.sampler("visual", k=k)
    clips, saliency = chooser.score_file(index, trained.spec, threads=threads or cores())
    if not len(clips):
        raise VideoError(f"{video}: not one clip could be decoded")
    times = np.array([clip[1:] for clip in index.clips])[clips]
    table = _table(video, clips, times, saliency, chooser.name, k)
    return Picked(table, clips, saliency, times, index)


def _table(video: str | Path, clips, times, saliency, sampler: str, k: int) -> pd.DataFrame:
    """The rows of the K clips: see `Picked`."""
    chosen = policies.top_k(saliency, k)
    columns = {"video": str(video), "rank": np.arange(1, len(chosen) + 1), "clip": clips[chosen]}
    columns |= {"start_s": times[chosen, 0], "end_s": times[chosen, 1], "saliency": saliency[chosen]}
    return pd.DataFrame(columns | {"sampler": sampler})


@dataclass(frozen=True)
class Wanted:
    """What is made of each of many videos: the K clips that `method` picks, and files of them.

    clips: a folder that they are cut into. sheet, highlights: a folder, or of a single video the file.
    """

    k: int = 10
    method: str = "audio-visual"
    clips: str = ""
    sheet: str = ""
    highlights: str = ""


class Sampled(NamedTuple):
    """One of many videos: its table as `Picked.table`, or None, and its status as `shards` has it."""

    video: Path
    table: pd.DataFrame | None
    status: str
    reason: str
    note: str = ""


def sample_files(
    videos: Sequence[tuple[Path, str]],
    sampler: str | Path,
    folder: str | Path,
    wanted: Wanted,
    *,
    seed: int = 0,
    device: str = "auto",
    workers: int = 0,
) -> Iterator[Sampled]:
    """`sample` of each (path, name), in order; what is made of a video is named after its name.

    Saliencies are kept in `folder`, shard by shard, and what is done is not done again. sampler: a run's
    name or folder, or an exported file; seed: which of a run's. Raises `OSError` where files cannot be
    written, and `ValueError` where one would take the place of a video or of another, before anything
    is read.
    """
    _check_targets(videos, wanted)
    where = devices.choose(device)
    trained = load_trained(sampler, seed=seed, device="cpu")
    trained.sampler(wanted.method, k=wanted.k)  # a wrong name is found before anything is read
    params = {"seed": seed, "device": where.type, **asdict(wanted)}
    params["threads"] = cores() if len(videos) == 1 else 1
    rows = [
        Video(f"{n:06d}", Path(path).absolute(), {"name": name}) for n, (path, name) in enumerate(videos)
    ]
    folder = Path(folder) / "saliency"
    done = run_shards(
        _sample,
        rows,
        folder,
        params=params,
        stands_on={"weights": _weights(trained)},
        given={"run": str(sampler), "on": str(where)},
        workers=workers,
        title="sampling",
        made=_made,
    )
    for (path, name), row in zip(videos, done.status.itertuples(), strict=True):
        table = None
        if row.video_id in done:
            clips, times, saliency = (done.get(row.video_id, n) for n in ("clip", "times", "saliency"))
            method = METHODS[done.get(row.video_id, "method")[0]]
            table = _table(path, clips, times, saliency, method, wanted.k)
            if wanted.clips:
                table["file"] = _files(name, table)
                table["copied"] = done.get(row.video_id, "copied")
        yield Sampled(path, table, row.status, row.reason, row.note)


def _sample(path: Path, params: dict) -> Read:
    """All that is made of one video, in a child."""
    trained = _loaded(params["run"], params["seed"], params["weights"], params["on"])
    which = {"k": params["k"], "method": params["method"], "threads": params["threads"]}
    picked, name = sample(path, sampler=trained, **which), params["name"]
    arrays = {"clip": picked.clips, "times": picked.times, "saliency": picked.saliency}
    arrays["method"] = np.array([METHODS.index(picked.sampler)])
    if params["clips"]:
        arrays["copied"] = picked.cut(params["clips"], name)["copied"].to_numpy()
    if params["sheet"]:
        figure = picked.sheet()
        figure.savefig(_place(params["sheet"], name, ".png"), dpi=110)
        plt.close(figure)  # of thousands of videos none must stay in memory
    if params["highlights"]:
        picked.highlights(_place(params["highlights"], name, ".mp4"))
    return Read(
        arrays, len(picked.times), expected_clips(picked.index), picked.index.missing, picked.index.note
    )


def _made(video: Video, params: dict) -> bool:
    """Whether the files of a video are still there."""
    return all(file.is_file() for _, file in _targets(video.own["name"], Wanted(1, **_places(params))))


def _places(params: dict) -> dict[str, str]:
    return {kind: params[kind] for kind in ("clips", "sheet", "highlights")}


def _targets(name: str, wanted: Wanted) -> Iterator[tuple[str, Path]]:
    """(option, file) of all that is made of a video, if it has K clips."""
    if wanted.clips:
        for rank in range(1, wanted.k + 1):
            yield "clips", Path(wanted.clips) / f"{name}-{rank:02d}.mp4"
    if wanted.sheet:
        yield "sheet", _file(wanted.sheet, name, ".png")
    if wanted.highlights:
        yield "highlights", _file(wanted.highlights, name, ".mp4")


def _check_targets(videos: Sequence[tuple[Path, str]], wanted: Wanted) -> None:
    """Whether all that will be made can be written, and takes the place of nothing."""
    taken = {Path(path).resolve(): "one of the videos" for path, _ in videos}
    real = lru_cache(Path.resolve)  # there are many files and few folders
    longest: dict[tuple[str, Path], str] = {}
    for path, name in videos:
        for option, file in _targets(name, wanted):
            place = real(file.parent) / file.name
            if other := taken.get(place):
                raise ValueError(f"{option} ({file}): is {other}; take another folder")
            taken[place] = f"made of {path} already"
            key = option, file.parent
            longest[key] = max(longest.get(key, ""), file.name, key=lambda name: len(os.fsencode(name)))
    for (option, folder), name in longest.items():
        check_folder(folder, name, what=option)


@lru_cache(maxsize=1)
def _loaded(run: str, seed: int, weights: str, on: str) -> SamplerBundle:
    return load_trained(run, seed=seed, device=on)


def _weights(trained: SamplerBundle) -> str:
    """Of the weights' bytes: saliencies of other weights must not be taken for these."""
    found = hashlib.sha256(repr((trained.objective, trained.spec)).encode())
    for network in trained.networks.values():
        for value in network.state_dict().values():
            found.update(value.contiguous().numpy().tobytes())
    return found.hexdigest()[:16]


def _files(name: str, table: pd.DataFrame) -> list[str]:
    return [f"{name}-{rank:02d}.mp4" for rank in table["rank"]]


def _file(target: str, name: str, suffix: str) -> Path:
    """The file of a video in the folder `target`, or `target` itself if it is a file's name."""
    path = Path(target)
    return path if path.suffix == suffix else path / f"{name}{suffix}"


def _place(target: str, name: str, suffix: str) -> Path:
    """`_file`, with its folder."""
    path = _file(target, name, suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
