"""Unpack an untrusted archive: check every entry before writing anything."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

from scslib.datasets.public.download import CHUNK
from scslib.datasets.public.lists import leads_out
from scslib.jobs.files import lies_in, replacing

LARGEST_ARCHIVE = 1 << 40  # bytes that an archive may unpack to, if nobody says otherwise
HARMLESS, DENSE = 1 << 30, 100  # bytes; above them, as often as its own size at most
MOST_MEMBERS = 2_000_000


class ArchiveError(ValueError):
    """An archive that cannot or must not be unpacked; one line that names it."""


class _Member(NamedTuple):
    """One thing in an archive: its name there, its size in bytes as declared, and how to open it."""

    name: str
    size: int
    kind: str  # "file", "folder" or "other"
    open: Callable[[], IO[bytes]]


def unpack(archive: str | Path, folder: str | Path, *, largest: int = LARGEST_ARCHIVE) -> list[str]:
    """Unpack a zip or tar file (.gz, .bz2 and .xz, too) into `folder`; gives the files' names.

    Raises `ArchiveError` for a name that leads out of the folder (also by a link that lies in it), a
    link or device, more than `largest` bytes or `DENSE` times its own size, and one that is broken.
    """
    archive, folder = Path(archive), Path(folder)
    if not archive.is_file():
        raise ArchiveError(f"{archive}: no such file")
    largest = min(largest, max(HARMLESS, DENSE * archive.stat().st_size))
    broken = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, RuntimeError)
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                members = list(_checked(archive, _of_zip(opened), largest))
                _write(members, folder)
        elif tarfile.is_tarfile(archive):
            with tarfile.open(archive) as opened:
                members = list(_checked(archive, _of_tar(opened), largest))
                _write(members, folder)
        else:
            raise ArchiveError(f"{archive}: neither a zip nor a tar file (for .rar there is unrar)")
    except broken as error:
        raise ArchiveError(f"{archive}: cannot be unpacked ({error})") from error
    return [member.name for member in members if member.kind == "file"]


def _of_zip(opened: zipfile.ZipFile) -> Iterator[_Member]:
    for info in opened.infolist():
        mode = info.external_attr >> 28  # the type of a Unix file: 8 a regular one, 4 a folder, 0 unsaid
        kind = "folder" if info.is_dir() else "file" if mode in (0, 8) else "other"
        yield _Member(info.filename, info.file_size, kind, partial(opened.open, info))


def _of_tar(opened: tarfile.TarFile) -> Iterator[_Member]:
    for info in opened:
        kind = "folder" if info.isdir() else "file" if info.isreg() else "other"
        yield _Member(info.name, info.size, kind, partial(_of_regular_file, opened, info))


def _of_regular_file(opened: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    content = opened.extractfile(info)
    assert content is not None  # it is None for links and folders only
    return content


def _checked(archive: Path, members: Iterator[_Member], largest: int) -> Iterator[_Member]:
    total = 0
    for number, member in enumerate(members, 1):
        total += member.size
        if leads_out(member.name):
            raise ArchiveError(f"{archive}: {member.name!r} leads out of the folder; nothing unpacked")
        if member.kind == "other":
            raise ArchiveError(f"{archive}: {member.name!r} is a link or a device; nothing unpacked")
        if total > largest:
            raise ArchiveError(f"{archive}: unpacks to more than {largest} bytes; nothing unpacked")
        if number > MOST_MEMBERS:
            raise ArchiveError(f"{archive}: holds more than {MOST_MEMBERS} files; nothing unpacked")
        yield member


def _write(members: list[_Member], folder: Path) -> None:
    """Only contents are taken over: no owners, no rights, no times."""
    for member in members:
        target = folder / member.name
        if not lies_in(folder, target):
            raise ArchiveError(f"{target}: a link that leads out of {folder}")
        if member.kind == "folder":
            target.mkdir(parents=True, exist_ok=True)
            continue
        with replacing(target) as part, member.open() as source, part.open("wb") as file:
            shutil.copyfileobj(source, file, CHUNK)  # both formats give at most the declared size
