"""What a clip classifier sees of a clip: how decoded frames become its input."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from scslib.models.preprocessing import spread


@dataclass(frozen=True)
class ClassifierInput:
    """What a classifier sees: `frames` pictures at `frame_rate` a second (0: every frame as it comes),
    their short side scaled to `short_side` pixels, the `crop` x `crop` pixels in the middle, in 0..1,
    minus `mean`, divided by `std` (RGB). `crops` = 3 adds the crops at both ends of the longer side.
    differences: not the pictures, but how each differs from the one before it (of the first: not at
    all), as in TSN (Wang et al., ECCV 2016). What stands still is gone, and what moves is left, which
    helps a network that starts from nothing on few videos.

    The defaults are torchvision's for MC3-18 and R(2+1)D-18 at full size, but for their 15 pictures a
    second: a classifier that is trained here sees every frame.
    """

    frames: int = 16
    short_side: int = 128
    crop: int = 112
    mean: tuple[float, float, float] = (0.43216, 0.394666, 0.37645)
    std: tuple[float, float, float] = (0.22803, 0.22145, 0.216989)
    frame_rate: float = 0.0
    crops: int = 1
    differences: bool = False

    def __post_init__(self):
        if self.frames < 1:
            raise ValueError(f"frames ({self.frames}) must be > 0")
        if not 0 < self.crop <= self.short_side:
            raise ValueError(f"crop ({self.crop}) must be in 1..short_side ({self.short_side})")
        if self.frame_rate < 0:
            raise ValueError(f"frame_rate ({self.frame_rate}) must be >= 0")
        if self.crops not in (1, 3):
            raise ValueError(f"crops ({self.crops}) must be 1 or 3")

    def span(self, video_frame_rate: float) -> int:
        """How many consecutive frames of a video one clip covers.

        frames = 4, frame_rate = 10, video_frame_rate = 20:  fxfxfxfx, span = 8
        """
        if not self.frame_rate:
            return self.frames
        if not video_frame_rate > 0:
            raise ValueError(f"video_frame_rate ({video_frame_rate}) must be > 0")
        return max(1, round(self.frames * video_frame_rate / self.frame_rate))

    def prepare(self, clips: torch.Tensor) -> torch.Tensor:
        """uint8 (B, T, H, W, 3) to normalised float32 (B, 3, frames, crop, crop), cut from the middle.

        Clips of another length give the pictures in the middle of `frames` equal parts.
        Raises `ValueError` for pictures smaller than `crop`.
        """
        return self._cut(clips, (1,))

    def prepare_crops(self, clips: torch.Tensor) -> torch.Tensor:
        """`prepare` with all crops: (B * crops, 3, frames, crop, crop), a clip's crops side by side."""
        return self._cut(clips, (1,) if self.crops == 1 else (0, 1, 2))

    def _cut(self, clips: torch.Tensor, places: tuple[int, ...]) -> torch.Tensor:
        """`places`: halves of the way along the longer side, 0..2."""
        shown, height, width = clips.shape[1:4]
        if min(height, width) < self.crop:
            raise ValueError(f"clips ({height} x {width}) must be at least crop ({self.crop})")
        if shown != self.frames:
            clips = clips[:, spread(shown, self.frames)]
        cuts = []
        for place in places:
            top = (height - self.crop) * (place if height > width else 1) // 2
            left = (width - self.crop) * (place if height <= width else 1) // 2
            cuts.append(clips[:, :, top : top + self.crop, left : left + self.crop])
        clips = torch.stack(cuts, 1).flatten(0, 1) if len(cuts) > 1 else cuts[0]
        clips = clips.permute(0, 4, 1, 2, 3).to(torch.float32).div_(255)
        mean, std = (
            torch.tensor(v, device=clips.device).view(3, 1, 1, 1) for v in (self.mean, self.std)
        )
        clips = (clips - mean) / std
        if self.differences:
            clips = clips.diff(dim=2, prepend=clips[:, :, :1])
        return clips.contiguous(memory_format=torch.channels_last_3d)


SHORT = ClassifierInput(16, 128, 112, frame_rate=15.0)  # torchvision's recipe
LONG = ClassifierInput(32, 128, 112, frame_rate=15.0)  # VMZ tests at 15 a second
LARGE = ClassifierInput(32, 256, 224, frame_rate=15.0)  # every other frame at 30 a second
SYMMETRIC = ClassifierInput(64, 256, 224, (0.5,) * 3, (0.5,) * 3, frame_rate=25.0)  # values in -1..1
