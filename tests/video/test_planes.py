"""Planes where the decoder has them, and sums of their blocks, against NumPy on the same pixels."""

import av
import numpy as np
import pytest

from scslib.video.planes import planes_of
from scslib.video.residual import block_sums, grid_of


def frame_of(height, width):
    """A frame of random pixels, and its planes Y, Cb, Cr as arrays."""
    rng = np.random.default_rng(height * width)
    frame = av.VideoFrame(width, height, "yuv420p")
    planes = []
    for plane in frame.planes:
        pixels = rng.integers(0, 256, (plane.height, plane.line_size), np.uint8)
        plane.update(pixels)
        planes.append(pixels[:, : plane.width])
    return frame, planes


def expected_sums(planes, rows, columns):
    """(rows, columns, 3): the plain sum over each block, Cb and Cr as four pixels a value."""
    sums = np.zeros((rows, columns, 3), int)
    for channel, (plane, size) in enumerate(zip(planes, (16, 8, 8), strict=True)):
        for row in range(rows):
            for column in range(columns):
                block = plane[row * size : (row + 1) * size, column * size : (column + 1) * size]
                sums[row, column, channel] = block.sum(dtype=int) * (1 if channel == 0 else 4)
    return sums


def continued(planes):
    """The planes, each at least as large as a block, filled up with the pixels of the border."""
    return [
        np.pad(plane, [(0, max(0, size - side)) for side in plane.shape], mode="edge")
        for plane, size in zip(planes, (16, 8, 8), strict=True)
    ]


@pytest.mark.parametrize(("height", "width"), [(64, 96), (67, 101), (16, 16), (31, 47)])
def test_sums_of_blocks_equal_numpy(height, width):
    frame, planes = frame_of(height, width)
    picture = planes_of(frame)  # holds the memory
    found = block_sums(picture.at, *grid_of(height, width))
    np.testing.assert_array_equal(found, expected_sums(planes, *grid_of(height, width)))


@pytest.mark.parametrize(("height", "width"), [(10, 12), (5, 40), (40, 7), (1, 1)])
def test_a_small_picture_goes_on_with_its_border(height, width):
    frame, planes = frame_of(height, width)
    padded = continued(planes)
    picture = planes_of(frame)  # holds the memory
    found = block_sums(picture.at, *grid_of(height, width))
    np.testing.assert_array_equal(found, expected_sums(padded, *grid_of(height, width)))


@pytest.mark.parametrize(("height", "width"), [(64, 96), (10, 12)])
def test_a_picture_that_is_stored_upside_down_is_read_from_its_top(height, width):
    frame, planes = frame_of(height, width)
    graph = av.filter.Graph()
    source = graph.add_buffer(width=width, height=height, format=frame.format, time_base="1/25")
    graph.link_nodes(source, graph.add("vflip"), graph.add("buffersink")).configure()
    graph.push(frame)
    flipped = graph.vpull()
    assert flipped.planes[0].line_size < 0  # the filter turns no pixels, but the way through them
    padded = continued([plane[::-1] for plane in planes])
    picture = planes_of(flipped)
    found = block_sums(picture.at, *grid_of(height, width))
    np.testing.assert_array_equal(found, expected_sums(padded, *grid_of(height, width)))


def test_another_pixel_format_is_converted():
    frame, planes = frame_of(64, 96)
    wide = frame.reformat(format="yuv444p")
    picture = planes_of(wide)
    found = block_sums(picture.at, 4, 6)
    np.testing.assert_array_equal(found[..., 0], expected_sums(planes, 4, 6)[..., 0])
