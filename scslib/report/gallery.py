"""Gallery entries: saliency over time, clips at both ends of the ranking.

An `Entry` carries its clips with it, encoded small, so that showing it needs no dataset: `player`
makes HTML of it, RUN/gallery/ keeps those of a run, a JSON file each.
"""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
import pandas as pd
from matplotlib.image import imsave

from scslib.evaluation.segments import overlap
from scslib.samplers import policies
from scslib.video.clips import ClipIndex, index_clips
from scslib.video.container import VideoError
from scslib.video.recode import Recoding, Span, recode

LARGEST_ENTRY = 64_000_000  # bytes of an entry's file; those of the kit have some hundred kB
ENTRY_ENCODING = Recoding(short_side=128, gop=250, quality=30, sound_kbits=48)  # some 11 kB a second


class GalleryError(ValueError):
    """A file in a gallery that no run has written; one line that names it."""


@dataclass(frozen=True)
class EntryClip:
    """One clip. rank: 1 is the most salient. inside: the share of its time in segments; None: unknown.

    video: an MP4 file, empty where the clip could not be read; poster: its middle picture as JPEG.
    """

    rank: int
    top: bool
    start_s: float
    end_s: float
    saliency: float
    inside: float | None
    video: bytes = field(repr=False)
    poster: bytes = field(repr=False)


@dataclass(frozen=True, eq=False)
class Entry:
    """One video. times (N, 2), seconds, and saliency (N,), of all its clips; segments (S, 2), seconds.

    label: the true class; predicted: what the clips in the top were recognised as. Empty: unknown.
    """

    video_id: str
    label: str
    predicted: str
    times: np.ndarray = field(repr=False)
    saliency: np.ndarray = field(repr=False)
    segments: np.ndarray = field(repr=False)
    clips: tuple[EntryClip, ...]

    @property
    def extent(self) -> tuple[float, float]:
        """The start and end of its clips, in seconds."""
        return float(self.times[0, 0]), float(self.times[-1, 1])

    @property
    def correct(self) -> bool | None:
        return self.predicted == self.label if self.label and self.predicted else None


def make_entry(
    path: str | Path,
    times: np.ndarray,
    saliency: np.ndarray,
    *,
    top: int = 3,
    bottom: int = 3,
    segments: np.ndarray | None = None,
    video_id: str = "",
    label: str = "",
    predicted: str = "",
) -> Entry:
    """The entry of a file whose clips have this saliency (N,).

    Clips are (N, 2), in seconds. top, bottom: how many clips of each end of the ranking; of a short
    video, the top goes first. Raises `VideoError` for a file that cannot be read.
    """
    times, saliency = np.asarray(times, float), np.asarray(saliency, float)
    if times.shape != (len(saliency), 2) or not len(saliency):
        raise ValueError(f"times {times.shape} and saliency {saliency.shape} must be (N, 2) and (N,)")
    if min(top, bottom) < 0:
        raise ValueError(f"top ({top}) and bottom ({bottom}) must be >= 0")
    index = index_clips(path)  # a file that is no video at all is the caller's mistake, not a lost clip
    spans = np.reshape([] if segments is None else segments, (-1, 2)).astype(float)
    share = overlap(times[:, 0], times[:, 1], spans) / np.maximum(times[:, 1] - times[:, 0], 1e-9)
    order = policies.top_k(saliency, len(saliency))
    top = min(top, len(order))
    clips = []
    for place in [*range(top), *range(max(top, len(order) - bottom), len(order))]:
        clip = int(order[place])
        start, end = (float(second) for second in times[clip])
        inside = float(share[clip]) if len(spans) else None
        what = (place + 1, place < top, start, end, float(saliency[clip]), inside)
        clips.append(EntryClip(*what, *_encoded(index, (start, end))))
    return Entry(video_id, label, predicted, times, saliency, spans, tuple(clips))


def _encoded(index: ClipIndex, span: Span) -> tuple[bytes, bytes]:
    """A clip as MP4, and its middle picture as JPEG; both empty where the file is broken there."""
    with tempfile.TemporaryDirectory(prefix="scs-clip-") as folder:
        target = Path(folder) / "clip.mp4"
        try:
            recode(index, target, [span], ENTRY_ENCODING)
        except VideoError:
            return b"", b""
        with av.open(str(target)) as container:
            pictures = list(container.decode(video=0))
        poster = io.BytesIO()
        picture = pictures[len(pictures) // 2].to_ndarray(format="rgb24")
        imsave(poster, picture, format="jpeg", pil_kwargs={"quality": 75})
        return target.read_bytes(), poster.getvalue()


def evenly(videos: pd.DataFrame, count: int) -> pd.DataFrame:
    """`count` rows of `videos`, taken from each `label` in turn; 0: all of them."""
    turn = videos.groupby("label").cumcount().sort_values(kind="stable").index
    return videos.loc[turn[: count or None]]


def save_gallery(folder: str | Path, entries: Iterable[Entry]) -> None:
    """Write the entries, in their order, in place of what lies in `folder`: all of them or none."""
    folder = Path(folder)
    temporary = folder.with_name(folder.name + ".part")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    for number, entry in enumerate(entries):
        text = json.dumps(dataclasses.asdict(entry), default=_plain, ensure_ascii=False)
        (temporary / f"{number:05d}.json").write_text(text, encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(temporary, folder)


def load_gallery(folder: str | Path) -> Iterator[Entry]:
    """The entries that `save_gallery` wrote, in their order, one at a time; none without the folder.

    Raises `GalleryError` for a file that it cannot have written, and for links.
    """
    if Path(folder).is_symlink():
        raise GalleryError(f"{folder}: a link, and a gallery is a folder of the run")
    for path in sorted(Path(folder).glob("*.json")):
        if path.is_symlink() or path.stat().st_size > LARGEST_ENTRY:
            raise GalleryError(f"{path}: a link, or more than {LARGEST_ENTRY // 1_000_000} MB")
        try:
            entry = _entry(json.loads(path.read_text(encoding="utf-8")))
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise GalleryError(f"{path}: not a video of the gallery ({str(error)[:200]})") from error
        yield entry


def _entry(values: dict) -> Entry:
    """The entry of a file's content; text stays text, and numbers are numbers, or it is an error."""
    for name, shape in (("times", (-1, 2)), ("saliency", -1), ("segments", (-1, 2))):
        values[name] = np.reshape(np.array(values[name], float), shape)
        if not np.isfinite(values[name]).all():
            raise ValueError(f"{name} must be finite")
    times = values["times"]
    if not 0 < len(times) == len(values["saliency"]) or not times[-1, 1] > times[0, 0]:
        raise ValueError("times and saliency do not fit")
    for name in ("video_id", "label", "predicted"):
        if not isinstance(values[name], str):
            raise ValueError(f"{name} must be a text")
    return Entry(**values | {"clips": tuple(_clip(clip) for clip in values["clips"])})


def _clip(values: dict) -> EntryClip:
    for name in ("video", "poster"):
        values[name] = base64.b64decode(values[name], validate=True)
    for name in ("start_s", "end_s", "saliency", "inside"):
        if (name, values[name]) != ("inside", None):
            values[name] = float(values[name])
            if not math.isfinite(values[name]):
                raise ValueError(f"{name} must be finite")
    return EntryClip(**values | {"rank": int(values["rank"]), "top": bool(values["top"])})


def _plain(value: np.ndarray | bytes):
    return value.tolist() if isinstance(value, np.ndarray) else base64.b64encode(value).decode()
