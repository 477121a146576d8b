"""Read the kept results of a step: arrays by video, and their status."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from safetensors import safe_open

if TYPE_CHECKING:  # processes that read have no tables, and spare the 80 MB and half a second
    import pandas as pd

OPEN = 64  # shards that are kept open for reading
HAS_ARRAYS = ("ok", "partial")  # the statuses of videos that have arrays


@dataclass(frozen=True, eq=False)
class Shards:
    """The results of a step: arrays by video, read when asked for, and the status of every video.

    status: rows `video_id, shard, status, reason, clips_expected, clips, note, seconds`.
    """

    folder: Path
    status: pd.DataFrame

    def __contains__(self, video_id: str) -> bool:
        return video_id in self._shard_of

    @property
    def failed(self) -> pd.DataFrame:
        """The rows of videos without arrays: `failed` and `timeout`."""
        return self.status[~self.status["status"].isin(HAS_ARRAYS)]

    def but(self, *others: Shards) -> Shards:
        """The same without the videos that `others` have failed on, whose status and reason they get."""
        import pandas as pd

        lost = pd.concat([other.failed for other in others]).drop_duplicates("video_id")
        lost, status = lost.set_index("video_id"), self.status.set_index("video_id")
        status.loc[lost.index, ["status", "reason", "clips"]] = lost[["status", "reason", "clips"]]
        return Shards(self.folder, status.reset_index())

    def has(self, video_id: str, name: str) -> bool:
        """Whether there is such an array of a video."""
        return f"{video_id}/{name}" in self._open(video_id).names

    def get(self, video_id: str, name: str, rows: slice | int | None = None) -> np.ndarray:
        """An array of one video, or only some of its rows. Raises `KeyError` for failed videos."""
        file = self._open(video_id).file
        if rows is None:
            return file.get_tensor(f"{video_id}/{name}")
        return file.get_slice(f"{video_id}/{name}")[rows]

    @property
    def folders(self) -> list[Path]:
        """Where the arrays lie."""
        return [self.folder]

    def place(self, video_id: str) -> dict:
        """Where the arrays of one video lie, as JSON, for another process; see `reopen`."""
        return {"folder": str(self.folder), "shard": int(self._shard_of[video_id])}

    def __reduce__(self):
        return Shards, (self.folder, self.status)  # open files stay here

    @cached_property
    def _shard_of(self) -> dict[str, int]:
        read = self.status[self.status["status"].isin(HAS_ARRAYS)]
        return dict(zip(read["video_id"], read["shard"], strict=True))

    @cached_property
    def _files(self) -> dict[int, _File]:
        return {}

    def _open(self, video_id: str) -> _File:
        if video_id not in self._shard_of:
            raise KeyError(f"{self.folder.name}: nothing was read of video {video_id!r}")
        shard = self._shard_of[video_id]
        if shard not in self._files:
            if len(self._files) >= OPEN:
                self._files.clear()
            file = safe_open(self.folder / f"{shard:05d}.safetensors", "numpy")
            self._files[shard] = _File(file, frozenset(file.keys()))
        return self._files[shard]


class _File(NamedTuple):
    file: safe_open
    names: frozenset[str]


@dataclass(frozen=True, eq=False)
class JoinedShards(Shards):
    """The results of a step, and the arrays `names` of another step on the same videos, `others`."""

    others: Shards
    names: tuple[str, ...]

    @property
    def folders(self) -> list[Path]:
        return [self.folder, self.others.folder]

    def has(self, video_id: str, name: str) -> bool:
        return video_id in self.others if name in self.names else super().has(video_id, name)

    def get(self, video_id: str, name: str, rows: slice | int | None = None) -> np.ndarray:
        if name in self.names:
            return self.others.get(video_id, name, rows)
        return super().get(video_id, name, rows)

    def place(self, video_id: str) -> dict:
        others = {"others": self.others.place(video_id), "names": list(self.names)}
        return super().place(video_id) | others

    def __reduce__(self):
        return JoinedShards, (self.folder, self.status, self.others, self.names)


def reopen(video_id: str, place: dict) -> Shards:
    """The results of one video by the `place` where they lie, in another process."""
    import pandas as pd

    status = pd.DataFrame([{"video_id": video_id, "shard": place["shard"], "status": "ok"}])
    if "others" not in place:
        return Shards(Path(place["folder"]), status)
    others = reopen(video_id, place["others"])
    return JoinedShards(Path(place["folder"]), status, others, tuple(place["names"]))


def open_shards(folder: Path, *others: Path, names: Sequence[str] = ()) -> Shards:
    """All results in the folder of a finished step; with another step's folder, both as one.

    names: the arrays that are the other step's.
    """
    import pandas as pd

    rows = []
    for report in sorted(folder.glob("[0-9]*.json")):
        rows += json.loads(report.read_text(encoding="utf-8"))["videos"]
    status = pd.DataFrame(rows)
    if not others:
        return Shards(folder, status)
    return JoinedShards(folder, status, open_shards(others[0]), tuple(names))
