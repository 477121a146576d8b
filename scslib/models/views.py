"""Views: how decoded frames become a classifier's input.

Each source of classifiers has its own preprocessing, which is kept to the bit: published accuracies are
met only so. `ClassifierInput` is the kit's; those of torchvision, timm and transformers stand beside the
networks that they belong to.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch

from scslib.video.frames import short_side, spread


class View(ABC):
    """The input of a classifier, in two steps: `fit` (reading, uint8) and `normalise` (float32).

    frames: how many the network sees of each clip, at equal distances. clip_len: how many a clip has;
    0: as many. frame_rate: at how many a second clips are cut; 0: every frame as it comes. crops: how
    many squares of a clip are shown, whose answers are averaged. random_crop: the side, in pixels, of
    the square that training cuts at a random place; 0: it cuts none, and leaves colours as they are.
    differences: whether the network sees how each frame differs from the one before.
    """

    frames: int
    clip_len: int
    frame_rate: float
    crops: int = 1
    random_crop: int = 0
    differences: bool = False

    @property
    def length(self) -> int:
        """How many frames a clip has, at `frame_rate`."""
        return self.clip_len or self.frames

    def span(self, video_frame_rate: float) -> int:
        """How many consecutive frames of a video one clip covers.

        length = 4, frame_rate = 10, video_frame_rate = 20:  fxfxfxfx, span = 8
        """
        if not self.frame_rate:
            return self.length
        if not video_frame_rate > 0:
            raise ValueError(f"video_frame_rate ({video_frame_rate}) must be > 0")
        return max(1, round(self.length * video_frame_rate / self.frame_rate))

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape (frames, h, w) of what the network sees of a clip."""
        clip = torch.zeros(1, self.frames, *self.read_size(340, 256), 3, dtype=torch.uint8)
        _, _, frames, height, width = self.prepare(clip).shape
        return frames, height, width

    def read_size(self, width: int, height: int) -> tuple[int, int]:
        """The size (H, W) at which a video's frames are to be decoded. Here it is their own."""
        return height, width

    @abstractmethod
    def fit(self, clips: torch.Tensor) -> torch.Tensor:
        """Resize and cut clips: uint8 (B, T, H, W, 3), T, H, W any, to uint8 (B, frames, h, w, 3)."""

    @abstractmethod
    def normalise(self, fitted: torch.Tensor, *, crops: int | None = None) -> torch.Tensor:
        """Normalise what `fit` gave: float32 (B * crops, 3, frames, h, w), a clip's crops side by side.

        crops: 1 takes the one in the middle; default: all of them.
        """

    def prepare(self, clips: torch.Tensor) -> torch.Tensor:
        """uint8 (B, T, H, W, 3) to the network's input, cut from the middle."""
        return self.normalise(self.fit(clips), crops=1)

    def prepare_crops(self, clips: torch.Tensor) -> torch.Tensor:
        """`prepare` with all crops: (B * crops, 3, frames, h, w)."""
        return self.normalise(self.fit(clips))

    def some(self, clips: torch.Tensor) -> torch.Tensor:
        """The frames in the middle of equal parts of each clip: `frames` of (B, T, ...)."""
        shown = clips.shape[1]
        return clips if shown == self.frames else clips[:, spread(shown, self.frames)]


@dataclass(frozen=True)
class ClassifierInput(View):
    """The kit's own: frames whose short side is scaled to `short_side` pixels while they are decoded,
    the `crop` x `crop` pixels in the middle, in 0..1, minus `mean`, divided by `std` (RGB).

    See `View` for the rest. `crops` = 3 adds the crops at both ends of the longer side. `differences`
    as in TSN (Wang et al., ECCV 2016), of the first frame none: what stands still is gone, and what
    moves is left, which helps a network that starts from nothing on few videos.

    The defaults are those of MC3-18 and R(2+1)D-18 at full size, but for their 15 frames a second: a
    classifier that is trained here sees every frame.
    """

    frames: int = 16
    short_side: int = 128
    crop: int = 112
    mean: tuple[float, float, float] = (0.43216, 0.394666, 0.37645)
    std: tuple[float, float, float] = (0.22803, 0.22145, 0.216989)
    frame_rate: float = 0.0
    crops: int = 1
    differences: bool = False
    clip_len: int = 0

    def __post_init__(self):
        if self.frames < 1:
            raise ValueError(f"frames ({self.frames}) must be > 0")
        if not 0 < self.crop <= self.short_side:
            raise ValueError(f"crop ({self.crop}) must be in 1..short_side ({self.short_side})")
        if self.frame_rate < 0:
            raise ValueError(f"frame_rate ({self.frame_rate}) must be >= 0")
        if self.crops not in (1, 3):
            raise ValueError(f"crops ({self.crops}) must be 1 or 3")
        if self.clip_len and self.clip_len < self.frames:
            raise ValueError(f"clip_len ({self.clip_len}) must be 0 or >= frames ({self.frames})")

    random_crop = property(lambda self: self.crop)

    def read_size(self, width: int, height: int) -> tuple[int, int]:
        return short_side(width, height, self.short_side)

    def fit(self, clips: torch.Tensor) -> torch.Tensor:
        """Check the size of the clips: nothing is cut yet, so that training can choose where. Raises
        `ValueError` for small frames.
        """
        height, width = clips.shape[2:4]
        if min(height, width) < self.crop:
            raise ValueError(f"clips ({height} x {width}) must be at least crop ({self.crop})")
        return self.some(clips)

    def normalise(self, fitted: torch.Tensor, *, crops: int | None = None) -> torch.Tensor:
        height, width = fitted.shape[2:4]
        cuts = []
        # halves of the way along the longer side
        for place in (1,) if (crops or self.crops) == 1 else (0, 1, 2):
            top = (height - self.crop) * (place if height > width else 1) // 2
            left = (width - self.crop) * (place if height <= width else 1) // 2
            cuts.append(fitted[:, :, top : top + self.crop, left : left + self.crop])
        clips = scaled_levels(torch.stack(cuts, 1).flatten(0, 1), self.mean, self.std)
        if self.differences:
            clips = clips.diff(dim=2, prepend=clips[:, :, :1])
        return clips.contiguous(memory_format=torch.channels_last_3d)


def scaled_levels(
    clips: torch.Tensor, mean: tuple[float, float, float], std: tuple[float, float, float]
) -> torch.Tensor:
    """uint8 (B, T, H, W, 3) to float32 (B, 3, T, H, W): in 0..1, minus `mean`, divided by `std`."""
    clips = clips.permute(0, 4, 1, 2, 3).to(torch.float32).div_(255)
    minus, over = (torch.tensor(v, device=clips.device).view(3, 1, 1, 1) for v in (mean, std))
    return (clips - minus) / over


SHORT = ClassifierInput(16, 128, 112, frame_rate=15.0)  # the recipe of torchvision's ResNets
LONG = ClassifierInput(32, 128, 112, frame_rate=15.0)  # VMZ tests at 15 a second
LARGE_INPUT = ClassifierInput(32, 256, 224, frame_rate=15.0)  # every other frame at 30 a second
SYMMETRIC = ClassifierInput(64, 256, 224, (0.5,) * 3, (0.5,) * 3, frame_rate=25.0)  # values in -1..1
