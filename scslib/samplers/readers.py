"""Inputs of your own: functions that read something else of a video than the kit does.

@register_reader("brightness")
def brightness(video, clips):
    frames = decode_clips(video, clips, size=(36, 64), frames=1)   # (n, 1, 36, 64, 3) uint8
    return frames.mean((1, 2, 3, 4))

@register_sampler("brightest", reads=("brightness",))
def brightest(clips):
    return clips["brightness"]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from scslib.models.modalities import MODALITIES
from scslib.samplers.names import Registry
from scslib.video.clips import ClipIndex

# of a video's index and ascending clip numbers (n,), an array with a row for each of them
Reader = Callable[[ClipIndex, list[int]], np.ndarray]

READERS: Registry[Reader] = Registry("reader")
TAKEN = (*MODALITIES, "clip", "times", "bytes", "predicted", "iframe_start", "iframes_kept")


def register_reader(name: str) -> Callable[[Reader], Reader]:
    """Let the function below read the input `name`. Samplers name it in `reads=(...)`.

    It gets the video's `ClipIndex` and ascending clip numbers, and gives an array of numbers with a row
    for each of them. Raises `ValueError` for a name that is taken.
    """
    if name in TAKEN:
        raise ValueError(f"name ({name!r}) is an input of the kit; take another name")

    def keep(reader: Reader) -> Reader:
        READERS.add(name, reader)
        return reader

    return keep


def registered_readers(names: Iterable[str]) -> list[str]:
    """Those of the inputs `names` that are read by a registered reader.

    Raises `ValueError` for one that nothing reads.
    """
    own = [name for name in names if name not in MODALITIES]
    for name in own:
        if name not in READERS:
            known = [*MODALITIES, *READERS]
            raise ValueError(f"reads ({name!r}) must be one of {known}, or have a register_reader")
    return own


def read_input(name: str, index: ClipIndex, clips: Sequence[int]) -> np.ndarray:
    """The values that the reader `name` gives for n clips: (n, ...).

    Raises `ValueError` for anything but an array of numbers with a row for each clip.
    """
    wanted = [int(clip) for clip in clips]
    found = np.asarray(READERS[name](index, wanted))
    if found.dtype.kind not in "biuf" or found.shape[:1] != (len(wanted),):
        rows = f"a row of numbers for each of {len(wanted)} clips"
        raise ValueError(f"reader ({name!r}) must give {rows}, not {found.dtype} {found.shape}")
    return found
