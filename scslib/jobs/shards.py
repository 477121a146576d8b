"""Run a step over many videos, shard by shard; resumable, with a status each.

A step is a function from one video to arrays. Its results lie in a folder of their own:

    FOLDER/key.json              what was done, by which code (see `keys`)
    FOLDER/00000.safetensors     the arrays of a few videos, named "video_id/array"
    FOLDER/00000.json            one status row per video, counts, seconds; written last: a shard that
                                 has it is done

FOLDER's name carries a hash of the step's parameters and of the code that computes it, so results of
other parameters or other code never mix. Where and by how many processes a step is done is an
`engine`'s business, and does not change a byte.

The status of a video is `ok`; `partial`: fewer frames or clips than the file declares, with the numbers;
`failed`, with the reason, also where reading it crashed or took too much memory; or `timeout`.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
from safetensors import SafetensorError
from safetensors.numpy import save_file

from scslib.jobs.child import TRIES, Child, Lost, busy_with
from scslib.jobs.engines import Engine
from scslib.jobs.files import DISK, FileError
from scslib.jobs.fingerprint import Code, code_of
from scslib.jobs.keys import OLDER, Key
from scslib.jobs.shard_files import HAS_ARRAYS, Shards

VIDEOS_PER_SHARD = 8
NO_VIDEOS_FAULT = DISK | {errno.EMFILE, errno.ENFILE}  # these errors end the step


class Video(NamedTuple):
    """A video of a step; `own` are parameters of it alone."""

    video_id: str
    path: Path
    own: dict = {}


class Read(NamedTuple):
    """What a step made of one video: arrays, clips that were read and that the file promises.

    missing: what else is not there, in words ("80 of 120 frames"); empty for a whole file. note: what is
    good to know of it, in words; no fault.
    """

    arrays: dict[str, np.ndarray]
    clips: int
    clips_expected: int
    missing: str = ""
    note: str = ""


def with_places(videos: Sequence[Video], shards: Shards) -> list[Video]:
    """The videos that a step has results of, each with its `place`. The results lie there.

    For a step that stands on it: `reopen(params["video_id"], params["place"])` has them there.
    """
    return [
        video._replace(own={"video_id": video.video_id, "place": shards.place(video.video_id)})
        for video in videos
        if video.video_id in shards
    ]


Work = Callable[[Path, dict], Read]  # from the path of a video, and the parameters


def run_shards(
    work: Work,
    videos: Sequence[Video | tuple[str, Path]],
    folder: str | Path,
    *,
    params: dict,
    stands_on: dict | None = None,
    given: dict | None = None,
    workers: int = 0,
    title: str,
    engine: Engine | None = None,
    made: Callable[[Video, dict], bool] | None = None,
) -> Shards:
    """Apply `work` to every video, and keep the results in `folder-HASH`.

    Finished shards are not done again, but for those with a file that has changed since. A `FileError`
    (a `VideoError` is one), or an `OSError` but for that of a full disk, is that video's status, not the
    step's end; so is the death of the process that read it.

    All of `params`, `stands_on`, `given` goes to `work`, with a video's own parameters. `params` and
    `stands_on` must be JSON, and are in the hash, with the list of videos and the code that `work`
    reaches by import. stands_on: checksums of other steps' results, such as weights. given: what changes
    no result, such as where these weights lie. engine: by default what `Engine.current` says; workers:
    0, one for each core. made: of a video and the parameters, whether what `work` left elsewhere is
    still there.
    """
    import pandas as pd

    engine = engine or Engine.current()
    stands_on, given = stands_on or {}, given or {}
    asked = [Video(v[0], Path(v[1]), *v[2:]) for v in videos]
    listed = [[v.video_id, str(v.path), v.own] for v in asked]
    what = [work.__module__, work.__qualname__, params, listed]
    key = Key(title, what, code_of(work), stands_on)
    folder = _folder_of(key, Path(folder))
    _sweep(folder)
    rows: dict[int, list[dict]] = {}
    jobs: list[_Job] = []
    for number, start in enumerate(range(0, len(asked), VIDEOS_PER_SHARD)):
        some = asked[start : start + VIDEOS_PER_SHARD]
        job = _Job(work, some, folder, number, params | stands_on | given, key.code)
        done = _finished(job, again=engine.retry, made=made)
        if done is None:
            jobs.append(job)
        else:
            rows[number] = done
    for at, done in engine.map(_supervise, jobs, workers=workers, title=title, unit="shard"):
        rows[jobs[at].number] = done
    return Shards(folder, pd.DataFrame([row for number in sorted(rows) for row in rows[number]]))


def _folder_of(key: Key, folder: Path) -> Path:
    """FOLDER-HASH, made if it is not there, with its key in it."""
    own = folder.with_name(f"{folder.name}-{key.digest[:10]}")
    if not (own / "key.json").is_file():
        others = sorted(folder.parent.glob(f"{folder.name}-*"), key=lambda path: path.stat().st_mtime)
        older = any(not (other / "key.json").is_file() for other in others)
        again = key.why_again(other / "key.json" for other in others) or (OLDER if older else "")
        key.write(own / "key.json", again=again)
    return own


@dataclass(frozen=True)
class _Job:
    """One shard to be made; `gone` are the statuses of videos that are not to be read again."""

    work: Work
    videos: list[Video]
    folder: Path
    number: int
    params: dict
    code: Code
    gone: dict[str, dict] = field(default_factory=dict)

    @property
    def target(self) -> Path:
        return self.folder / f"{self.number:05d}.safetensors"


def _finished(job: _Job, *, again: bool, made) -> list[dict] | None:
    """The rows of a shard that is done; with `again`, not if a video failed that might do better."""
    try:
        report = json.loads(job.target.with_suffix(".json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    if report["files"] != [_identity(video.path) for video in job.videos]:
        return None
    read = [row["status"] in HAS_ARRAYS for row in report["videos"]]
    if again and not all(read):
        return None
    if made and not all(made(v, job.params) for v, r in zip(job.videos, read, strict=True) if r):
        return None
    return report["videos"]


def _identity(path: Path) -> list[int] | None:
    """Bytes and time of a file's last change; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns]


def _supervise(child: Child, job: _Job) -> list[dict]:
    """Let a child make a shard. A video that it dies of is left out, and the others are read again."""
    deaths: Counter[str | None] = Counter()
    while True:
        try:
            networks = any(name.startswith("torch") for name in job.code.libraries)
            return child.call(_make, job, preload=job.work.__module__, networks=networks)
        except Lost as lost:
            deaths[lost.at] += 1
            if lost.again and deaths[lost.at] < TRIES:
                continue
            if lost.at is None:
                raise
            job.gone[lost.at] = {"status": lost.status, "reason": lost.reason}


def _make(job: _Job) -> list[dict]:
    """Read the videos of a shard and write it, in a child."""
    if not job.code.current():
        raise RuntimeError("scslib was changed while it ran: restart it (or the kernel)")
    arrays, rows, files = {}, [], [_identity(video.path) for video in job.videos]
    for video in job.videos:
        begin = time.perf_counter()
        row = {"video_id": video.video_id, "shard": job.number, "status": "ok", "reason": ""}
        row |= {"clips_expected": 0, "clips": 0, "note": ""}
        if video.video_id in job.gone:
            gone = job.gone[video.video_id]
            rows.append(row | gone | {"reason": f"{video.path}: {gone['reason']}", "seconds": 0.0})
            continue
        busy_with(video.video_id)
        try:
            read = job.work(video.path, job.params | video.own)
            if read.clips == 0:
                raise FileError(f"{video.path}: not one clip could be decoded")
            for name, value in read.arrays.items():  # safetensors writes the buffer as it lies in memory
                arrays[f"{video.video_id}/{name}"] = np.ascontiguousarray(value)
            row |= {"clips_expected": read.clips_expected, "clips": read.clips, "note": read.note}
            if read.missing or read.clips < read.clips_expected:
                reason = f"{read.clips} of {read.clips_expected} clips could be read"
                row |= {"status": "partial", "reason": ", ".join(filter(None, [reason, read.missing]))}
        except FileError as error:
            row |= {"status": "failed", "reason": str(error)}
        except OSError as error:
            if error.errno in NO_VIDEOS_FAULT:
                raise
            row |= {"status": "failed", "reason": f"{video.path}: {error}"}
        except MemoryError:
            row |= {"status": "failed", "reason": f"{video.path}: wants more memory than there is"}
        rows.append(row | {"seconds": round(time.perf_counter() - begin, 4)})
    busy_with(None)
    _write(job, arrays, rows, files)
    return rows


def _write(job: _Job, arrays: dict[str, np.ndarray], rows: list[dict], files: list) -> None:
    temporary = job.target.with_suffix(f".{socket.gethostname()}-{os.getpid()}.part")
    report = {
        "counts": dict(sorted(Counter(row["status"] for row in rows).items())),
        "seconds": round(sum(row["seconds"] for row in rows), 4),
        "videos": rows,
        "files": files,
    }
    try:
        try:
            save_file(arrays, temporary)
        except SafetensorError as error:  # as a rule the disk's, which safetensors hides
            number = re.search(r"os error (\d+)", str(error))
            code = int(number.group(1)) if number else 5
            raise OSError(code, os.strerror(code), str(job.target)) from error
        os.replace(temporary, job.target)
        temporary.write_text(json.dumps(report, indent=1, ensure_ascii=False), encoding="utf-8")
        os.replace(temporary, job.target.with_suffix(".json"))
    except OSError:
        temporary.unlink(missing_ok=True)  # what is left of it would keep the disk full
        raise


def _sweep(folder: Path) -> None:
    """Remove what processes of this machine that were killed have left half written."""
    for path in folder.glob(f"*.{socket.gethostname()}-*.part"):
        process = path.suffixes[-2].rpartition("-")[2]
        if process.isdigit() and not psutil.pid_exists(int(process)):
            with contextlib.suppress(OSError):
                path.unlink()
