"""Fonts for text in any script in figures.

A file is called what its owner calls it. matplotlib's own font has Latin, Greek, Cyrillic, Arabic and
more; for other scripts the figure borrows a font of the system that has the characters. What no font
here has is written as "…", one for each run, rather than as boxes.
"""

from __future__ import annotations

import contextlib
import unicodedata
from collections.abc import Iterator
from functools import cache

from matplotlib import rcParams
from matplotlib.font_manager import FontEntry, findSystemFonts, fontManager, get_font

OWN = "DejaVu Sans"  # what matplotlib brings along
LOST = "…"
LEFT_TO_RIGHT = "\u200e"  # a mark without a form, which DejaVu Sans has


def drawn(*texts: str) -> tuple[list[str], dict]:
    """The texts as they can be drawn here, and the properties for it. A matplotlib text needs these.

    A dollar sign is one, and begins no formula; what is not printable is written as `\\x..`.
    """
    written = [_written(text) for text in texts]
    families = dict.fromkeys(_family(character) for text in written for character in text)
    borrowed = [family for family in families if family not in (OWN, None)]
    how = {"family": [*rcParams["font.family"], *borrowed]} if borrowed else {}
    return written, {"parse_math": False} | how


def _written(text: str) -> str:
    """The text without what cannot be drawn, from left to right but for words of other scripts."""
    out = LEFT_TO_RIGHT if any(unicodedata.bidirectional(c) in ("R", "AL") for c in text) else ""
    for character in text:
        joins = unicodedata.category(character) in ("Cf", "Mn")  # to the one before it; no form alone
        if not (joins or character.isprintable()):
            out += ascii(character)[1:-1]
        elif _family(character) and not (joins and out.endswith(LOST)):
            out += character
        elif not (joins or out.endswith(LOST)):
            out += LOST
    return out


@cache
def _family(character: str) -> str | None:
    """The first font that has a character; None where none has."""
    for entry in _fonts():
        with contextlib.suppress(OSError, RuntimeError):  # gone, or broken
            if get_font(entry.fname).get_char_index(ord(character)):
                return entry.name
    return None


def _fonts() -> Iterator[FontEntry]:
    """matplotlib's own, then those of the system, upright ones of a usual weight first."""
    yield from (e for e in fontManager.ttflist if e.name == OWN and _plain(e) == (False, False, 0))
    _look_for_new_ones()
    others = [e for e in fontManager.ttflist if e.name != OWN and not e.name.startswith("Last Resort")]
    yield from sorted(others, key=lambda entry: (*_plain(entry), entry.name))


def _plain(entry: FontEntry) -> tuple[bool, bool, int]:
    weight = entry.weight if isinstance(entry.weight, int) else 400
    return any(w in entry.name for w in ("Serif", "Mono")), entry.style != "normal", abs(weight - 400)


@cache
def _look_for_new_ones() -> None:
    """matplotlib keeps a list of fonts, which does not know those that were installed after it."""
    known = {entry.fname for entry in fontManager.ttflist}
    for path in set(findSystemFonts()) - known:
        with contextlib.suppress(OSError, RuntimeError, NotImplementedError):  # bitmaps, broken
            fontManager.addfont(path)
