"""What an entry of the corpus is, and what a user does with its files."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from scslib.cli.main import main
from scslib.samplers.features import FeatureSpec, read_features

SCRIPT = "<script>alert(1)</script>"


@dataclass(frozen=True)
class Place:
    """folder: where hostile files lie. outside: what must not be touched; `secret` is a video in it.

    port: where somebody waits for a connection.
    """

    folder: Path
    outside: Path
    port: int

    @property
    def secret(self) -> Path:
        return self.outside / "secret.mp4"


Use = Callable[[], object]


@dataclass(frozen=True)
class Hostile:
    """An entry: `make` makes the files and gives what is done with them, in the words of the table."""

    name: str
    kind: str
    what: str
    tries: str
    gets: str
    make: Callable[[Place], Use]

    @property
    def words(self) -> list[str]:
        """What has to be in what comes out."""
        return re.findall(r"`([^`]+)`", self.gets)


CORPUS: list[Hostile] = []


def hostile(kind: str):
    """Enter a function that makes files into the corpus; its docstring is its row of the table.

    Of a `video` it gives name and content.
    """

    def enter(make):
        what, tries, gets = " ".join(make.__doc__.split()).split(" | ")
        made = (lambda place: reading(place, *make(place))) if kind == "video" else make
        CORPUS.append(Hostile(make.__name__, kind, what, tries, gets, made))
        return make

    return enter


def reading(place: Place, name: str, content: bytes | None) -> Use:
    """Read a video as a step of the notebooks does; content None: the file is there already."""
    path = name if "://" in name else place.folder / name
    if content is not None:
        path.write_bytes(content)

    def use() -> str:
        found = read_features(path, asdict(FeatureSpec(clip_len=4)))
        return f"ok: {found.clips} of {found.clips_expected} clips {found.missing}"

    return use


def cli(*words: object) -> Use:
    def use() -> str:
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                main([str(word) for word in words], prog_name="scs")
            except SystemExit as end:
                said.write(f" [status {end.code}]")
        return said.getvalue().replace("\n [status", " [status")

    return use
