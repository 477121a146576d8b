"""Download one file; a broken transfer goes on where it stopped.

A file under its own name is complete: what is not lies beside it as `<name>.part`, and
`<name>.part.from` says which version of the file on the server it is a part of.
"""

from __future__ import annotations

import hashlib
import http.client
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from tqdm import tqdm

CHUNK = 1 << 20  # bytes read at a time
TIMEOUT_S = 60.0  # without a byte


class DownloadError(ValueError):
    """A file that cannot be fetched; one line that names it."""


def download(
    url: str,
    path: str | Path,
    *,
    sha256: str | None = None,
    md5: str | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Path:
    """Fetch `url` (http or https) to `path`. It goes on from an earlier attempt if there was one.

    It goes on only where that is safe: the server names the file's version (ETag, Last-Modified), or
    there is a checksum to tell. A file that is there already is not fetched again if its checksum fits,
    or there is none. Raises `DownloadError` for a transfer that breaks off (the part stays), a wrong
    checksum (the part goes), a server that refuses, or no connection.
    """
    path = Path(path)
    if urlsplit(url).scheme not in ("http", "https"):
        raise DownloadError(f"{url}: must begin with http:// or https://")
    if path.is_file() and _fits(path, sha256, md5):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part, stamp = path.with_name(path.name + ".part"), path.with_name(path.name + ".part.from")
    version = stamp.read_text(encoding="utf-8") if stamp.is_file() else ""
    have = part.stat().st_size if part.is_file() and (version or sha256 or md5) else 0
    total = _fetch(url, part, stamp, have, version, timeout_s)
    size = part.stat().st_size
    if total is not None and size != total:
        raise DownloadError(
            f"{url}: broke off after {size} of {total} bytes; run the same command again"
        )
    if not _fits(part, sha256, md5):
        found = _digest(part, "sha256" if sha256 else "md5")
        part.unlink()
        stamp.unlink(missing_ok=True)
        raise DownloadError(f"{url}: has checksum {found}, expected {sha256 or md5}; not kept")
    part.replace(path)
    stamp.unlink(missing_ok=True)
    return path


def _fetch(url: str, part: Path, stamp: Path, have: int, version: str, timeout_s: float) -> int | None:
    """Append to `part` from byte `have` on, or write it anew; gives its size when whole, if known."""
    headers = {"User-Agent": "scslib", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if version:  # another version by now: the server sends all of it
            headers["If-Range"] = version
    host = urlsplit(url).hostname
    try:
        answer = _OPENER.open(urllib.request.Request(url, headers=headers), timeout=timeout_s)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing after byte `have`: whole, or another file by now
            whole = re.fullmatch(r"bytes \*/(\d+)", error.headers.get("Content-Range") or "")
            if whole and int(whole[1]) == have:
                return have
            return _fetch(url, part, stamp, 0, "", timeout_s)
        raise DownloadError(f"{url}: the server answers {error.code} {error.reason}") from error
    except (urllib.error.URLError, OSError) as error:
        why = getattr(error, "reason", error)
        raise DownloadError(f"cannot reach {host} (are you offline?): {why}") from error
    except http.client.HTTPException as error:
        raise DownloadError(f"{url}: the server's answer makes no sense ({error!r})") from error
    with answer:
        length = answer.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else None
        if answer.status == 206:
            span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range") or "")
            if not have or not span or int(span[1]) != have:
                if not have:
                    raise DownloadError(f"{url}: the server sends a part that nobody asked for")
                return _fetch(url, part, stamp, 0, "", timeout_s)
            total = int(span[2]) if span[2].isdecimal() else total and have + total
        else:
            have = 0  # the server sends everything, whatever was asked for
        stamp.write_text(_version(answer.headers) or version, encoding="utf-8")
        with part.open("ab" if have else "wb") as file:
            _copy(answer, file, have, total, part.name.removesuffix(".part"))
    return total


def _copy(answer: BinaryIO, file: BinaryIO, have: int, total: int | None, title: str) -> None:
    """Until the end, or until the connection breaks: the size tells afterwards."""
    with tqdm(
        total=total, initial=have, desc=title, unit="B", unit_scale=True, disable=None, leave=False
    ) as progress:
        while True:
            try:
                block = answer.read(CHUNK)
            except http.client.IncompleteRead as error:
                file.write(error.partial)
                if total is None:
                    raise DownloadError(f"{title}: broke off after {file.tell()} bytes") from error
                return
            except (OSError, http.client.HTTPException) as error:
                raise DownloadError(
                    f"{title}: broke off after {file.tell()} bytes ({error}); run the same command again"
                ) from error
            if not block:
                return
            file.write(block)
            progress.update(len(block))


class _Redirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, request, file, code, message, headers, url):
        if urlsplit(url).scheme not in ("http", "https"):
            raise DownloadError(f"{request.full_url}: sends on to {url}, which is not http or https")
        return super().redirect_request(request, file, code, message, headers, url)


_OPENER = urllib.request.build_opener(_Redirect)


def _version(headers: http.client.HTTPMessage) -> str:
    """What tells one version of the file from another; a weak ETag may not be asked for a range."""
    tag = headers.get("ETag") or ""
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified") or ""


def _fits(path: Path, sha256: str | None, md5: str | None) -> bool:
    wanted = {"sha256": sha256, "md5": md5}
    return all(_digest(path, kind) == value.lower() for kind, value in wanted.items() if value)


def _digest(path: Path, kind: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()
