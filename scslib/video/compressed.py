"""Compressed-domain features: I-frames, motion displacement, RGB residuals (paper, sec. 3.2).

A P-frame is stored as "take these blocks of an earlier picture, move them, add a small correction".
The decoder tells us the moves for nothing; the correction is the difference between the picture and
its moved predecessor. Both are kept at 1/16 of the picture's size, which is what the samplers see.

Definitions (CoViAR, Wu et al., CVPR 2018), for a block at position p of frame t whose content was at
position q of the reference picture:

    motion displacement   MD(p)    = p - q                       in pixels, x first
    RGB residual          RGB-R(p) = frame_t[p] - reference[q]   in levels, -255..255

The reference is the I- or P-frame before it, or, accumulated, the last I-frame, through which every
pixel is traced back. What the paper's streams (GOP of 12, no B-frames) leave open is decided so:

    B-frames             have no features, as in the paper; those that no other frame refers to are not
                         even decoded. The P-frame after them looks back over them: its MD is divided
                         by the number of frames, so that it stays a motion from one frame to the next.
    several references   H.264 may refer to an older picture, and FFmpeg does not say to which: such a
                         vector is taken as one from the I- or P-frame before.
    no vectors           a block without a vector into the past (an intra block) counts as still.
    H.264's loop filter  smooths block edges after decoding, for a quarter of the time. P-frames go
                         without it: with a GOP of 12 their residuals differ by 3 % of their spread.
    HEVC, VP9, AV1       vectors are estimated from the pictures (`vectors.estimate`); every frame that
                         is not a keyframe counts as a P-frame.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace

import av
import numpy as np
from av.video.frame import PictureType

from scslib.video.clips import ClipIndex
from scslib.video.colour import matrix_of
from scslib.video.container import open_video, video_stream
from scslib.video.frames import RgbConverter, visit
from scslib.video.layout import in_the_middle
from scslib.video.needed import Due, keyframes_of, none_shared, one_by_one
from scslib.video.planes import NO_PLANES, Planes, planes_of
from scslib.video.residual import (
    block_motion,
    block_residual,
    block_sums,
    grid_of,
    trace_back,
    traced_means,
)
from scslib.video.vectors import EXPORTED, estimate, vectors

INTRA = (int(PictureType.I), int(PictureType.SI))
BIDIRECTIONAL = (int(PictureType.B), int(PictureType.BI))

Looked = tuple[Planes, np.ndarray]  # a frame's planes, and their sums


@dataclass(frozen=True, eq=False)
class CompressedClip:
    """The stream's data of one clip of T frames, as they are shown (`display`).

    motion: (T, rows, columns, 2) float32, pixels a frame (accumulated: pixels), x first. A cell is a
    block of 16 x 16 pixels as they are stored.
    residual: (T, rows, columns, 3) float32, RGB levels, the mean over the cell.
    predicted: (T,) bool, True for P-frames; motion and residual of all other frames are zero.
    iframes: (M, h, w, 3) uint8, M >= 1: the clip's I-frames (read `early`, its first), or the last one
    before it if it has none. Only those count that are keyframes: where a decoder can start.
    """

    index: int
    motion: np.ndarray
    residual: np.ndarray
    predicted: np.ndarray
    iframes: np.ndarray

    def __repr__(self) -> str:
        return (
            f"CompressedClip(index={self.index}, motion={self.motion.shape}, "
            f"residual={self.residual.shape}, iframes={self.iframes.shape})"
        )


def iter_compressed(
    index: ClipIndex,
    clips: Sequence[int] | None = None,
    *,
    accumulate: bool = False,
    iframe_size: tuple[int, int] | None = None,
    motion: bool = True,
    residuals: bool = True,
    pictures: int = 0,
    early: bool = False,
) -> Iterator[CompressedClip]:
    """One pass over the stream, clip by clip. Its memory does not grow with the stream's length.

    `clips` are the ascending numbers of those wanted (None: all); the reader seeks over what lies
    between. `accumulate` traces vectors and residuals back to the last I-frame. `iframe_size` (H, W)
    scales the I-frames (None keeps the full size, as in the paper). A broken stream gives fewer clips
    than were asked for: those of which a frame that is needed cannot be decoded are passed over.

    What is not asked for is left zero, and not computed: without `residuals` no picture but the
    I-frames needs to look right, so the decoder may leave out transforms; without `motion` only
    keyframes are decoded; of each clip the features of about `pictures` P-frames are computed (0: of
    all), at equal distances, or `early` after its first keyframe, its only I-frame then: see
    `needed.Due`.
    """
    wanted = range(len(index)) if clips is None else clips
    if not len(wanted):
        return
    done = yield from _read(
        index,
        wanted,
        accumulate=accumulate,
        iframe_size=iframe_size,
        motion=motion,
        residuals=residuals,
        pictures=pictures,
        early=early,
    )
    if not motion:  # broken off, or keyframes that are none to the decoder
        rest = iter_compressed(
            index,
            wanted[done:],
            iframe_size=iframe_size,
            residuals=False,
            pictures=pictures,
            early=early,
        )
        for clip in rest:
            still, none = np.zeros_like(clip.motion), np.zeros_like(clip.predicted)
            yield replace(clip, motion=still, predicted=none)


def _read(
    index: ClipIndex,
    wanted: Sequence[int],
    *,
    accumulate: bool,
    iframe_size: tuple[int, int] | None,
    motion: bool,
    residuals: bool,
    pictures: int,
    early: bool,
) -> Generator[CompressedClip, None, int]:
    """What the stream gives of the clips `wanted`, before it breaks off; returns how many are done."""
    info = index.info
    runs = [index.frames(clip) for clip in wanted]
    with open_video(index.path) as container:
        stream = video_stream(container)
        exported = stream.codec_context.name in EXPORTED or not motion or bool(index.key.all())
        stream.codec_context.options |= _options(index, exported, motion, residuals)
        due, lost = Due(index, runs, pictures, early=early), set[int]()
        needed = runs if motion else keyframes_of(index, runs, due)
        some = motion and exported and pictures > 0 and index.seekable and none_shared(runs)
        seen_next = one_by_one(runs, due) if some else needed
        through = iter if exported else estimate
        frames = visit(index, container, stream, seen_next, through=through, lost=lost)
        tracer = _Tracer(accumulate, motion and residuals, estimated=not exported)
        scaler = RgbConverter(info.display, iframe_size or (info.height, info.width))
        iframes: dict[int, np.ndarray] = {}  # by position
        rows: dict[int, tuple] = {}  # motion and residual of the P-frames
        shape, done, position, seen = None, 0, -1, set()
        for position, frame in frames:
            shape = shape or (frame.height, frame.width)
            if shape != (frame.height, frame.width):
                break  # the picture changes its size: what follows is another video
            seen.add(position)
            intra = tracer.is_intra(frame)
            if not iframes or (intra and frame.key_frame and index.key[position]):
                iframes[position] = scaler(frame)
            due.give_up(position)
            row = tracer.step(position, frame, intra, due.wants(position)) if motion else None
            if row is not None:
                rows[position] = row
                due.found(position)
            while position >= needed[done][-1] or (some and due.nothing_more_of(runs[done], position)):
                whole = exported or not motion or seen.issuperset(runs[done])
                if whole and lost.isdisjoint(needed[done] if not motion else runs[done]):
                    yield _clip(index, wanted[done], runs[done], due, iframes, rows, shape)
                done += 1
                if done == len(wanted):
                    return done
                _forget(runs[done][0], iframes, rows)
        if motion and position >= needed[done][0] and lost.isdisjoint(runs[done]):
            # only frames without features were to come, or it is broken off inside
            yield _clip(index, wanted[done], runs[done], due, iframes, rows, shape)
            return done + 1
    return done


def _forget(before: int, iframes: dict, rows: dict) -> None:
    """Drop what lies before the next clip; the last I-frame before it stays."""
    for position in [p for p in rows if p < before]:
        del rows[position]
    for position in [p for p in iframes if p <= before][:-1]:
        del iframes[position]


def _clip(
    index: ClipIndex, clip: int, run: range, due: Due, iframes: dict, rows: dict, shape
) -> CompressedClip:
    still = np.zeros((*grid_of(*shape), 2), np.float32), np.zeros((*grid_of(*shape), 3), np.float32)
    at = list(run)
    if len(at) > index.clip_len:  # made by time, where frames come thick and fast
        at = [at[i] for i in in_the_middle(len(at), index.clip_len)]
    found = [rows.get(position, still) for position in (*at, *[-1] * (index.clip_len - len(at)))]
    # joined by rows and parted again: the quickest way to stack
    motion = np.concatenate([row[0] for row in found]).reshape(len(found), *still[0].shape)
    residual = np.concatenate([row[1] for row in found]).reshape(len(found), *still[1].shape)
    predicted = np.array([row is not still for row in found])
    shown = due.keyframes(run) if due.early else run
    inside = [picture for position, picture in iframes.items() if position in shown]
    before = [picture for position, picture in iframes.items() if position < run[0]][-1:]
    pictures = inside or before or [next(iter(iframes.values()))]  # its own pictures are lost
    turned = index.info.display.turn_vectors(motion), index.info.display.turn(residual)
    return CompressedClip(clip, *turned, predicted, np.stack(pictures))


def _options(index: ClipIndex, exported: bool, motion: bool, residuals: bool) -> dict[str, str]:
    """What the decoder is told: to export vectors, and what it may leave undone."""
    if not motion:
        skip = "nokey" if index.key[0] else "noref"  # some first picture has to come
        return {"skip_frame": skip} if index.timed else {}
    if not exported:
        return {}
    options = {"flags2": "+export_mvs"}
    if index.timed:  # else frames are counted, and each has to come
        options["skip_frame"] = "noref"
    if index.key[0]:  # else the first picture, which is shown, is no keyframe
        options |= {"skip_loop_filter": "nointra"} | ({} if residuals else {"skip_idct": "nokey"})
    return options


class _Tracer:
    """Turns decoded frames, in order, into motion and residual grids."""

    def __init__(self, accumulate: bool, residuals: bool, *, estimated: bool):
        self.accumulate, self.residuals, self.estimated = accumulate, residuals, estimated
        self.position = -1  # of the reference
        self.reference: av.VideoFrame | None = None
        self.looked: Looked | None = None  # its planes and sums, once somebody asked for them
        self.source: np.ndarray | None = None  # (H, W, 2): where each pixel was in the I-frame

    def is_intra(self, frame: av.VideoFrame) -> bool:
        return frame.key_frame if self.estimated else frame.pict_type in INTRA

    def step(self, position: int, frame: av.VideoFrame, intra: bool, wanted: bool) -> tuple | None:
        """(motion, residual) of a P-frame; None for I- and B-frames, without a reference, unwanted."""
        if not self.estimated and frame.pict_type in BIDIRECTIONAL:
            return None
        if self.reference is None or intra or not (wanted or self.accumulate):
            self._refer_to(position, frame, None)
            self.source = None
            return None
        height, width = frame.height, frame.width
        grid, cells = grid_of(height, width), vectors(frame, estimated=self.estimated)
        motion = np.empty((*grid, 2), np.float32)
        residual = (np.empty if self.residuals else np.zeros)((*grid, 3), np.float32)
        if self.residuals and self.looked is None:
            self.looked = _look(self.reference, grid)
        if self.accumulate:
            if self.source is None:
                here = np.mgrid[:height, :width][::-1]
                self.source = np.ascontiguousarray(here.transpose(1, 2, 0), np.int32)
            self.source = trace_back(self.source, cells)
            if not wanted:
                return None
            now, anchor = (planes_of(frame), self.looked[0]) if self.looked else (NO_PLANES, NO_PLANES)
            traced_means(now.at, anchor.at, self.source, matrix_of(frame), motion, residual)
            return motion, residual
        block_motion(cells, position - self.position, motion)
        looked = None
        if self.looked:
            looked, (before, sums) = _look(frame, grid), self.looked
            size = height, width
            block_residual(looked[1], sums, before.at, *size, cells, matrix_of(frame), residual)
        self._refer_to(position, frame, looked)
        return motion, residual

    def _refer_to(self, position: int, frame: av.VideoFrame, looked: Looked | None) -> None:
        self.position, self.reference, self.looked = position, frame, looked


def _look(frame: av.VideoFrame, grid: tuple[int, int]) -> Looked:
    planes = planes_of(frame)
    return planes, block_sums(planes.at, *grid)
