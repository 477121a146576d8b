"""The planes Y, Cb, Cr of decoded pictures, where they lie in memory.

They are read where the decoder has them, by address: nothing is copied, and no frame is converted as a
whole. Whoever reads by address must hold the `Planes` meanwhile: it keeps alive whose memory that is.
"""

from __future__ import annotations

from typing import NamedTuple

import av
import numpy as np
from numba import njit

from scslib.video.residual import BLOCK, pixel_at


class Planes(NamedTuple):
    """The planes Y, Cb, Cr of a picture with 8 bits; Cb and Cr have half the size, rounded up.

    at: their three addresses, and then the bytes from line to line of each. owner: whose memory it is.
    """

    at: tuple[int, ...]
    owner: object


NO_PLANES = Planes((), None)


def planes_of(frame: av.VideoFrame) -> Planes:
    """The planes of a frame.

    Other pixel formats are converted first, and pictures smaller than a block are continued to its size.
    """
    if frame.format.name not in ("yuv420p", "yuvj420p"):
        frame = frame.reformat(format="yuv420p")
    luma, cb, cr = frame.planes
    at = luma.buffer_ptr, cb.buffer_ptr, cr.buffer_ptr
    picture = Planes((*at, luma.line_size, cb.line_size, cr.line_size), frame)
    small = frame.height < BLOCK or frame.width < BLOCK
    return _continued(picture, frame.height, frame.width) if small else picture


def _continued(picture: Planes, height: int, width: int) -> Planes:
    """A small picture in memory of its own; beyond its border lie the pixels of the border."""
    sizes = (height, width), *[((height + 1) // 2, (width + 1) // 2)] * 2
    planes = []
    for channel, (size, least) in enumerate(zip(sizes, (BLOCK, *[BLOCK // 2] * 2), strict=True)):
        plane = np.empty([max(side, least) for side in size], np.uint8)
        _copy(picture.at[channel], picture.at[channel + 3], size, plane)
        planes.append(plane)
    luma, cb, cr = (plane.ctypes.data for plane in planes)
    return Planes((luma, cb, cr, *(plane.strides[0] for plane in planes)), planes)


@njit(cache=True, nogil=True)
def _copy(address, line, size, plane):
    """Copy a plane of `size` (H, W) into `plane`, which may be larger: the border fills it up."""
    height, width = size
    for y in range(plane.shape[0]):
        for x in range(plane.shape[1]):
            plane[y, x] = pixel_at(address + min(y, height - 1) * line + min(x, width - 1))
