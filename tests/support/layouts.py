"""Small trees in the layouts of public datasets: real file names, a tiny video under each of them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pandas as pd

from scslib.datasets.manifest import Dataset
from scslib.datasets.public.listing import Listing, write_listing
from scslib.video.write import Encoding, write_video


@cache
def tiny() -> Path:
    """One video of eight grey pictures, 48 x 32, made once a session."""
    path = Path(mkdtemp()) / "tiny.mp4"
    write_video(path, [np.full((32, 48, 3), 90, np.uint8)] * 8, None, Encoding(48, 32, 8, 8))
    return path


def own(video: bytes, mark: str) -> bytes:
    """An MP4 file with the same pictures and other bytes: a box at its end that players pass over."""
    text = mark.encode("utf-8", "surrogateescape")
    return video + (8 + len(text)).to_bytes(4, "big") + b"free" + text


def videos(root: Path, names: Iterable[str]) -> Path:
    """`root` with the tiny video under each of `names`, every one a content of its own."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(own(tiny().read_bytes(), name))
    root.mkdir(exist_ok=True)
    return root


def texts(root: Path, **files: str) -> Path:
    """`root` with text files; `__` in a key stands for the dot."""
    root.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (root / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return root


def left_out(data: Dataset) -> dict[str, str]:
    """What `left_out.csv` says; empty without one."""
    path = data.folder / "left_out.csv"
    return pd.read_csv(path).set_index("path")["problem"].to_dict() if path.exists() else {}


def splits(data: Dataset) -> dict[str, tuple[str, str]]:
    """(label, split) of each video id."""
    rows = data.videos[["video_id", "label", "split"]].itertuples(index=False, name=None)
    return {video_id: (label, split) for video_id, label, split in rows}


def add(path: Path, line: str) -> None:
    """One more line at the end of a list."""
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def write(listing: Listing, tmp_path: Path, **options) -> Dataset:
    """`write_listing` to tmp_path/out, in this process."""
    return write_listing(listing, tmp_path / "out", workers=1, **options)
