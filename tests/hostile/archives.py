"""Archives that lead out of where they are unpacked, or grow without end."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from pathlib import Path

from scslib.datasets.public.archives import unpack
from tests.hostile.corpus import Place, hostile


def _zip(place: Place, *names: str) -> Path:
    path = place.folder / "videos.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(zipfile.ZipInfo(name), b"pwned")
    return path


@hostile("archive")
def zip_slip(place: Place):
    """a zip file with ../../outside/pwned | is written there | `leads out of the folder; nothing
    unpacked`"""
    path = _zip(place, "good.txt", "../../outside/pwned")
    return lambda: unpack(path, place.folder / "out")


@hostile("archive")
def zip_slip_windows(place: Place):
    r"""a zip file with ..\..\pwned, for Windows | is written there | `leads out of the folder;
    nothing unpacked`"""
    path = _zip(place, "good.txt", "..\\..\\pwned")
    return lambda: unpack(path, place.folder / "out")


def _tar(place: Place, *members: tuple[str, bytes, str]) -> Path:
    path = place.folder / "videos.tar"
    with tarfile.open(path, "w") as file:
        for name, kind, target in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            info.size = 5 if kind == tarfile.REGTYPE else 0
            file.addfile(info, io.BytesIO(b"pwned") if info.size else None)
    return path


@hostile("archive")
def tar_slip(place: Place):
    """a tar file with an absolute path | is written there | `leads out of the folder; nothing
    unpacked`"""
    path = _tar(place, (str(place.outside / "pwned"), tarfile.REGTYPE, ""))
    return lambda: unpack(path, place.folder / "out")


@hostile("archive")
def tar_link(place: Place):
    """a tar file with a link to a folder outside, then a file in it | is written there | `is a link
    or a device; nothing unpacked`"""
    link = ("videos", tarfile.SYMTYPE, str(place.outside))
    path = _tar(place, link, ("videos/pwned", tarfile.REGTYPE, ""))
    return lambda: unpack(path, place.folder / "out")


@hostile("archive")
def tar_hard_link(place: Place):
    """a tar file with a hard link to a file outside | is given its content | `is a link or a
    device; nothing unpacked`"""
    path = _tar(place, ("stolen.mp4", tarfile.LNKTYPE, str(place.secret)))
    return lambda: unpack(path, place.folder / "out")


@hostile("archive")
def unpack_through_link(place: Place):
    """a folder that has a link to outside, and an archive with a file in it | is written there | `a
    link that leads out of`"""
    out = place.folder / "out"
    out.mkdir()
    (out / "videos").symlink_to(place.outside)
    path = _zip(place, "videos/pwned")
    return lambda: unpack(path, out)


@hostile("archive")
def zip_bomb(place: Place):
    """a zip file of 150 kB that unpacks to 2 GB | fills the disk | `unpacks to more than 1073741824
    bytes; nothing unpacked`"""
    path = place.folder / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        with file.open("zeros", "w") as member:
            for _ in range(32):
                member.write(bytes(1 << 20))
    content, size = path.read_bytes(), struct.pack("<I", 32 << 20)
    path.write_bytes(content.replace(size, struct.pack("<I", 2**31)))  # said instead of done: quicker
    return lambda: unpack(path, place.folder / "out")
