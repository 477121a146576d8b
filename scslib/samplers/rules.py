"""Samplers without training: functions of what was read of a video's clips.

The paper's samplers have to beat them. None looks at a label, but for `empirical`, which knows f's
scores of the training videos. A test bed on which a rule comes near a trained sampler asks for no
learning.

    empirical        a prior over the place in the video          learnt once, costs nothing
    packet-size      compressed bytes of the clip's frames        nothing is decoded
    motion-energy    mean length of the P-frames' vectors         vectors only
    local-motion     the longest mean vector of 3 x 3 cells       vectors, less the frame's median
    moving-area      share of the cells that move                 the same
    still-contrast   how much a spot stands out in an I-frame     I-frames only
    loudest-band     the loudest pitch above the median one       sound only

One of your own: `register`.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy import ndimage

from scslib.samplers.base import Setting, register_maker
from scslib.samplers.clips import Clips
from scslib.samplers.register import Rule, register_sampler


@register_maker("empirical", needs="targets")
def _empirical(setting: Setting) -> Rule:
    return empirical(setting.targets)


@register_sampler("packet-size")
def packet_size(clips: Clips) -> np.ndarray:
    """Compressed bytes: what is hard to predict is expensive to store."""
    return clips.bytes


@register_sampler("motion-energy", reads=("motion",))
def motion_energy(clips: Clips) -> np.ndarray:
    """The mean length of the motion vectors, in pixels a frame."""
    motion = clips.motion
    return _over_p_frames(np.hypot(motion[..., 0], motion[..., 1]).mean((2, 3)), clips)


@register_sampler("local-motion", reads=("motion",))
def local_motion(clips: Clips) -> np.ndarray:
    """The longest mean vector of any 3 x 3 cells. The camera's motion is taken off first."""
    near = (1, 1, 3, 3, 1)
    mean = ndimage.uniform_filter(_own_motion(clips), near, mode="constant")
    return _over_p_frames(np.hypot(mean[..., 0], mean[..., 1]).max((2, 3)), clips)


@register_sampler("moving-area", reads=("motion",))
def moving_area(clips: Clips) -> np.ndarray:
    """The share of cells that move by more than a pixel against the camera."""
    own = _own_motion(clips)
    return _over_p_frames((np.hypot(own[..., 0], own[..., 1]) > 1).mean((2, 3)), clips)


@register_sampler("still-contrast", reads=("iframes",))
def still_contrast(clips: Clips) -> np.ndarray:
    """How much one spot stands out: the peak of the spectral residual (Hou and Zhang, CVPR 2007)."""
    return np.array([np.mean([_stands_out(frame) for frame in frames]) for frames in clips.iframes])


@register_sampler("loudest-band", reads=("audio",))
def loudest_band(clips: Clips) -> np.ndarray:
    """How much louder the loudest of the 40 pitches is than the median one."""
    loud = clips.audio.mean(1)  # (N, pitches), log
    return loud.max(1) - np.median(loud, 1)


def _over_p_frames(values: np.ndarray, clips: Clips) -> np.ndarray:
    """(N,) means of `values` (N, T) over each clip's P-frames; I-frames have no vectors."""
    moved = clips.predicted
    return (values * moved).sum(1) / np.maximum(moved.sum(1), 1)


def _own_motion(clips: Clips) -> np.ndarray:
    """(N, T, h, w, 2) vectors in pixels less the median of their frame, which is the camera's motion."""
    motion = clips.motion
    return motion - np.median(motion, axis=(2, 3), keepdims=True)


def _stands_out(picture: np.ndarray) -> float:
    spectrum = np.fft.fft2(picture.astype(float).mean(2))
    strength = np.log(np.abs(spectrum) + 1e-9)
    unusual = strength - ndimage.uniform_filter(strength, 3, mode="wrap")
    spots = np.abs(np.fft.ifft2(np.exp(unusual + 1j * np.angle(spectrum)))) ** 2
    spots = ndimage.gaussian_filter(spots, 2.5)
    return float(spots.max() / spots.mean())


def empirical(targets: Iterable[np.ndarray], *, bins: int = 10) -> Rule:
    """The paper's Empirical (sec. 4): which places in a video are worth looking at, on average.

    targets: f's probability of the true class of every clip, (N,) for each training video. The prior
    is their mean in each of `bins` equal parts of the video's length; between the middles of the parts
    it is interpolated. Raises `ValueError` without training videos and for bins below 1.
    """
    if bins < 1:
        raise ValueError(f"bins ({bins}) must be > 0")
    total, count = np.zeros(bins), np.zeros(bins)
    for scores in targets:
        part = (_place(len(scores)) * bins).astype(int)
        np.add.at(total, part, scores)
        np.add.at(count, part, 1)
    if not count.any():
        raise ValueError("targets (empty) must have at least one training video")
    middle, known = (np.arange(bins) + 0.5) / bins, count > 0
    prior = total[known] / count[known]

    return Rule("empirical", (), lambda clips: np.interp(_place(len(clips)), middle[known], prior))


def _place(clips: int) -> np.ndarray:
    """(N,) the middle of each clip as a part of the video's length, in 0..1."""
    return (np.arange(clips) + 0.5) / clips
