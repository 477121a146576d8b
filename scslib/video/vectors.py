"""Motion vectors of one decoded frame, as a grid.

FFmpeg exports the vectors that it has decoded for H.264 and the MPEG family (MPEG-1, -2, -4 part 2,
H.263 and their kin). For HEVC, VP9 and AV1 it exports none: there they are estimated from the decoded
pictures by libavfilter's block matching (`mestimate`), which gives the same kind of vectors, each from
the previous picture, at the price of searching for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer
from numba import njit

CELL = 8  # the smallest block for which FFmpeg exports a vector
SEARCHED = 16  # the blocks for which `estimate` finds vectors
EXPORTED = (  # the decoders that export vectors
    *("h264", "mpeg4", "mpeg1video", "mpeg2video", "h263", "h263i", "h263p", "flv", "flv1"),
    *("msmpeg4v1", "msmpeg4v2", "msmpeg4v3", "msmpeg4", "wmv1", "wmv2", "rv10", "rv20"),
)

# struct AVMotionVector
DTYPE = np.dtype(
    [("source", "i4"), ("w", "u1"), ("h", "u1"), ("src_x", "i2"), ("src_y", "i2"), ("dst_x", "i2")]
    + [("dst_y", "i2"), ("flags", "u8"), ("motion_x", "i4"), ("motion_y", "i4"), ("motion_scale", "u2")],
    align=True,
)
NONE = np.frombuffer(b"", DTYPE)


def vectors(frame: av.VideoFrame, *, estimated: bool = False) -> np.ndarray:
    """The frame's motion in cells of 8 x 8 pixels: (ceil(H/8), ceil(W/8), 2) float32, x first.

    MD = current - source position, in pixels (quarter pixels are kept). Larger blocks fill several
    cells; blocks over the border are cut; cells without a vector into the past are zero. `estimated`
    says that the vectors are those of `estimate`.
    """
    cells = np.empty((-(-frame.height // CELL), -(-frame.width // CELL), 2), np.float32)
    # not frame.side_data: the frame would keep that and that the frame, until the next full garbage
    # collection, and with it half a gigabyte of pictures at 720p
    data = SideDataContainer(frame).get("MOTION_VECTORS")  # type: ignore[call-arg]  # the stub is wrong
    fill_cells(NONE if data is None else np.frombuffer(data, DTYPE), estimated, cells)
    return cells


@njit(cache=True, nogil=True)
def fill_cells(data, estimated, cells):
    """Enter the vectors `data` (DTYPE) into `cells`; see `vectors`."""
    rows, columns = cells.shape[:2]
    cells[:] = 0
    for v in data:
        if v.source >= 0:
            continue  # from the future
        if estimated:  # that filter sets positions only
            x, y = np.float32(v.dst_x - v.src_x), np.float32(v.dst_y - v.src_y)
        else:
            scale = np.float32(max(v.motion_scale, 1))
            x, y = -v.motion_x / scale, -v.motion_y / scale
        high, wide = np.int64(v.h), np.int64(v.w)  # a byte's arithmetic is slower
        top, left = (v.dst_y - (high >> 1)) >> 3, (v.dst_x - (wide >> 1)) >> 3  # CELL is 2 ** 3
        for row in range(max(top, 0), min(top + (high >> 3), rows)):
            for column in range(max(left, 0), min(left + (wide >> 3), columns)):
                cells[row, column, 0] = x
                cells[row, column, 1] = y


def estimate(frames: Iterable[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    """The frames with vectors found by block matching against the frame before.

    The search begins anew at every keyframe, so that what follows is the same after a seek. Keyframes
    come as they are, all others with 8 bits.
    """
    graph: av.filter.Graph | None = None
    last: av.VideoFrame | None = None
    for frame in frames:
        if min(frame.width, frame.height) < SEARCHED:
            yield frame
            continue
        size = frame.width, frame.height
        if graph is None or last is None or frame.key_frame or size != (last.width, last.height):
            yield from _rest(graph, last)
            graph = _graph(frame)
            if frame.key_frame:
                yield frame
        if frame.pts is None:  # the filter would let it pass
            frame.pts = 0 if last is None else (last.pts or 0) + 1
        graph.push(frame)
        last = frame
        yield from _pulled(graph)
    yield from _rest(graph, last)


def _graph(frame: av.VideoFrame) -> av.filter.Graph:
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
    )
    search = graph.add("mestimate", f"method=epzs:mb_size={SEARCHED}:search_param=16")
    sink = graph.add("buffersink")
    source.link_to(search)
    search.link_to(sink)
    graph.configure()
    return graph


def _pulled(graph: av.filter.Graph) -> Iterator[av.VideoFrame]:
    while True:
        try:
            frame = graph.vpull()
        except (av.BlockingIOError, av.EOFError):
            return
        if not frame.key_frame:
            yield frame


def _rest(graph: av.filter.Graph | None, last: av.VideoFrame | None) -> Iterator[av.VideoFrame]:
    """The filter holds one frame back, and gives it only for another."""
    if graph is not None and last is not None:
        last.pts = (last.pts or 0) + 1
        graph.push(last)
        yield from _pulled(graph)
