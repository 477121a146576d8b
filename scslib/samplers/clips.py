"""Clips: what was read of the clips of one video, as samplers see it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from scslib.models.modalities import MODALITIES
from scslib.samplers.base import Features
from scslib.video.audio import FLOOR, MEL_STEPS, MELS

PART_OF = {"iframe_start": ("iframes",), "predicted": ("motion", "residual")}  # come with an input


class NotReadError(KeyError):
    """An input that the sampler does not name in `reads`."""

    def __str__(self) -> str:
        return f"clips.{self.args[0]} is not read: name it in `reads`"


@dataclass(frozen=True, eq=False)
class Clips:
    """What was read of the N clips of one video; see `features.VideoFeatures` for shapes and units.

    Inputs that a reader of yours has read (see `readers`) are had by name: `clips["flow"]`. reads: the
    inputs that may be looked at; None: all. Raises `NotReadError` for others.
    """

    features: Features
    video_id: str
    reads: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.times)

    def __getitem__(self, name: str) -> np.ndarray:
        """(N, ...) array of an input, as it was read."""
        self._may_read(name)
        return self.features.get(self.video_id, name)

    @property
    def times(self) -> np.ndarray:
        """The start and end of each clip in seconds: (N, 2) float64."""
        return self["times"]

    @property
    def bytes(self) -> np.ndarray:
        """The compressed size of each clip: (N,) int64."""
        return self["bytes"]

    @property
    def motion(self) -> np.ndarray:
        """Motion vectors, (N, T, h, w, 2) float32: where the blocks of each frame came from, in pixels
        a frame.
        """
        return self["motion"].astype(np.float32)

    @property
    def residual(self) -> np.ndarray:
        """Residuals, (N, T, h, w, 3) float32: what was left to correct, in levels of 0..255."""
        return self["residual"].astype(np.float32)

    @property
    def predicted(self) -> np.ndarray:
        """The frames that are P-frames, (N, T) bool: the others have no vectors and no residual."""
        return self["predicted"]

    @property
    def iframes(self) -> list[np.ndarray]:
        """N arrays (S, H, W, 3) uint8 RGB: the I-frames of each clip, or the last one before it."""
        first, frames = self["iframe_start"], self["iframes"]
        return [frames[a:b] for a, b in zip(first, first[1:], strict=False)]

    @property
    def has_audio(self) -> bool:
        """Tell whether the video has a sound track."""
        self._may_read("audio")
        return self.features.has(self.video_id, "audio")

    @property
    def audio(self) -> np.ndarray:
        """Log-mel energy by time and pitch around each clip: (N, 200, 40) float32; silence without."""
        if not self.has_audio:
            return np.full((len(self), MEL_STEPS, MELS), math.log(FLOOR), np.float32)
        return self["audio"].astype(np.float32)

    def _may_read(self, name: str) -> None:
        inputs = PART_OF.get(name, (name,) if name in MODALITIES else ())
        if self.reads is not None and inputs and not set(inputs) & set(self.reads):
            raise NotReadError(inputs[0])
