"""RGB residuals: a frame less its motion-compensated reference.

All on the decoder's own planes Y, Cb, Cr: a residual is a difference, so the conversion of its mean to
RGB is the mean of its conversion, and no frame needs to be converted as a whole.

A block of 16 x 16 pixels has one residual and four cells of 8 x 8, each with a vector of its own:

    now              before
    +----+----+      . . . . . . . .        block = mean of (now - what its cells point at)
    | a  | b  |      . +----+ . . .
    +----+----+      . | a  |---+ .         all four vectors alike: one sum over 16 x 16 pixels
    | c  | d  |      . +----+ b | .         else: four sums over 8 x 8
    +----+----+      . . . +----+ .
"""

from __future__ import annotations

import av
import numpy as np
from numba import njit

from scslib.video.vectors import CELL

BLOCK = 16  # one cell of the motion and residual grids covers 16 x 16 pixels
PER_BLOCK = BLOCK // CELL


def grid_of(height: int, width: int) -> tuple[int, int]:
    """The grid (rows, columns) of whole blocks in a picture: at least one each way."""
    return height // BLOCK or 1, width // BLOCK or 1


def planes_420(frame: av.VideoFrame) -> tuple[np.ndarray, ...]:
    """The planes Y, Cb, Cr as (lines, bytes a line) uint8. Each line is as long as the decoder made it
    (no copy).

    Cb and Cr have half the size, rounded up. Other pixel formats are converted first, and pictures
    smaller than a block are continued to its size.
    """
    planes = frame.planes
    if frame.format.name not in ("yuv420p", "yuvj420p") or planes[0].line_size < 0:
        planes = frame.reformat(format="yuv420p").planes
    y, cb, cr = (np.frombuffer(memoryview(p), np.uint8).reshape(-1, p.line_size) for p in planes)
    if frame.height < BLOCK or frame.width < BLOCK:
        height, width = frame.height, frame.width
        half = (height + 1) // 2, (width + 1) // 2
        return _at_least(y[:height, :width], BLOCK), *(
            _at_least(p[: half[0], : half[1]], BLOCK // 2) for p in (cb, cr)
        )
    return y, cb, cr


def _at_least(plane: np.ndarray, size: int) -> np.ndarray:
    missing = [(0, max(0, size - length)) for length in plane.shape]
    return np.pad(plane, missing, mode="edge")


@njit(cache=True, nogil=True)
def block_motion(cells, frames, motion):
    """The mean motion of each block over its 2 x 2 cells. It is divided by `frames`, and goes into
    `motion` (rows, columns, 2).
    """
    last_row, last_column = cells.shape[0] - 1, cells.shape[1] - 1
    for row in range(motion.shape[0]):
        top, bottom = 2 * row, min(2 * row + 1, last_row)
        for column in range(motion.shape[1]):
            left, right = 2 * column, min(2 * column + 1, last_column)
            for axis in range(2):
                total = cells[top, left, axis] + cells[top, right, axis]
                total += cells[bottom, left, axis] + cells[bottom, right, axis]
                motion[row, column, axis] = total / np.float32(4 * frames)


@njit(cache=True, nogil=True)
def block_sums(planes, rows, columns):
    """The sum over each block's 16 x 16 pixels of Y, Cb and Cr: (rows, columns, 3) int32."""
    sums = np.empty((rows, columns, 3), np.int32)
    line_sum = np.empty(columns * BLOCK, np.uint16)  # of one row of blocks
    for channel in range(3):
        plane, size = planes[channel], np.uintp(BLOCK if channel == 0 else BLOCK // 2)
        for row in range(rows):
            line_sum[:] = 0
            for y in range(np.uintp(row) * size, np.uintp(row + 1) * size):
                for x in range(np.uintp(columns) * size):
                    line_sum[x] += plane[y, x]
            for column in range(columns):
                total = np.int32(0)
                for x in range(np.uintp(column) * size, np.uintp(column + 1) * size):
                    total += line_sum[x]
                sums[row, column, channel] = total if channel == 0 else 4 * total
    return sums


@njit(cache=True, nogil=True)
def block_residual(now_sums, before_sums, before, height, width, cells, matrix, residual):
    """The mean of now[p] - before[p - MD(p)] in each block. It is in R, G, B, and goes into (rows,
    columns, 3).

    Vectors are rounded to whole pixels; outside the picture lie the pixels of its border. Sums are
    those of `block_sums`: of a still block their difference is all that is needed.
    """
    last_row, last_column = cells.shape[0] - 1, cells.shape[1] - 1
    for row in range(residual.shape[0]):
        for column in range(residual.shape[1]):
            top, left = row * BLOCK, column * BLOCK
            dy, dx = _shift(cells, 2 * row, 2 * column)
            whole = True
            for part in range(1, 4):
                r, c = min(2 * row + part // 2, last_row), min(2 * column + part % 2, last_column)
                whole &= _shift(cells, r, c) == (dy, dx)
            luma, cb, cr = now_sums[row, column]
            if whole and dy == 0 and dx == 0:
                y, b, r = before_sums[row, column]
                luma, cb, cr = luma - y, cb - b, cr - r
            elif whole:
                y, b, r = _sums_at(before, top - dy, left - dx, BLOCK, height, width)
                luma, cb, cr = luma - y, cb - b, cr - r
            else:
                for part in range(4):
                    i, j = part // 2, part % 2
                    dy, dx = _shift(cells, min(2 * row + i, last_row), min(2 * column + j, last_column))
                    at_y, at_x = top + i * CELL - dy, left + j * CELL - dx
                    y, b, r = _sums_at(before, at_y, at_x, CELL, height, width)
                    luma, cb, cr = luma - y, cb - b, cr - r
            pixels = BLOCK**2
            _store(luma / pixels, cb / pixels, cr / pixels, matrix, residual[row, column])


@njit(cache=True, nogil=True)
def _shift(cells, row, column):
    return int(np.rint(cells[row, column, 1])), int(np.rint(cells[row, column, 0]))


@njit(cache=True, nogil=True)
def _sums_at(planes, y, x, size, height, width):
    """Sums of Y, Cb, Cr over size x size pixels from (y, x); outside lie the pixels of the border."""
    if 0 <= y <= height - size and 0 <= x <= width - size:
        luma = _square(planes[0], np.uintp(size), np.uintp(y), np.uintp(x))
        return luma, _colour(planes[1], size, y, x), _colour(planes[2], size, y, x)
    luma = cb = cr = np.int32(0)
    for i in range(size):
        at_y = min(max(y + i, 0), height - 1)
        for j in range(size):
            at_x = min(max(x + j, 0), width - 1)
            luma += planes[0][at_y, at_x]
            cb += planes[1][at_y // 2, at_x // 2]
            cr += planes[2][at_y // 2, at_x // 2]
    return luma, cb, cr


@njit(cache=True, nogil=True)
def _colour(plane, size, y, x):
    """The sum of a plane of half size, Cb or Cr, under size x size pixels from (y, x).

    Four pixels share one value. Under 4 pixels in a row lie, each as often as its number says,

        pixels         0 1 2 3 4 5
        values         A A B B C C
        from pixel 0   A A B B        2 A + 2 B         = twice the window A B
        from pixel 1     A B B C      A + 2 B + C       = the window A B and the window B C

    so that at an odd place the sum is that of the two windows around it; the same for rows.
    """
    half, top, left = np.uintp(size // 2), np.uintp(y // 2), np.uintp(x // 2)
    bottom, right = np.uintp((y + 1) // 2), np.uintp((x + 1) // 2)
    total = _square(plane, half, top, left)
    if top == bottom and left == right:
        return 4 * total
    if top == bottom:
        return 2 * (total + _square(plane, half, top, right))
    if left == right:
        return 2 * (total + _square(plane, half, bottom, left))
    total += _square(plane, half, top, right) + _square(plane, half, bottom, left)
    return total + _square(plane, half, bottom, right)


@njit(cache=True, nogil=True)
def _square(plane, size, y, x):
    """The sum of size x size pixels; unsigned places, or the compiler guards against negative ones."""
    total = np.int32(0)
    for i in range(size):
        for j in range(size):
            total += plane[y + i, x + j]
    return total


@njit(cache=True, nogil=True)
def _store(luma, cb, cr, matrix, out):
    for channel in range(3):
        out[channel] = matrix[channel, 0] * luma + matrix[channel, 1] * cb + matrix[channel, 2] * cr


@njit(cache=True, nogil=True)
def trace_back(source, cells):
    """The place of each pixel in the I-frame: source[p - MD(p)], (H, W, 2) int32, x first."""
    height, width = source.shape[:2]
    traced = np.empty_like(source)
    for r in range(cells.shape[0]):
        for c in range(cells.shape[1]):
            dx, dy = int(np.rint(cells[r, c, 0])), int(np.rint(cells[r, c, 1]))
            for y in range(r * CELL, min((r + 1) * CELL, height)):
                from_y = min(max(y - dy, 0), height - 1)
                for x in range(c * CELL, min((c + 1) * CELL, width)):
                    from_x = min(max(x - dx, 0), width - 1)
                    traced[y, x, 0] = source[from_y, from_x, 0]
                    traced[y, x, 1] = source[from_y, from_x, 1]
    return traced


@njit(cache=True, nogil=True)
def traced_means(now, anchor, source, matrix, motion, residual):
    """Accumulated MD and RGB-R of each block.

    They come from every pixel's `source` in the I-frame `anchor`. Without planes (`now` is empty) the
    residual is left as it is.
    """
    height, width = source.shape[:2]
    for row in range(motion.shape[0]):
        for column in range(motion.shape[1]):
            moved_x = moved_y = luma = cb = cr = pixels = 0
            for y in range(row * BLOCK, min((row + 1) * BLOCK, height)):
                for x in range(column * BLOCK, min((column + 1) * BLOCK, width)):
                    from_x, from_y = source[y, x, 0], source[y, x, 1]
                    moved_x += x - from_x
                    moved_y += y - from_y
                    pixels += 1
                    if len(now):
                        at, was = (y // 2, x // 2), (from_y // 2, from_x // 2)
                        luma += np.int32(now[0][y, x]) - np.int32(anchor[0][from_y, from_x])
                        cb += np.int32(now[1][at]) - np.int32(anchor[1][was])
                        cr += np.int32(now[2][at]) - np.int32(anchor[2][was])
            motion[row, column, 0] = moved_x / pixels
            motion[row, column, 1] = moved_y / pixels
            if len(now):
                _store(luma / pixels, cb / pixels, cr / pixels, matrix, residual[row, column])
