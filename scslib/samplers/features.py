"""Read compressed-video features and log-mel sound of every clip of a video."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from scslib.jobs.shards import Read
from scslib.jobs.threads import Result, ahead, workers
from scslib.models.modalities import MODALITIES, VISUAL
from scslib.video.audio import MEL_STEPS, MELS, iter_logmel
from scslib.video.clips import ClipIndex, expected_clips, index_clips
from scslib.video.compressed import CompressedClip, iter_compressed
from scslib.video.frames import short_side
from scslib.video.layout import in_the_middle
from scslib.video.probe import VideoInfo
from scslib.video.residual import BLOCK

AT_ONCE = 32, 256  # clips that are held at a time, at least and at most


@dataclass(frozen=True)
class FeatureSpec:
    """How videos are read.

    clip_len, frame_rate: what a clip is (`index_clips`), the same as for f. height, width: the frame
    size in pixels that the samplers know. Videos of another size are fitted: grids resized, vectors
    scaled; 0 keeps each video's own size. iframe_size: the I-frames' short side in pixels; 0 keeps the
    full size. pictures: so many P-frames of each clip are kept, at equal distances; 0 keeps all. early:
    those that come next after the clip's first keyframe, and of its I-frames that one alone, which need
    the least decoding; where all P-frames are kept, in a stream with B-frames, and in a clip without a
    keyframe it changes nothing (`needed.Due`). The paper keeps all of everything. iframe_trunk: a
    classifier `timm:...` whose features of the I-frames are kept beside them, for networks whose trunk
    it is (see `extraction`).
    """

    clip_len: int = 16
    accumulate: bool = False
    iframe_size: int = 0
    height: int = 0
    width: int = 0
    frame_rate: float = 0.0
    pictures: int = 0
    iframe_trunk: str = ""
    early: bool = False

    def index(self, path: str | Path) -> ClipIndex:
        return index_clips(path, clip_len=self.clip_len, frame_rate=self.frame_rate)


def read_features(path: Path, params: dict) -> Read:
    """The arrays of one video for `run_shards`: what `read_video` reads, sound if there is any."""
    spec = FeatureSpec(**params)
    index = spec.index(path)
    modalities = MODALITIES if index.info.has_audio else VISUAL
    video = read_video(index, spec, modalities)
    return Read(
        video.arrays, len(video.arrays["times"]), expected_clips(index), index.missing, index.note
    )


@dataclass(frozen=True, eq=False)
class VideoFeatures:
    """The features of one video in memory. It has the same `get` and `has` as `Shards`.

    Of N clips of T frames: clip (N,) int64, their numbers; times (N, 2) float64 seconds; bytes (N,)
    int64, compressed size; motion (N, T, h, w, 2) and residual (N, T, h, w, 3) float16, and predicted
    (N, T) bool, which of them are of P-frames; iframes (M, H, W, 3) uint8, those of row i at
    iframe_start[i]..iframe_start[i + 1]; audio (N, 200, 40) float16, log-mel energy.
    """

    arrays: dict[str, np.ndarray]

    def has(self, video_id: str, name: str) -> bool:
        return name in self.arrays

    def get(self, video_id: str, name: str, rows: slice | None = None) -> np.ndarray:
        return self.arrays[name] if rows is None else self.arrays[name][rows]


def read_video(
    index: ClipIndex,
    spec: FeatureSpec,
    modalities: Sequence[str],
    clips: Sequence[int] | None = None,
    *,
    threads: int = 1,
) -> VideoFeatures:
    """Read what samplers of these modalities need of one video, and nothing else.

    Only of `clips`, ascending numbers, if they are given.
    """
    parts = map_chunks(lambda part: part.arrays, index, spec, modalities, clips, threads=threads)
    chunks = list(parts)
    names = dict.fromkeys(name for chunk in chunks for name in chunk)
    arrays = {name: np.concatenate([c[name] for c in chunks if name in c]) for name in names}
    if "iframe_start" in arrays:
        shown = [np.diff(chunk["iframe_start"]) for chunk in chunks if "iframe_start" in chunk]
        arrays["iframe_start"] = np.cumsum(np.concatenate([[0], *shown]))
    return VideoFeatures(arrays)


def map_chunks(
    function: Callable[[VideoFeatures], Result],
    index: ClipIndex,
    spec: FeatureSpec,
    modalities: Sequence[str],
    clips: Sequence[int] | None = None,
    *,
    threads: int = 1,
) -> Iterator[Result]:
    """`function` of what `read_video` reads, some clips at a time, in order.

    What is held does not grow with the video's length. With several `threads` the pictures are read in
    several places at once, with the sound beside them, and `function` runs in the thread that read. A
    broken stream gives fewer clips than were asked for.
    """
    wanted = list(range(len(index)) if clips is None else clips)
    size = int(np.clip(-(-len(wanted) // (2 * threads)), *AT_ONCE))
    chunks = [wanted[i : i + size] for i in range(0, len(wanted), size)] or [[]]
    info, times, sizes = index.info, index.clips, index.clip_bytes
    logmels = iter_logmel(index.path, [times[i] for i in wanted], index.joins)
    look = _reader(index, spec, modalities)
    threads = threads if index.seekable else 1  # else it cannot seek, and one reader reads all
    pictures = look(wanted)

    def hear(chunk: list[int]) -> list[np.ndarray]:
        return list(islice(logmels, len(chunk)))

    def work(job: tuple[list[int], Future | None]) -> Result:
        chunk, sound = job
        arrays, read = {}, chunk
        if set(modalities) & set(VISUAL):
            found = list(islice(pictures, len(chunk)) if threads == 1 else look(chunk))
            read = [clip.index for clip in found]
            arrays = _visual_arrays(found, info, spec, modalities) if found else {}
        if sound is not None:
            heard = [row for clip, row in zip(chunk, sound.result(), strict=True) if clip in set(read)]
            arrays["audio"] = np.array(heard, np.float16).reshape(-1, MEL_STEPS, MELS)
        arrays["clip"] = np.array(read, np.int64)
        arrays["times"] = np.array([times[i][1:] for i in read]).reshape(-1, 2)
        arrays["bytes"] = sizes[read]
        return function(VideoFeatures(arrays))

    alone = threads == 1
    with workers(threads, alone=alone) as eyes, workers(1, alone=alone) as ear:
        ear = eyes if alone else ear  # one after the other
        heard = "audio" in modalities
        jobs = ((chunk, ear.submit(hear, chunk) if heard else None) for chunk in chunks)
        yield from ahead(eyes, work, jobs, depth=threads)


def _reader(
    index: ClipIndex, spec: FeatureSpec, modalities: Sequence[str]
) -> Callable[[Sequence[int]], Iterator[CompressedClip]]:
    """`iter_compressed` of some clips: what these modalities need of them."""
    info = index.info
    height, width = spec.height or info.height, spec.width or info.width
    size = short_side(width, height, spec.iframe_size) if spec.iframe_size else (height, width)
    return partial(
        iter_compressed,
        index,
        accumulate=spec.accumulate,
        iframe_size=size,
        motion=bool({"motion", "residual"} & set(modalities)),
        residuals="residual" in modalities,
        pictures=spec.pictures,
        early=spec.early,
    )


def _visual_arrays(
    clips: list[CompressedClip], info: VideoInfo, spec: FeatureSpec, modalities: Sequence[str]
) -> dict[str, np.ndarray]:
    """The arrays of the pictures, on the spec's grid, and no more P-frames than it wants."""
    arrays = {"iframes": np.concatenate([c.iframes for c in clips])}
    arrays["iframe_start"] = np.cumsum([0] + [len(c.iframes) for c in clips])
    picks = [_some(c.predicted, spec.pictures) for c in clips]
    arrays["predicted"] = np.stack([c.predicted[at] for c, at in zip(clips, picks, strict=True)])
    width, height = spec.width or info.width, spec.height or info.height
    grid = max(1, height // BLOCK), max(1, width // BLOCK)
    for name in {"motion", "residual"} & set(modalities):
        field = np.stack([getattr(c, name)[at] for c, at in zip(clips, picks, strict=True)])
        scale = None
        if name == "motion":
            scale = np.array([width / info.width, height / info.height], np.float32)
        arrays[name] = _fit(field, grid, scale)
    return arrays


def _some(predicted: np.ndarray, pictures: int) -> np.ndarray:
    """`pictures` frames of a clip, its P-frames at equal distances before all others; 0: all frames."""
    if pictures == 0:
        return np.arange(len(predicted))
    at = np.flatnonzero(predicted)
    if len(at) > pictures:
        return at[in_the_middle(len(at), pictures)]
    return np.concatenate([at, np.resize(np.flatnonzero(~predicted), pictures - len(at))])


def _fit(field: np.ndarray, grid: tuple[int, int], scale: np.ndarray | None) -> np.ndarray:
    """Grids (N, T, h, w, C) as float16 on another `grid`, each cell the mean of all that it touches."""
    for axis, size in enumerate(grid, start=2):
        old = field.shape[axis]
        if old != size:  # new cell i lies over the old ones from i * old / size to (i + 1) * old / size
            spans = [range(i * old // size, -(-(i + 1) * old // size)) for i in range(size)]
            field = np.stack([field.take(span, axis).mean(axis) for span in spans], axis)
    if scale is not None and (scale != 1).any():
        field = field * scale
    return field.astype(np.float16)
