"""The compressed stream as features: I-frames, motion displacement, RGB residuals (paper, sec. 3.2).

A P-frame is stored as "take these blocks of an earlier picture, move them, add a small correction".
The decoder tells us the moves for nothing; the correction is the difference between the picture and
its moved predecessor. Both are kept at 1/16 of the picture's size, which is what the samplers see.

Definitions (CoViAR, Wu et al., CVPR 2018), for a block at position p of frame t whose content was at
position q of the reference picture:

    motion displacement   MD(p)    = p - q                       in pixels, x first
    RGB residual          RGB-R(p) = frame_t[p] - reference[q]   in levels, -255..255

The reference is the previous picture, or, accumulated, the last I-frame, through which every pixel is
traced back. With B-frames "previous" means previous in order of presentation, the vectors into the
past are used, and a block that only refers to the future counts as still. H.264 may refer to a picture
further back than the previous one and does not export which: such vectors are taken as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import av
import numpy as np
from av.video.frame import PictureType

from scslib.video.frames import RgbConverter, decoded
from scslib.video.probe import ClipIndex, open_video, video_stream

BLOCK = 16  # one cell of the motion and residual grids covers 16 x 16 pixels
CELL = 8  # the smallest block for which FFmpeg exports a vector

# From Y, Cb, Cr to R, G, B (ITU-R BT.601). Residuals are differences, so the offsets drop out and the
# conversion of a mean is the mean of the conversion: no frame needs to be converted as a whole.
YCC_TO_RGB = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]], np.float32)
LIMITED_RANGE = np.array([255 / 219, 255 / 224, 255 / 224], np.float32)


@dataclass(frozen=True, eq=False)
class CompressedClip:
    """What the stream says about one clip of T frames of H x W pixels.

    motion: (T, H//16, W//16, 2) float32, pixels, x first; zero on I-frames and still blocks.
    residual: (T, H//16, W//16, 3) float32, RGB levels, the mean over the cell; zero on I-frames.
    intra: (T,) bool, True where the frame is an I-frame.
    iframes: (M, h, w, 3) uint8, M >= 1: the clip's I-frames, or the last one before it if it has none.
    """

    index: int
    motion: np.ndarray
    residual: np.ndarray
    intra: np.ndarray
    iframes: np.ndarray

    def __repr__(self) -> str:
        return (
            f"CompressedClip(index={self.index}, motion={self.motion.shape}, "
            f"residual={self.residual.shape}, iframes={self.iframes.shape})"
        )


def iter_compressed(
    index: ClipIndex,
    *,
    accumulate: bool = False,
    iframe_size: tuple[int, int] | None = None,
    residuals: bool = True,
) -> Iterator[CompressedClip]:
    """One pass over the stream, clip by clip, in memory that does not grow with its length.

    `accumulate` traces vectors and residuals back to the last I-frame. `iframe_size` (H, W)
    scales the I-frames (None keeps the full size, as in the paper).
    `residuals=False` leaves the residuals zero and saves about half the time.
    A broken stream gives fewer clips than `len(index)`.
    """
    with open_video(index.path) as container:
        stream = video_stream(container)
        stream.codec_context.options = {"flags2": "+export_mvs"}
        to_rgb = RgbConverter(iframe_size or (stream.height, stream.width))
        tracer = _Tracer(accumulate, residuals)
        window: dict[int, tuple] = {}  # position -> motion, residual, intra, the I-frame before it
        shape, iframe, clip = None, None, 0
        for position, frame in index.positions(decoded(container, stream)):
            shape = shape or (frame.height, frame.width)
            if shape != (frame.height, frame.width):
                break  # the picture changes its size: what follows is another video
            motion, residual, intra = tracer.step(frame)
            if intra or iframe is None:
                iframe = to_rgb(frame)
            window[position] = motion, residual, intra, iframe
            while clip < len(index) and position >= index.frames(clip)[-1]:
                yield from _clip(index, clip, window)
                clip += 1
                window = {p: row for p, row in window.items() if p >= clip * index.clip_stride}
        if clip < len(index):  # the stream broke off inside this clip
            yield from _clip(index, clip, window)


def _clip(index: ClipIndex, clip: int, window: dict[int, tuple]) -> Iterator[CompressedClip]:
    rows = [window[p] for p in index.frames(clip) if p in window]
    if rows:
        rows += rows[-1:] * (index.clip_len - len(rows))
        motion, residual, intra, anchor = zip(*rows, strict=True)
        first = {id(a): a for a, is_key in zip(anchor, intra, strict=True) if is_key}
        iframes = np.stack(list(first.values()) or anchor[:1])
        yield CompressedClip(clip, np.stack(motion), np.stack(residual), np.array(intra), iframes)


class _Tracer:
    """Turns decoded frames, in order, into motion and residual grids."""

    def __init__(self, accumulate: bool, residuals: bool):
        self.accumulate, self.residuals = accumulate, residuals
        self.reference: list[np.ndarray] | None = None  # planes Y, Cb, Cr
        self.source: np.ndarray | None = None  # (H, W, 2): where each pixel was in the I-frame

    def step(self, frame: av.VideoFrame) -> tuple[np.ndarray, np.ndarray, bool]:
        grid = frame.height // BLOCK or 1, frame.width // BLOCK or 1
        motion, residual = np.zeros((*grid, 2), np.float32), np.zeros((*grid, 3), np.float32)
        intra = frame.pict_type == PictureType.I
        planes = planes_420(frame) if self.residuals else None
        if intra or (self.reference is None and self.residuals):
            self.reference, self.source = planes, None
            return motion, residual, intra
        moved = vectors(frame)
        if not self.accumulate:
            motion[:] = cell_mean(moved, grid)
            if self.residuals and min(frame.height, frame.width) >= BLOCK:
                residual[:] = _residual(planes, self.reference, moved, frame, grid)
            elif self.residuals:  # a picture smaller than one block has no cells to work in
                before = _before(moved, _pixels(frame))
                residual[:] = _difference(planes, self.reference, before, frame, grid)
            self.reference = planes
            return motion, residual, intra
        pixels = _pixels(frame)
        if self.source is None:
            self.source = pixels
        before = _before(moved, pixels)
        self.source = self.source[before[..., 1], before[..., 0]]
        motion[:] = cell_mean(pixels - self.source, grid, BLOCK)
        if self.residuals:
            residual[:] = _difference(planes, self.reference, self.source, frame, grid)
        return motion, residual, intra


def vectors(frame: av.VideoFrame) -> np.ndarray:
    """The frame's motion as a grid of cells of 8 x 8 pixels: (ceil(H/8), ceil(W/8), 2), x first.

    MD = current - source position, in pixels (quarter pixels are kept). Larger blocks fill several
    cells; blocks over the border are cut; cells without a vector into the past are zero.
    """
    rows, columns = -(-frame.height // CELL), -(-frame.width // CELL)
    grid = np.zeros((rows, columns, 2), np.float32)
    data = frame.side_data.get("MOTION_VECTORS")
    if data is None:
        return grid
    data = data.to_ndarray()
    data = data[data["source"] < 0]
    scale = np.maximum(data["motion_scale"], 1).astype(np.float32)
    moved = np.stack([-data["motion_x"] / scale, -data["motion_y"] / scale], axis=1)
    width, height = data["w"].astype(int), data["h"].astype(int)
    left, top = (data["dst_x"] - width // 2) // CELL, (data["dst_y"] - height // 2) // CELL
    for dy in range(int(height.max(initial=0)) // CELL):
        for dx in range(int(width.max(initial=0)) // CELL):
            y, x = top + dy, left + dx
            fits = (dy * CELL < height) & (dx * CELL < width)
            fits &= (y >= 0) & (y < rows) & (x >= 0) & (x < columns)
            grid[y[fits], x[fits]] = moved[fits]
    return grid


def cell_mean(field: np.ndarray, grid: tuple[int, int], per_cell: int = BLOCK // CELL) -> np.ndarray:
    """Mean of `field` (h, w, C) over `per_cell` x `per_cell` patches: (*grid, C). Cuts what is over."""
    rows, columns = grid
    field = field[: rows * per_cell, : columns * per_cell]
    if field.shape[0] < per_cell or field.shape[1] < per_cell:  # a picture smaller than one block
        return field.mean((0, 1), keepdims=True)
    # rows first: the long inner loop runs over whole lines, and little is left for the columns
    tall = field.reshape(rows, per_cell, columns * per_cell, -1).sum(1, dtype=np.float32)
    return tall.reshape(rows, columns, per_cell, -1).sum(2) / per_cell**2


def planes_420(frame: av.VideoFrame) -> list[np.ndarray]:
    """Y (H, W) and Cb, Cr (ceil(H/2), ceil(W/2)), uint8; other pixel formats are converted first."""
    if frame.format.name not in ("yuv420p", "yuvj420p"):
        frame = frame.reformat(format="yuv420p")
    planes = []
    for plane in frame.planes:
        lines = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        planes.append(lines[: plane.height, : plane.width].copy())
    return planes


def _residual(planes, reference, moved, frame, grid) -> np.ndarray:
    """Against the previous picture: a plain difference, and a compensated one where blocks moved."""
    height, width = planes[0].shape
    rows, columns = grid
    y, x = np.nonzero(np.any(np.rint(moved), axis=2))
    inside = (y < rows * 2) & (x < columns * 2)
    y, x = y[inside], x[inside]
    shift = np.rint(moved[y, x]).astype(np.intp)
    inner = np.arange(CELL)
    # positions of every pixel of the moved cells, in the current and in the previous picture
    ys, xs = y[:, None] * CELL + inner, x[:, None] * CELL + inner
    old_y = np.clip(ys - shift[:, 1:], 0, height - 1)
    old_x = np.clip(xs - shift[:, :1], 0, width - 1)
    means = np.empty((*grid, 3), np.float32)
    for channel, (now, before) in enumerate(zip(planes, reference, strict=True)):
        sub = 1 if channel == 0 else 2
        size = CELL // sub
        difference = np.subtract(now, before, dtype=np.int16)[..., None]
        cells = cell_mean(difference, (rows * 2, columns * 2), size)[..., 0]
        if len(y):
            at = old_y[:, :, None] // sub * now.shape[1] + old_x[:, None, :] // sub
            source = before.ravel().take(at).mean((1, 2), dtype=np.float32)
            here = now[ys[:, ::sub, None] // sub, xs[:, None, ::sub] // sub]
            cells[y, x] = here.mean((1, 2), dtype=np.float32) - source
        means[..., channel] = cell_mean(cells[..., None], grid)[..., 0]
    return _to_rgb_difference(means, frame)


def _difference(planes, reference, source, frame, grid) -> np.ndarray:
    """Against `reference` at the pixel positions `source` (H, W, 2), x first."""
    means = np.empty((*grid, 3), np.float32)
    for channel, (now, before) in enumerate(zip(planes, reference, strict=True)):
        if channel:
            now = now.repeat(2, 0).repeat(2, 1)[: source.shape[0], : source.shape[1]]
            before = before[source[..., 1] // 2, source[..., 0] // 2]
        else:
            before = before[source[..., 1], source[..., 0]]
        difference = np.subtract(now, before, dtype=np.int16)[..., None]
        means[..., channel] = cell_mean(difference, grid, BLOCK)[..., 0]
    return _to_rgb_difference(means, frame)


def _to_rgb_difference(ycc: np.ndarray, frame: av.VideoFrame) -> np.ndarray:
    full_range = frame.format.name.startswith("yuvj") or frame.color_range == 2
    return (ycc if full_range else ycc * LIMITED_RANGE) @ YCC_TO_RGB.T


def _pixels(frame: av.VideoFrame) -> np.ndarray:
    """The position of every pixel: (H, W, 2), x first."""
    return np.mgrid[: frame.height, : frame.width].transpose(1, 2, 0)[..., ::-1]


def _before(moved: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Where each pixel was in the reference, by its cell's motion, cut at the border: (H, W, 2)."""
    height, width = pixels.shape[:2]
    shift = np.rint(moved.repeat(CELL, 0).repeat(CELL, 1)[:height, :width]).astype(int)
    return np.clip(pixels - shift, 0, (width - 1, height - 1))
