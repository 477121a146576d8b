"""Hostile files get what docs/hostile.md says, and nothing outside their folder is touched."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import av
import nbformat
import pandas as pd
import pytest

from scslib.experiments.notebooks import execute
from scslib.jobs.child import Child, Limits
from scslib.jobs.run_folder import root
from tests import hostile
from tests.hostile import CORPUS, Hostile, Place
from tests.support import mutate
from tests.support.watch import Server, Watch

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
VIDEOS = [entry for entry in CORPUS if entry.kind == "video"]


@pytest.fixture(scope="module")
def child():
    child = Child(Limits(seconds=300, memory_gb=2))
    yield child
    child.close()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.socket.close()


@pytest.fixture
def place(tmp_path, server):
    place = Place(tmp_path / "given", tmp_path / "outside", server.port)
    place.folder.mkdir()
    place.outside.mkdir()
    place.secret.write_bytes(mutate.good()["h264.mp4"])
    return place


@pytest.fixture
def watch(place):
    watch = Watch(place.outside)
    yield watch
    watch.close()


def untouched(place: Place, watch: Watch, server: Server) -> None:
    assert watch.seen() == [] and server.called() == 0
    assert os.listdir(place.outside) == ["secret.mp4"]


def cases():
    for number, entry in enumerate(CORPUS):
        yield pytest.param(number, id=entry.name)


@pytest.mark.parametrize("number", cases())
def test_it_gets_what_the_table_says(number, child, place, watch, server):
    outcome = child.call(hostile.attempt, (number, place), preload="scslib.samplers.features")
    assert outcome.escaped == "" and outcome.opened == []
    untouched(place, watch, server)
    for words in CORPUS[number].words:
        assert words in outcome.text, outcome.text[:1000]
    assert len(outcome.text) > 5000 or "\n" not in outcome.text.strip(), outcome.text


def test_the_corpus_is_large_and_every_entry_says_what_it_gets():
    assert len(CORPUS) >= 50 and len({entry.name for entry in CORPUS}) == len(CORPUS)
    assert all(entry.words and entry.tries for entry in CORPUS)
    assert {entry.kind for entry in CORPUS} == {"video", "dataset", "archive", "run", "weights"}


def test_the_tables_in_the_docs_are_of_this_corpus():
    assert (root() / "docs" / "hostile.md").read_text(encoding="utf-8") == hostile.page()


# The controls: what the watch would see


def test_the_watch_sees_a_concat_script_followed(place, watch, server):
    path = place.folder / "clip.mp4"
    path.write_text(f"ffconcat version 1.0\nfile '{place.secret}'\n")
    with av.open(str(path), options={"safe": "0"}) as container:
        assert next(container.decode(video=0))
    assert "secret.mp4" in watch.seen()


def test_the_watch_sees_a_data_reference_followed(place, watch, server):
    path = place.folder / "clip.mov"
    path.write_bytes(hostile.videos.refers_to(place.secret))
    with av.open(str(path), options={"enable_drefs": "1", "use_absolute_path": "1"}) as container:
        list(container.demux(video=0))
    assert "secret.mp4" in watch.seen()


def test_the_server_sees_a_playlist_followed(place, watch, server):
    path = place.folder / "clip.m3u8"
    head = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n"
    path.write_text(f"{head}http://127.0.0.1:{server.port}/a.ts\n#EXT-X-ENDLIST\n")
    with contextlib.suppress(av.FFmpegError):
        av.open(str(path), options={"protocol_whitelist": "file,http,tcp"}, timeout=1)
    assert server.called() > 0


def peeking(place: Place):
    """What an entry that did get out would come to."""
    peek = Hostile("peek", "run", "", "", "", lambda p: p.secret.read_bytes)
    CORPUS.append(peek)
    return hostile.attempt((len(CORPUS) - 1, place))


def test_what_python_opens_is_seen_and_what_escapes(place, watch, server):
    child = Child()
    outcome = child.call(peeking, place, preload="scslib.samplers.features")
    child.close()
    assert outcome.opened == [str(place.secret)] and outcome.escaped == ""
    assert "secret.mp4" in watch.seen()


# All videos at once, through commands


def all_videos(place: Place) -> dict[str, Path]:
    """Every video of the corpus that is a file, in one folder, by the entry's name."""
    videos = {}
    for entry in VIDEOS:
        own = Place(place.folder / entry.name, place.outside, place.port)
        own.folder.mkdir()
        entry.make(own)
        for path in own.folder.iterdir():
            target = place.folder / f"{entry.name}-{path.name}"
            path.rename(target)
            if target.is_file() and path.name != "other.mkv":  # a pipe is no file
                videos[entry.name] = target
        own.folder.rmdir()
    return videos


def scs(*words) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "scslib.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def read_all_the_same() -> set[str]:
    return {entry.name for entry in VIDEOS if any(w.startswith("ok") for w in entry.words)}


def test_scs_sample(place, watch, server, tiny_run, tmp_path):
    videos = all_videos(place)
    options = ["-k", "2", "--csv", tmp_path / "out.csv", "--clips", tmp_path / "out"]
    done = scs("sample", *videos.values(), "--run", tiny_run, *options)
    untouched(place, watch, server)
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    assert done.returncode == 1
    picked = set(pd.read_csv(tmp_path / "out.csv")["video"])
    for name, path in videos.items():
        shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(path))
        lines = [line for line in done.stderr.splitlines() if shown in line]
        assert str(path) in picked or lines, (name, done.stderr)
        if name in read_all_the_same():
            assert str(path) in picked, (name, lines)
    assert all("\x1b" not in line for line in done.stderr.splitlines())


def test_scs_data_index(place, watch, server, tmp_path):
    videos = all_videos(place)
    folder = tmp_path / "mine"
    for label in ("a", "b"):
        (folder / label).mkdir(parents=True)
        for number in range(2):
            target = folder / label / f"good{number}.mp4"
            target.write_bytes(mutate.good()["mpeg4.mp4"] + bytes(2 * "ab".index(label) + number))
    for path in videos.values():
        path.rename(folder / "a" / path.name)
    os.mkfifo(folder / "a" / "pipe.mp4")
    done = scs("data", "index", folder, tmp_path / "data")
    untouched(place, watch, server)
    assert done.returncode == 0, done.stderr
    used = set(pd.read_csv(tmp_path / "data" / "videos.csv")["source"])
    left_out = pd.read_csv(tmp_path / "data" / "left_out.csv", index_col="path")["problem"]
    assert {f"a/good{n}.mp4" for n in (0, 1)} <= used and "a/pipe.mp4" in left_out.index
    for name, path in videos.items():
        assert f"a/{path.name}" in used or left_out[f"a/{path.name}"], name
    assert not any("\n" in problem for problem in left_out)


# A run's notebooks


def test_a_module_in_a_runs_notebooks_is_not_imported(tmp_path):
    """Python looks for modules where it is started: a run must not be able to bring its own."""
    folder = tmp_path / "run" / "notebooks"
    folder.mkdir(parents=True)
    (folder / "tqdm.py").write_text(f"open({str(tmp_path / 'pwned')!r}, 'w')\n")
    cells = [nbformat.v4.new_code_cell("import tqdm")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "99_mine.ipynb")
    execute(tmp_path / "99_mine.ipynb", folder, {})
    assert not (tmp_path / "pwned").exists()
