"""Long steps, shard by shard: a few videos at a time, resumable, every video accounted for.

A step is a function from one video to arrays. Its results lie in a folder of their own:

    FOLDER/00000.safetensors     the arrays of a few videos, named "video_id/array"
    FOLDER/00000.json            one status row per video; written last: a shard that has it is done

FOLDER's name carries a hash of the step's parameters, so results of other parameters never mix. A
video is `ok`, `partial` (fewer clips than the file declares) or `failed`, with the reason.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors import safe_open
from safetensors.numpy import save_file

from scslib.parallel import map_processes
from scslib.video.probe import VideoError

VIDEOS_PER_SHARD = 8

# from (path of the video, parameters) to (arrays, clips expected, clips read)
Work = Callable[[Path, dict], tuple[dict[str, np.ndarray], int, int]]


@dataclass(frozen=True, eq=False)
class Shards:
    """The results of a step: arrays by video, read when asked for, and the status of every video.

    status: rows `video_id, status, reason, clips_expected, clips, seconds`.
    """

    folder: Path
    status: pd.DataFrame

    def __contains__(self, video_id: str) -> bool:
        return video_id in self._shard_of

    @property
    def failed(self) -> pd.DataFrame:
        return self.status[self.status["status"] == "failed"]

    def has(self, video_id: str, name: str) -> bool:
        """Whether there is such an array of a video."""
        self._open(video_id)
        return f"{video_id}/{name}" in self._names[self._shard_of[video_id]]

    def get(self, video_id: str, name: str, rows: slice | int | None = None) -> np.ndarray:
        """An array of one video, or only some of its rows. Raises `KeyError` for failed videos."""
        file = self._open(video_id)
        if rows is None:
            return file.get_tensor(f"{video_id}/{name}")
        return file.get_slice(f"{video_id}/{name}")[rows]

    @cached_property
    def _shard_of(self) -> dict[str, int]:
        read = self.status[self.status["status"] != "failed"]
        return dict(zip(read["video_id"], read["shard"], strict=True))

    @cached_property
    def _files(self) -> dict[int, safe_open]:
        return {}

    @cached_property
    def _names(self) -> dict[int, set[str]]:
        return {}

    def _open(self, video_id: str):
        if video_id not in self._shard_of:
            raise KeyError(f"{self.folder.name}: nothing was read of video {video_id!r}")
        shard = self._shard_of[video_id]
        if shard not in self._files:
            self._files[shard] = safe_open(self.folder / f"{shard:05d}.safetensors", "numpy")
            self._names[shard] = set(self._files[shard].keys())
        return self._files[shard]


def run_shards(
    work: Work,
    videos: Sequence[tuple[str, Path]],
    folder: str | Path,
    *,
    params: dict,
    workers: int = 0,
    title: str,
) -> Shards:
    """Apply `work` to every (video_id, path), and keep the results in `folder-HASH`.

    Finished shards are not done again. A `VideoError` is that video's status, not the step's end.
    `params` must be JSON; it goes to `work` and into the hash, together with the list of videos.
    """
    videos = [(video_id, str(path)) for video_id, path in videos]
    text = json.dumps([work.__module__, work.__qualname__, params, videos], sort_keys=True)
    folder = Path(f"{folder}-{hashlib.sha256(text.encode()).hexdigest()[:10]}")
    folder.mkdir(parents=True, exist_ok=True)
    jobs = []
    for number, start in enumerate(range(0, len(videos), VIDEOS_PER_SHARD)):
        if not (folder / f"{number:05d}.json").exists():
            jobs.append((work, videos[start : start + VIDEOS_PER_SHARD], folder, number, params))
    for _ in map_processes(_run_shard, jobs, workers=workers, title=title, unit="shard"):
        pass
    rows = []
    for number in range(-(-len(videos) // VIDEOS_PER_SHARD)):
        rows += json.loads((folder / f"{number:05d}.json").read_text(encoding="utf-8"))["videos"]
    return Shards(folder, pd.DataFrame(rows))


def _run_shard(job: tuple[Work, list[tuple[str, str]], Path, int, dict]) -> None:
    work, videos, folder, number, params = job
    arrays, rows = {}, []
    for video_id, path in videos:
        begin = time.perf_counter()
        row = {"video_id": video_id, "shard": number, "status": "ok", "reason": ""}
        row |= {"clips_expected": 0, "clips": 0}
        try:
            result, expected, clips = work(Path(path), params)
            if clips == 0:
                raise VideoError(f"{path}: not one clip could be decoded")
            for name, value in result.items():  # safetensors writes the buffer as it lies in memory
                arrays[f"{video_id}/{name}"] = np.ascontiguousarray(value)
            row |= {"clips_expected": expected, "clips": clips}
            if clips < expected:
                row |= {"status": "partial", "reason": f"{clips} of {expected} clips could be read"}
        except VideoError as error:
            row |= {"status": "failed", "reason": str(error)}
        rows.append(row | {"seconds": round(time.perf_counter() - begin, 4)})
    target = folder / f"{number:05d}.safetensors"
    temporary = target.with_suffix(".part")
    save_file(arrays, temporary)
    os.replace(temporary, target)
    report = json.dumps({"params": params, "videos": rows}, indent=1, ensure_ascii=False)
    temporary.write_text(report, encoding="utf-8")
    os.replace(temporary, target.with_suffix(".json"))
