"""Downloads that break, go on and are checked, against a server in a thread; archives that mean harm."""

import hashlib
import io
import socket
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from click.testing import CliRunner

from scslib.cli.main import main
from scslib.datasets.public import remote
from scslib.datasets.public.archives import ArchiveError, unpack
from scslib.datasets.public.download import DownloadError, download

BODY = bytes(range(256)) * 4000
SHA = hashlib.sha256(BODY).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves `server.body`; what it does wrong is in `server.faults`."""

    def log_message(self, *args):
        pass

    def do_GET(self):
        body, faults = self.server.body, self.server.faults
        asked = self.headers.get("Range")
        self.server.seen.append(asked)
        if self.path == "/gone":
            return self.send_error(404, "Not here")
        if self.path in ("/ftp", "/file"):
            self.send_response(302)
            self.send_header("Location", f"{self.path[1:]}://127.0.0.1/etc/passwd")
            return self.end_headers()
        first = 0
        fresh = self.headers.get("If-Range") in (None, self.server.tag)
        if asked and fresh and "no ranges" not in faults:
            first = int(asked.removeprefix("bytes=").removesuffix("-"))
        if asked and first >= len(body):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(body)}")
            return self.end_headers()
        self.send_response(206 if first else 200)
        if first:
            first -= 100 * ("wrong range" in faults)
            self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - first))
        if self.server.tag:
            self.send_header("ETag", self.server.tag)
        self.end_headers()
        end = first + 300_000 if "cut" in faults else len(body)
        self.wfile.write(body[first:end])
        if "cut" in faults:
            self.connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.body, server.faults, server.seen, server.tag = BODY, set(), [], '"v1"'
    server.url = f"http://127.0.0.1:{server.server_port}/file.bin"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def cut(server, path, **options):
    """A first attempt that breaks off."""
    server.faults.add("cut")
    with pytest.raises(DownloadError, match="broke off after 300000 of 1024000 bytes"):
        download(server.url, path, **options)
    server.faults.clear()
    assert not path.exists() and path.with_name("a.bin.part").stat().st_size == 300_000


def test_a_file_is_fetched_once(server, tmp_path):
    path = download(server.url, tmp_path / "new/a.bin", sha256=SHA.upper())
    assert path.read_bytes() == BODY and [p.name for p in path.parent.iterdir()] == ["a.bin"]
    download(server.url, path, sha256=SHA)
    download(server.url, path)
    assert server.seen == [None]
    path.write_bytes(b"spoilt")
    assert download(server.url, path, md5=hashlib.md5(BODY).hexdigest()).read_bytes() == BODY


def test_a_broken_transfer_goes_on(server, tmp_path):
    path = tmp_path / "a.bin"
    cut(server, path)
    assert download(server.url, path).read_bytes() == BODY
    assert server.seen == [None, "bytes=300000-"] and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("fault", ["no ranges", "wrong range"])
def test_a_server_that_ignores_ranges_begins_again(server, tmp_path, fault):
    path = tmp_path / "a.bin"
    cut(server, path)
    server.faults.add(fault)
    assert download(server.url, path).read_bytes() == BODY


def test_another_version_is_never_mixed_in(server, tmp_path):
    path = tmp_path / "a.bin"
    cut(server, path)
    server.body, server.tag = BODY[::-1], '"v2"'
    assert download(server.url, path).read_bytes() == BODY[::-1]


@pytest.mark.parametrize("tag", ["", 'W/"v1"'])
def test_without_a_version_or_a_checksum_it_begins_again(server, tmp_path, tag):
    server.tag = tag
    cut(server, tmp_path / "a.bin")
    assert download(server.url, tmp_path / "a.bin").read_bytes() == BODY
    assert server.seen == [None, None]
    cut(server, tmp_path / "b/a.bin", sha256=SHA)
    assert download(server.url, tmp_path / "b/a.bin", sha256=SHA).read_bytes() == BODY
    assert server.seen[-1] == "bytes=300000-"  # a checksum tells whether it fits


def test_a_part_that_is_whole_or_too_long(server, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(BODY)
    assert download(server.url, tmp_path / "a.bin", sha256=SHA).read_bytes() == BODY
    (tmp_path / "b.bin.part").write_bytes(BODY + b"more")
    assert download(server.url, tmp_path / "b.bin", sha256=SHA).read_bytes() == BODY


def test_a_wrong_checksum_leaves_nothing(server, tmp_path):
    with pytest.raises(DownloadError, match=f"has checksum {SHA}, expected {'0' * 64}; not kept"):
        download(server.url, tmp_path / "a.bin", sha256="0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_fetched_gives_one_line(server, tmp_path):
    base = server.url.removesuffix("/file.bin")
    with pytest.raises(DownloadError, match="/gone: the server answers 404 Not here"):
        download(base + "/gone", tmp_path / "a")
    for kind, message in (("ftp", "which is not http or https"), ("file", "is not allowed")):
        with pytest.raises(DownloadError, match=message):
            download(f"{base}/{kind}", tmp_path / "a")
    for url in ("file:///etc/passwd", "ftp://x/y", "/etc/passwd"):
        with pytest.raises(DownloadError, match="must begin with http"):
            download(url, tmp_path / "a")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(DownloadError, match=r"^cannot reach 127.0.0.1 \(are you offline\?\)"):
        download(f"http://127.0.0.1:{port}/x", tmp_path / "a")
    with pytest.raises(DownloadError, match=r"cannot reach no.such.host.invalid \(are you offline\?\)"):
        download("http://no.such.host.invalid/x", tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def zipped(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            if content is None:
                info.external_attr, content = 0o120777 << 16, "/etc/passwd"
            file.writestr(info, content)
    return path


def tarred(path, members):
    with tarfile.open(path, "w:gz") as file:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if content is None:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
                file.addfile(info)
            else:
                info.size, info.mode = len(content), 0o4777
                file.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("pack, suffix", [(zipped, "zip"), (tarred, "tar.gz")])
def test_archives_are_unpacked(tmp_path, pack, suffix):
    archive = pack(tmp_path / f"a.{suffix}", {"d/a, b.txt": b"1", "é/x": b"22"})
    assert unpack(archive, tmp_path / "out") == ["d/a, b.txt", "é/x"]
    assert (tmp_path / "out/d/a, b.txt").read_bytes() == b"1"
    assert (tmp_path / "out/é/x").stat().st_mode & 0o7000 == 0


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize(
    "bad, message",
    [
        ({"../evil": b"x"}, "leads out"),
        ({"/tmp/evil": b"x"}, "leads out"),
        ({"a/../../evil": b"x"}, "leads out"),
        ({"link": None}, "'link' is a link or a device"),
        ({"big": b"0" * 10_000}, "unpacks to more than 5000 bytes"),
    ],
)
def test_archives_that_mean_harm_write_nothing(tmp_path, pack, bad, message):
    archive = pack(tmp_path / "a", {"good": b"1"} | bad)
    with pytest.raises(ArchiveError, match=message):
        unpack(archive, tmp_path / "in/out", largest=5000)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_archives_that_are_broken(tmp_path):
    (tmp_path / "a.rar").write_bytes(b"Rar!\x1a\x07\x00")
    with pytest.raises(ArchiveError, match="neither a zip nor a tar file"):
        unpack(tmp_path / "a.rar", tmp_path / "out")
    archive = tarred(tmp_path / "a.tar.gz", {"a": bytes(range(256)) * 999})
    archive.write_bytes(archive.read_bytes()[:-50])
    with pytest.raises(ArchiveError, match="cannot be unpacked"):
        unpack(archive, tmp_path / "out")
    archive = zipped(tmp_path / "a.zip", {"a": b"hello hello hello"})
    archive.write_bytes(archive.read_bytes().replace(b"hello hello", b"hello jello"))
    with pytest.raises(ArchiveError, match="cannot be unpacked"):
        unpack(archive, tmp_path / "out")
    with pytest.raises(ArchiveError, match="nowhere: no such file"):
        unpack(tmp_path / "nowhere", tmp_path / "out")


def test_the_command_fetches_unpacks_and_says_what_is_unchecked(server, tmp_path, monkeypatch):
    server.body = zipped(tmp_path / "lists.zip", {"lists/classInd.txt": "1 A"}).read_bytes()
    url = server.url.replace("file.bin", "lists.zip")
    offer = remote.Offer((remote.Remote(url),), "then go on")
    monkeypatch.setitem(remote.OFFERS, "test", offer)
    done = CliRunner().invoke(main, ["data", "download", "test", str(tmp_path / "out")])
    assert done.exit_code == 0 and "no published checksum" in done.output and "then go on" in done.output
    assert (tmp_path / "out/lists/classInd.txt").read_text() == "1 A"
    done = CliRunner().invoke(main, ["data", "download", "imagenet", str(tmp_path / "out")])
    assert done.exit_code == 1 and "name (imagenet) must be one of ucf101" in done.output


def test_every_offer_is_well_formed():
    for offer in remote.OFFERS.values():
        assert offer.then and offer.files
        for file in offer.files:
            assert file.url.startswith("https://") and len(file.sha256 or "0" * 64) == 64
