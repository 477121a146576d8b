"""Write files completely or not at all; check paths and folders."""

from __future__ import annotations

import errno
import filecmp
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}  # errors of the disk, not of a file


class FileError(ValueError):
    """A file that cannot be used; the message names the file and what is wrong with it, in one line.

    File names come from strangers, too: what is not printable in them is written as `\\x..`.
    """

    def __init__(self, message: str):
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in message))


def lies_in(folder: Path, path: Path) -> bool:
    """Tell whether `path`, with all links followed, is in `folder`. `folder` may be a link itself."""
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
        temporary.touch(exist_ok=False)
        mode = temporary.stat().st_mode
        temporary.unlink()
        yield temporary
        written = temporary.lstat()
        if stat.S_ISREG(written.st_mode) and written.st_nlink == 1:  # a link is somebody else's file
            os.chmod(temporary, mode)  # safetensors lets nobody else read what it writes
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def check_folder(folder: Path, name: str = "it", *, what: str = "folder") -> None:
    """Check that a file called `name` can be written in `folder`. Raises `OSError`; leaves nothing
    behind.

    The folder need not exist. what: what it is for, as the message says.
    """
    made = []
    try:
        for path in (folder, *folder.parents):
            if path.exists():
                break
            made.append(path)
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"{Path(name).stem}.{uuid4().hex[:12]}.part{Path(name).suffix}"  # as `replacing`
        part.touch()
        part.unlink()
    except OSError as error:
        raise OSError(f"{what} ({folder / name}) cannot be written: {error.strerror}") from error
    finally:
        for path in made:
            with suppress(OSError):
                path.rmdir()


def check_file(path: Path, *, what: str = "file") -> None:
    """Check that the file `path` can be written. Raises `OSError`; leaves nothing behind."""
    if os.path.isdir(path):
        raise OSError(f"{what} ({path}) cannot be written: it is a folder")
    if not is_device(path):
        check_folder(path.parent, path.name, what=what)


def is_device(path: Path) -> bool:
    """Tell whether `path` takes what is written and is no file, such as /dev/stdout."""
    return os.path.exists(path) and not os.path.isfile(path)  # no error for a name that is too long


def write_text(path: Path, text: str) -> None:
    """Write a file all of it or not at all, or what `is_device`."""
    if is_device(path):
        path.write_text(text, encoding="utf-8")
        return
    with replacing(path, own=True) as part:
        part.write_text(text, encoding="utf-8")


def short_file_name(name: str, longest: int = 180) -> str:
    """`name`, cut to `longest` bytes and ended by its checksum where it is longer.

    A file system takes 255 bytes, and what is made of a file is called after it, with a few more.
    """
    data = os.fsencode(name)
    if len(data) <= longest:
        return name
    kept = data[: longest - 11].decode("utf-8", "ignore")
    return f"{kept}-{hashlib.sha256(data).hexdigest()[:10]}"


@contextmanager
def replacing_if_other(path: Path) -> Iterator[Path]:
    """A path to write to as `replacing` gives it: where `path` holds the same bytes already, that file
    stays, with its times.
    """
    with replacing(path) as temporary:
        yield temporary
        if path.is_file() and filecmp.cmp(temporary, path, shallow=False):
            os.replace(path, temporary)
