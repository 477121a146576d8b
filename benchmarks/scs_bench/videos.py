"""The videos that are measured on: drawn or taken from files, encoded once, kept in a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from scslib.datasets.pieces import Piece, piece_pictures
from scslib.datasets.sources import Source, survey
from scslib.datasets.synthetic.make import write_drawn
from scslib.video.container import VideoError
from scslib.video.write import Encoding, write_video


def encoded(
    folder: Path,
    encoding: Encoding,
    frames: int,
    *,
    sound: bool = False,
    sources: Sequence[Path] = (),
) -> Path:
    """A video of so many frames in `folder`, made if it is not there yet.

    Its pictures are those of the files `sources`, one after the other and from the beginning again;
    without files they are drawn (`datasets.synthetic`), and may have `sound`.
    Raises `VideoError` for a file that cannot be read.
    """
    recipe = encoding, frames, sound, [(path.name, path.stat().st_size) for path in sources]
    name = f"{encoding.codec}-{encoding.width}x{encoding.height}-{frames}"
    path = folder / f"{name}-{hashlib.sha256(repr(recipe).encode()).hexdigest()[:8]}.mp4"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        if sources:
            write_video(path, islice(_shown(sources, encoding), frames), None, encoding)
        else:
            write_drawn(path, encoding, frames, sound=sound)
    return path


def _shown(sources: Sequence[Path], encoding: Encoding) -> Iterator[np.ndarray]:
    files = [Source(path.resolve().parent, path.name) for path in sources]
    usable, broken = survey(files, whole=False, workers=1, title="sources")
    if broken:
        raise VideoError(f"{broken[0].path}: {broken[0].problem}")
    while True:
        for source in usable:
            frames = max(1, int(source.seconds * encoding.frame_rate))
            yield from piece_pictures(Piece(source, 0.0, frames, 0.0, source.seconds), encoding)
