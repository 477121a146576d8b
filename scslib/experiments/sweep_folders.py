"""Folders of a sweep's steps: each begins as a copy of its parent's."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

LINKED = ("cache", "checkpoints")


def branch(origin: Path | None, folder: Path, lenders: Sequence[Path] = ()) -> None:
    """Make `folder` a copy of the run folder `origin` (None: empty), all of it or nothing.

    From the `lenders` it gets what their caches have more: names in a cache say what is in them.
    """
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    skip = shutil.ignore_patterns("step.json", "*.log", *LINKED)
    if origin is not None:
        shutil.copytree(origin, part, ignore=skip, dirs_exist_ok=True)
    tops = [origin / top for top in LINKED if origin] + [lender / "cache" for lender in lenders]
    for top in tops:
        if top.is_dir():
            shutil.copytree(top, part / top.name, copy_function=_hard_link, dirs_exist_ok=True)
    os.replace(part, folder)


def _hard_link(source: str, target: str) -> None:
    if os.path.exists(target):
        return
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copy2(source, target)


def linked(origins: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    """Size and time of change of the files that branches of `origins` link to."""
    tops = (origin / top for origin in origins for top in LINKED)
    files = [(path, path.stat()) for top in tops for path in top.rglob("*") if path.is_file()]
    return {path: (about.st_size, about.st_mtime_ns) for path, about in files}
