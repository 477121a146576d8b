"""Read the kept results of a step: arrays by video, and their status."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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

    status: rows `video_id, shard, status, reason, clips_expected, clips, note, seconds`. joined: other
    steps of the same videos, by the array that is read from them.
    """

    folder: Path
    status: pd.DataFrame
    joined: Mapping[str, Shards] = field(default_factory=dict)

    def __contains__(self, video_id: str) -> bool:
        return video_id in self._shard_of

    @property
    def failed(self) -> pd.DataFrame:
        """The rows of videos without arrays: `failed` and `timeout`."""
        return self.status[~self.status["status"].isin(HAS_ARRAYS)]

    def but(self, *others: Shards) -> Shards:
        """The results without the videos that `others` have failed on. These get the others' status and
        reason.
        """
        import pandas as pd

        lost = pd.concat([other.failed for other in others]).drop_duplicates("video_id")
        lost, status = lost.set_index("video_id"), self.status.set_index("video_id")
        status.loc[lost.index, ["status", "reason", "clips"]] = lost[["status", "reason", "clips"]]
        return replace(self, status=status.reset_index())

    def has(self, video_id: str, name: str) -> bool:
        """Tell whether there is such an array of a video."""
        if name in self.joined:
            return video_id in self.joined[name] and self.joined[name].has(video_id, name)
        return f"{video_id}/{name}" in self._open(video_id).names

    def get(self, video_id: str, name: str, rows: slice | int | None = None) -> np.ndarray:
        """An array of one video, or only some of its rows. Raises `KeyError` for failed videos."""
        if name in self.joined:
            return self.joined[name].get(video_id, name, rows)
        file = self._open(video_id).file
        if rows is None:
            return file.get_tensor(f"{video_id}/{name}")
        return file.get_slice(f"{video_id}/{name}")[rows]

    def place(self, video_id: str) -> dict:
        """The place where the arrays of one video lie, as JSON: for another process; see `reopen`."""
        joined = {n: other.place(video_id) for n, other in self.joined.items() if video_id in other}
        shard = int(self._shard_of[video_id])
        return {"folder": str(self.folder), "shard": shard, "joined": joined}

    def __reduce__(self):
        return Shards, (self.folder, self.status, self.joined)  # open files stay here

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


def join(shards: Shards, name: str, other: Shards) -> Shards:
    """`shards`, and the array `name` that another step has made of the same videos."""
    return replace(shards, joined={**shards.joined, name: other})


def reopen(video_id: str, place: dict) -> Shards:
    """The results of one video by the `place` where they lie, in another process."""
    import pandas as pd

    status = pd.DataFrame([{"video_id": video_id, "shard": place["shard"], "status": "ok"}])
    joined = {name: reopen(video_id, other) for name, other in place["joined"].items()}
    return Shards(Path(place["folder"]), status, joined)


def open_shards(folder: Path, joined: Mapping[str, Path] | None = None) -> Shards:
    """All results in the folder of a finished step; joined: folders of other steps, by their arrays."""
    import pandas as pd

    rows = []
    for report in sorted(folder.glob("[0-9]*.json")):
        rows += json.loads(report.read_text(encoding="utf-8"))["videos"]
    others = {name: open_shards(other) for name, other in (joined or {}).items()}
    return Shards(folder, pd.DataFrame(rows), others)
