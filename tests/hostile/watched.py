"""Doing what a user does with an entry's files, watched."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from tests.hostile.corpus import CORPUS, Place


@dataclass
class Outcome:
    """What came out, and the files outside of what an entry may touch that Python opened meanwhile.

    text: what was given or printed, or the error's one line; escaped: another error's traceback.
    """

    text: str = ""
    escaped: str = ""
    opened: list[str] = field(default_factory=list)


_now: tuple[Outcome, tuple[str, ...]] | None = None  # what is being done, and where it may open files


def attempt(job: tuple[int, Place]) -> Outcome:
    """Do with an entry's files what a user does, in a process that has nothing else to do."""
    global _now
    entry, place, outcome = CORPUS[job[0]], job[1], Outcome()
    use = entry.make(place)
    mine = [place.folder, *map(Path, (sys.prefix, sys.base_prefix)), Path(__file__).parents[2]]
    mine += [Path(tempfile.gettempdir()) / "scs-clip-"]
    roots = tuple(str(path.resolve()) for path in mine) + ("/proc", "/sys", "/dev", "/usr")
    if _now is None:
        sys.addaudithook(_hook)
    _now = outcome, roots
    try:
        outcome.text = str(use())
    except (ValueError, OSError) as error:  # `scs` makes one line of these
        outcome.text = str(error)
    except BaseException:
        outcome.escaped = traceback.format_exc()
    _now = Outcome(), ("/",)
    return outcome


def _hook(event: str, arguments: tuple) -> None:
    outcome, roots = _now or (Outcome(), ("/",))
    if event in ("os.system", "subprocess.Popen", "socket.connect"):
        outcome.opened.append(f"{event} {arguments}")
    if event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
        path = os.path.realpath(os.fsdecode(arguments[0]))
        if not path.startswith(roots):
            outcome.opened.append(path)
