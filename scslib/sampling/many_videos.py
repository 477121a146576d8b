"""The K most salient clips of many videos, each in a watched child process: `scs sample`."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from scslib.jobs import devices
from scslib.jobs.files import check_folder
from scslib.jobs.shards import Read, Video, run_shards
from scslib.jobs.threads import cores
from scslib.samplers.bundle import SamplerBundle, load_trained
from scslib.samplers.plugins import load_plugins
from scslib.samplers.set_policies import split_method
from scslib.sampling.frames_for_models import frame_places, metadata_of, numbers_and_seconds
from scslib.sampling.one_video import sample
from scslib.sampling.picked import file_names
from scslib.video.clips import expected_clips

COLUMNS_KEPT = ("rank", "clip", "start_s", "end_s", "saliency")


@dataclass(frozen=True)
class Wanted:
    """What is made of each of many videos: the K clips that `method` picks, and files of them.

    clips: a folder that they are cut into. sheet, highlights: a folder, or of a single video the file.
    frames: of how many frames of the clips the numbers and seconds are given.
    """

    k: int = 10
    method: str = "audio-visual"
    clips: str = ""
    sheet: str = ""
    highlights: str = ""
    frames: int = 0


class Sampled(NamedTuple):
    """One of many videos: its table as `Picked.table`, or None, and its status as `shards` has it.

    frames: if they were wanted, `metadata_of` some of its frames, and their `numbers` and `seconds`.
    """

    video: Path
    table: pd.DataFrame | None
    status: str
    reason: str
    note: str = ""
    frames: dict | None = None


def sample_files(
    videos: Sequence[tuple[Path, str]],
    sampler: str | Path | None,
    folder: str | Path,
    wanted: Wanted,
    *,
    seed: int = 0,
    plugins: Sequence[str | Path] = (),
    device: str = "auto",
    workers: int = 0,
) -> Iterator[Sampled]:
    """`sample` of each (path, name), in order; what is made of a video is named after its name.

    Tables are kept in `folder`, shard by shard, and what is done is not done again. sampler: a run's
    name or folder, or an exported file, where the method needs one; seed: which of a run's. plugins:
    files of yours (see `samplers.plugins`). Raises `OSError` where files cannot be
    written, and `ValueError` where one would take the place of a video or of another, before anything
    is read.
    """
    _check_targets(videos, wanted)
    where = devices.choose(device)
    own = load_plugins(plugins)
    trained = load_trained(sampler, seed=seed, device="cpu")
    name, _ = split_method(wanted.method)
    trained.sampler(name, k=wanted.k)  # a wrong name is found before anything is read
    params = {"seed": seed, "device": where.type, **asdict(wanted)}
    params["threads"] = cores() if len(videos) == 1 else 1
    rows = [
        Video(f"{n:06d}", Path(path).absolute(), {"name": name}) for n, (path, name) in enumerate(videos)
    ]
    folder = Path(folder) / "picked"
    done = run_shards(
        _sample,
        rows,
        folder,
        params=params,
        stands_on={"weights": _weights(trained), "plugins": own},
        given={"run": None if sampler is None else str(sampler), "on": str(where)},
        workers=workers,
        title="sampling",
        made=_made,
    )
    for (path, name), row in zip(videos, done.status.itertuples(), strict=True):
        table = None
        if row.video_id in done:
            columns = {name: done.get(row.video_id, name) for name in COLUMNS_KEPT}
            table = pd.DataFrame({"video": str(path)} | columns)
            table["sampler"] = _as_text(done.get(row.video_id, "sampler"))
            if wanted.clips:
                table["file"] = file_names(name, table)
                table["copied"] = done.get(row.video_id, "copied")
        frames = None
        if table is not None and wanted.frames:
            frames = json.loads(_as_text(done.get(row.video_id, "frames")))
        yield Sampled(path, table, row.status, row.reason, row.note, frames)


def _sample(path: Path, params: dict) -> Read:
    """All that is made of one video, in a child."""
    load_plugins(params["plugins"])
    trained = _loaded(params["run"], params["seed"], params["weights"], params["on"])
    picked = sample(
        path, k=params["k"], sampler=trained, method=params["method"], threads=params["threads"]
    )
    name, table = params["name"], picked.table
    arrays = {column: table[column].to_numpy() for column in COLUMNS_KEPT}
    arrays["sampler"] = np.frombuffer(picked.sampler.encode(), np.uint8)
    if params["frames"]:
        places = frame_places(picked.index, table["clip"].tolist(), params["frames"])
        numbers, seconds = numbers_and_seconds(picked.index, places)
        frames = metadata_of(picked.index, numbers)
        frames |= {"numbers": numbers.tolist(), "seconds": seconds.round(6).tolist()}
        arrays["frames"] = np.frombuffer(json.dumps(frames).encode(), np.uint8)
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


def _as_text(letters: np.ndarray) -> str:
    return letters.tobytes().decode()


def _made(video: Video, params: dict) -> bool:
    """Whether the files of a video are still there."""
    wanted = Wanted(1, clips=params["clips"], sheet=params["sheet"], highlights=params["highlights"])
    return all(file.is_file() for _, file in _targets(video.own["name"], wanted))


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
def _loaded(run: str | None, seed: int, weights: str, on: str) -> SamplerBundle:
    return load_trained(run, seed=seed, device=on)


def _weights(trained: SamplerBundle) -> str:
    """Of the weights' bytes: saliencies of other weights must not be taken for these."""
    found = hashlib.sha256(repr((trained.objective, trained.spec)).encode())
    for network in trained.networks.values():
        for value in network.state_dict().values():
            found.update(value.contiguous().numpy().tobytes())
    for name, learnt in trained.fitted.items():
        found.update(repr((name, learnt.version, learnt.plain)).encode())
        found.update(b"".join(array.tobytes() for array in learnt.arrays.values()))
    return found.hexdigest()[:16]


def _file(target: str, name: str, suffix: str) -> Path:
    """The file of a video in the folder `target`, or `target` itself if it is a file's name."""
    path = Path(target)
    return path if path.suffix == suffix else path / f"{name}{suffix}"


def _place(target: str, name: str, suffix: str) -> Path:
    """`_file`, with its folder."""
    path = _file(target, name, suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
