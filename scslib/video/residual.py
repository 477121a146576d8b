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

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from scslib.video.vectors import CELL

BLOCK = 16  # one cell of the motion and residual grids covers 16 x 16 pixels


def grid_of(height: int, width: int) -> tuple[int, int]:
    """The grid (rows, columns) of whole blocks in a picture: at least one each way."""
    return height // BLOCK or 1, width // BLOCK or 1


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


@intrinsic
def pixel_at(_, address):
    """The pixel at an address, as int32."""

    def generate(_, builder, signature, arguments):
        pixel = builder.load(builder.inttoptr(arguments[0], ir.IntType(8).as_pointer()))
        return builder.zext(pixel, ir.IntType(32))

    return types.int32(types.intp), generate


def _square_of(size: int):
    """A compiled function of an address and the bytes from line to line: the sum of size x size pixels.

    It adds a line of pixels at a time, as processors can. LLVM does not make that of a loop over single
    pixels.
    """
    pixels, wide, total = (ir.VectorType(ir.IntType(bits), size) for bits in (8, 16, 32))

    @intrinsic
    def square(_, address, line):
        def generate(_, builder, signature, arguments):
            at, step = arguments
            lines = ir.Constant(wide, [0] * size)
            for _ in range(size):  # at most 16 x 255 in each column
                of_line = builder.load(builder.inttoptr(at, pixels.as_pointer()), align=1)
                lines = builder.add(lines, builder.zext(of_line, wide))
                at = builder.add(at, step)
            kind = ir.FunctionType(ir.IntType(32), [total])
            name = f"llvm.vector.reduce.add.v{size}i32"
            across = cgutils.get_or_insert_function(builder.module, kind, name)
            return builder.call(across, [builder.zext(lines, total)])

        return types.int32(types.intp, types.intp), generate

    return square


_square_4, _square_8, _square_16 = _square_of(4), _square_of(8), _square_of(16)


@njit(cache=True, nogil=True)
def block_sums(at, rows, columns):
    """The sum over each block's 16 x 16 pixels of Y, Cb and Cr: (rows, columns, 3) int32."""
    sums = np.empty((rows, columns, 3), np.int32)
    for row in range(rows):
        for column in range(columns):
            sums[row, column, 0] = _square_16(at[0] + BLOCK * (row * at[3] + column), at[3])
            for channel in (1, 2):
                here = at[channel] + BLOCK // 2 * (row * at[channel + 3] + column)
                sums[row, column, channel] = 4 * _square_8(here, at[channel + 3])
    return sums


@njit(cache=True, nogil=True)
def block_residual(now_sums, before_sums, before, height, width, cells, matrix, residual):
    """The mean of now[p] - before[p - MD(p)] in each block. It is in R, G, B, and goes into (rows,
    columns, 3).

    Vectors are rounded to whole pixels; outside the picture lie the pixels of its border. `before` are
    the addresses of its `Planes`. Sums are those of `block_sums`; of a still block their
    difference is all that is needed.
    """
    for row in range(residual.shape[0]):
        top, bottom = 2 * row, min(2 * row + 1, cells.shape[0] - 1)
        for column in range(residual.shape[1]):
            left, right = 2 * column, min(2 * column + 1, cells.shape[1] - 1)
            luma, cb, cr = now_sums[row, column]
            if _alike(cells, top, bottom, left, right):
                dx, dy = _shift(cells, top, left)
                if dx == 0 and dy == 0:
                    y, b, r = before_sums[row, column]
                else:
                    at = row * BLOCK - dy, column * BLOCK - dx
                    y, b, r = _sums_at(before, *at, True, height, width)
                luma, cb, cr = luma - y, cb - b, cr - r
            else:
                for i, cell_row in enumerate((top, bottom)):
                    for j, cell_column in enumerate((left, right)):
                        dx, dy = _shift(cells, cell_row, cell_column)
                        at = row * BLOCK + i * CELL - dy, column * BLOCK + j * CELL - dx
                        y, b, r = _sums_at(before, *at, False, height, width)
                        luma, cb, cr = luma - y, cb - b, cr - r
            pixels = BLOCK**2
            _store(luma / pixels, cb / pixels, cr / pixels, matrix, residual[row, column])


@njit(cache=True, nogil=True)
def _alike(cells, top, bottom, left, right):
    """Tell whether the four cells of a block have one vector."""
    x, y = cells[top, left]
    alike = cells[top, right, 0] == x and cells[top, right, 1] == y
    alike = alike and cells[bottom, left, 0] == x and cells[bottom, left, 1] == y
    return alike and cells[bottom, right, 0] == x and cells[bottom, right, 1] == y


@njit(cache=True, nogil=True)
def _shift(cells, row, column):
    return int(np.rint(cells[row, column, 0])), int(np.rint(cells[row, column, 1]))


@njit(cache=True, nogil=True)
def _sums_at(at, y, x, whole, height, width):
    """The sums of Y, Cb and Cr over a block from (y, x), or over a quarter of one.

    Outside the picture of height x width lie the pixels of its border.
    """
    size = BLOCK if whole else BLOCK // 2
    if 0 <= y <= height - size and 0 <= x <= width - size:
        here = at[0] + y * at[3] + x
        luma = _square_16(here, at[3]) if whole else _square_8(here, at[3])
        return luma, _colour(at[1], at[4], whole, y, x), _colour(at[2], at[5], whole, y, x)
    luma = cb = cr = np.int32(0)
    for i in range(size):
        at_y = min(max(y + i, 0), height - 1)
        for j in range(size):
            at_x = min(max(x + j, 0), width - 1)
            luma += pixel_at(at[0] + at_y * at[3] + at_x)
            cb += pixel_at(at[1] + at_y // 2 * at[4] + at_x // 2)
            cr += pixel_at(at[2] + at_y // 2 * at[5] + at_x // 2)
    return luma, cb, cr


@njit(cache=True, nogil=True)
def _colour(plane, line, whole, y, x):
    """The sum of a plane of half size, Cb or Cr, under the pixels of a block, or a quarter, from (y, x).

    Four pixels share one value. Under 4 pixels in a row lie, each as often as its number says,

        pixels         0 1 2 3 4 5
        values         A A B B C C
        from pixel 0   A A B B        2 A + 2 B         = twice the window A B
        from pixel 1     A B B C      A + 2 B + C       = the window A B and the window B C

    so that at an odd place the sum is that of the two windows around it; the same for rows.
    """
    here, below, beside = plane + y // 2 * line + x // 2, y % 2 * line, x % 2
    total = _window(here, line, whole)
    if not below and not beside:
        return 4 * total
    if not below:
        return 2 * (total + _window(here + beside, line, whole))
    if not beside:
        return 2 * (total + _window(here + below, line, whole))
    total += _window(here + beside, line, whole) + _window(here + below, line, whole)
    return total + _window(here + below + beside, line, whole)


@njit(cache=True, nogil=True)
def _window(address, line, whole):
    return _square_8(address, line) if whole else _square_4(address, line)


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
def _step(now, anchor, channel, y, x, from_y, from_x):
    """How much a pixel of `now` is above the one of `anchor` from which it came."""
    was = pixel_at(anchor[channel] + from_y * anchor[channel + 3] + from_x)
    return pixel_at(now[channel] + y * now[channel + 3] + x) - was


@njit(cache=True, nogil=True)
def traced_means(now, anchor, source, matrix, motion, residual):
    """Accumulated MD and RGB-R of each block.

    They come from every pixel's `source` in the I-frame. `now` and `anchor` are the addresses of two
    pictures; where these are empty the residual is left as it is.
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
                        luma += _step(now, anchor, 0, y, x, from_y, from_x)
                        cb += _step(now, anchor, 1, y // 2, x // 2, from_y // 2, from_x // 2)
                        cr += _step(now, anchor, 2, y // 2, x // 2, from_y // 2, from_x // 2)
            motion[row, column, 0] = moved_x / pixels
            motion[row, column, 1] = moved_y / pixels
            if len(now):
                _store(luma / pixels, cb / pixels, cr / pixels, matrix, residual[row, column])
