"""Rotation, mirroring and pixel shape: how a stored frame is shown.

A camera stores pictures as its sensor lies and writes a matrix beside them, in the container or in the
stream's own messages (H.264, HEVC); broadcasts store pictures narrower than they are shown. All that
leaves `scslib.video` is as shown: frames, I-frames, motion, residuals, cuts.

One `Display` holds for a whole file, that of its first picture. A matrix by any other angle is taken as
the nearest of the eight ways of standing upright or lying.
"""

from __future__ import annotations

from dataclasses import dataclass

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer

QUARTER = np.array([[0, 1], [-1, 0]], np.float32)  # anticlockwise, y pointing down: right becomes up
MIRROR = np.diag(np.array([-1, 1], np.float32))
LONGEST = 16  # of a pixel's sides over the other; what is more is nonsense in the header


@dataclass(frozen=True)
class Display:
    """The way a stored picture is shown: first left and right change places if `mirrored`, then come so
    many `quarters` anticlockwise.

    aspect: the width of a stored pixel over its height. Sizes are (height, width) in pixels; those as
    shown count square pixels, as many lines as are stored.
    """

    quarters: int = 0
    mirrored: bool = False
    aspect: float = 1.0

    @property
    def matrix(self) -> np.ndarray:
        """The matrix of a stored step in pixels as shown: (2, 2) float32, of a step (x, y), y down."""
        stretched = np.diag(np.array([self.aspect, 1], np.float32))
        mirror = MIRROR if self.mirrored else np.eye(2, dtype=np.float32)
        return np.linalg.matrix_power(QUARTER, self.quarters) @ mirror @ stretched

    @property
    def as_stored(self) -> bool:
        """Tell whether the picture is shown as it is stored."""
        return self == Display()

    def shown(self, height: int, width: int) -> tuple[int, int]:
        """The size, as shown, of a picture that is stored with this size."""
        return self._swapped(height, max(1, round(width * self.aspect)))

    def scaled(self, height: int, width: int) -> tuple[int, int]:
        """The size to which a stored picture is scaled. It has this size once `turn` was there."""
        return self._swapped(height, width)

    def turn(self, values: np.ndarray) -> np.ndarray:
        """Pictures or grids (..., H, W, C) turned and mirrored; a view where that is possible."""
        values = values[..., ::-1, :] if self.mirrored else values
        return np.rot90(values, self.quarters, axes=(-3, -2)) if self.quarters else values

    def turn_vectors(self, field: np.ndarray) -> np.ndarray:
        """A grid of vectors (..., h, w, 2), x first, in stored pixels: turned, in pixels as shown."""
        return field if self.as_stored else self.turn(field) @ self.matrix.T

    def _swapped(self, height: int, width: int) -> tuple[int, int]:
        return (width, height) if self.quarters % 2 else (height, width)


UPRIGHT = [Display(quarters, mirrored) for mirrored in (False, True) for quarters in range(4)]


def display_of(stream: av.VideoStream, frame: av.VideoFrame | None) -> Display:
    """How the pictures of a stream are shown, `frame` being its first one; None: it has none."""
    aspect = float(stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or 1)
    if not 1 / LONGEST <= aspect <= LONGEST:
        aspect = 1.0
    nearest = _nearest(_matrix(frame)) if frame is not None else Display()
    return Display(nearest.quarters, nearest.mirrored, aspect)


def _matrix(frame: av.VideoFrame) -> np.ndarray:
    """(2, 2): what a stored step is as shown, by the frame's side data; zero where it has none."""
    # not frame.side_data: see `vectors.vectors`
    data = SideDataContainer(frame).get("DISPLAYMATRIX")  # type: ignore[call-arg]  # the stub is wrong
    if data is None:
        return np.zeros((2, 2))
    return np.frombuffer(data, np.int32)[:9].reshape(3, 3)[:2, :2].T.astype(float)


def _nearest(matrix: np.ndarray) -> Display:
    """The turn that takes most steps where `matrix` takes them; the first, upright, for none at all."""
    return max(UPRIGHT, key=lambda display: float((display.matrix * matrix).sum()))
