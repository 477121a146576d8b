"""Files: whether a path stays in its folder, and writing a file all of it or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


def lies_in(folder: Path, path: Path) -> bool:
    """Whether `path`, all links on the way followed, is in `folder` (which may be a link itself)."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # no path at all, or links in a circle
        return False


@contextmanager
def replacing(path: Path, *, own: bool = False) -> Iterator[Path]:
    """A path beside `path` to write to: it takes the place of `path` when all went well, else it goes.

    The folder is made. `own`: under a name that nobody else has, where several write the same file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    name = f"{path.stem}.{uuid4().hex[:12]}" if own else path.stem
    temporary = path.with_name(f"{name}.part{path.suffix}")
    temporary.unlink(missing_ok=True)  # if it is a link, it is not followed
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
