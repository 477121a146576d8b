"""Colour matrices: from Y, Cb, Cr to R, G, B.

Only the matrix and the range are undone, as FFmpeg itself does. High dynamic range (HLG, PQ) and wide
gamuts (BT.2020) stay in R, G, B as they are: such frames look flat and pale on an ordinary screen, and
a network that knows ordinary videos sees them so. What is encoded again keeps the tags, so that players
show it as they show the original.
"""

from __future__ import annotations

from functools import lru_cache

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, Colorspace, ColorTrc

RESERVED = 3  # AVCOL_SPC_*
PRIMARIES, TRANSFERS = ({int(member) for member in kind} - {2} for kind in (ColorPrimaries, ColorTrc))
OF_RED_AND_BLUE = {  # how much of a luma they are, by AVCOL_SPC_*
    1: (0.2126, 0.0722),  # ITU-R BT.709
    4: (0.30, 0.11),  # FCC
    5: (0.299, 0.114),  # ITU-R BT.601; it holds where a file says nothing
    6: (0.299, 0.114),
    7: (0.212, 0.087),  # SMPTE 240M
    9: (0.2627, 0.0593),  # ITU-R BT.2020
}
ALONG = {1: (1, 1), 4: (4, 4), 5: (5, 6), 6: (6, 6), 7: (7, 7), 9: (9, 14)}  # primaries and transfer


def matrix_of(frame: av.VideoFrame) -> np.ndarray:
    """The matrix from a *difference* in Y, Cb, Cr to R, G, B: (3, 3), for 8 bits."""
    return _matrix(frame.colorspace, frame.color_range == 2 or frame.format.name.startswith("yuvj"))


@lru_cache
def _matrix(colorspace: int, full_range: bool) -> np.ndarray:
    red, blue = OF_RED_AND_BLUE.get(colorspace, OF_RED_AND_BLUE[5])
    green, of_red, of_blue = 1 - red - blue, 2 * (1 - red), 2 * (1 - blue)
    rows = [[1, 0, of_red], [1, -of_blue * blue / green, -of_red * red / green], [1, of_blue, 0]]
    matrix = np.array(rows, np.float32) * (
        [1, 1, 1] if full_range else [255 / 219, 255 / 224, 255 / 224]
    )
    matrix.flags.writeable = False  # all frames share it
    return matrix


def read_as(frame: av.VideoFrame) -> Colorspace | None:
    """The matrix that libswscale is told to undo; None: the frame's own."""
    return Colorspace.DEFAULT if frame.colorspace == RESERVED else None


def tag(target: av.VideoFrame | av.VideoCodecContext, source) -> None:
    """Give `target` the tags of `source`, of the same two kinds; frames in RGB are encoded by theirs.

    Where the matrix alone is known, the rest of its standard goes along: an MP4 file has all or none.
    """
    if source.colorspace in OF_RED_AND_BLUE:
        target.colorspace, (primaries, transfer) = source.colorspace, ALONG[source.colorspace]
        known = source.color_primaries in PRIMARIES, source.color_trc in TRANSFERS
        target.color_primaries = source.color_primaries if known[0] else primaries
        target.color_trc = source.color_trc if known[1] else transfer
