"""The first sentence of a docstring names its thing, briefly, to somebody who has seen nothing else.

It is to be an imperative ("Read the packets of a file.") or a noun phrase ("The packets of a file.") of
at most fourteen words. Grammar is only approximated: what is known to begin a clause or a verb of the
third person is forbidden, and so is a shape or tuple in front of what it describes. Any other verb of
the third person passes, and so do "What X holds" and "How X is made", which stand for a noun.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "scslib"
MODULES = sorted(PACKAGE.rglob("*.py"))
MOST_WORDS = 14
# Their dot ends no sentence.
ABBREVIATIONS = ("e.g.", "i.e.", "sec.", "al.", "cf.", "vs.", "Fig.")
# A question or a clause: "Whether X" becomes "Tell whether X", "Where X lies" "The place of X".
CLAUSES = "Whether Where When Why Who Which That Is Are Does Has Can"
# A preposition, or a word that means nothing without what stands before: "Of these frames ...".
DEPENDENT = "Of From In Within As About See It None"
# A verb in the third person: "Raises X" becomes "Refuse Y. Raises X.", "Decodes" "A decoder of".
THIRD_PERSON = """
    Adds Asks Applies Begins Builds Calls Checks Chooses Computes Converts Creates Decodes Draws Encodes
    Fits Gets Gives Goes Holds Keeps Lets Loads Looks Makes Opens Picks Puts Raises Reads Refuses Removes
    Returns Says Sets Shows Starts Stores Takes Tells Tries Turns Waits Writes Yields
"""
FORBIDDEN = frozenset(f"{CLAUSES} {DEPENDENT} {THIRD_PERSON}".split())
FORBIDDEN_PHRASES = ("The same",)  # as what?


def first_sentence(text: str) -> str:
    """The text up to the first full stop, colon or semicolon before white space or the end."""
    paragraph = " ".join(text.strip().split("\n\n")[0].split())
    for end in re.finditer(r"[.:;](?=\s|$)", paragraph):
        if not paragraph[: end.end()].endswith(ABBREVIATIONS):
            return paragraph[: end.start()]
    return paragraph


def faults(text: str) -> list[str]:
    """The reasons why a docstring begins badly."""
    sentence = first_sentence(text)
    words = sentence.split()
    if not words:
        return ["is empty"]
    found = [f"has {len(words)} words"] if len(words) > MOST_WORDS else []
    if words[0] in FORBIDDEN or sentence.startswith(FORBIDDEN_PHRASES):
        found.append(f"begins with {words[0]!r}")
    if words[0].startswith("("):
        found.append("begins with a shape or a tuple")
    return found


def things(node: ast.AST, name: str = "") -> Iterator[tuple[str, ast.AST, bool]]:
    """Each public thing of a module by name, and whether it is a method."""
    for child in node.body:
        kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        if isinstance(child, kinds) and not child.name.startswith("_"):
            method = isinstance(node, ast.ClassDef) and not isinstance(child, ast.ClassDef)
            yield f"{name}{child.name}", child, method
            if isinstance(child, ast.ClassDef):
                yield from things(child, f"{name}{child.name}.")


def beginnings(source: str) -> list[str]:
    """A line for each docstring of a module that begins badly, and for each one that lacks.

    A method may lack one: it may only implement what its base or a protocol describes.
    """
    tree = ast.parse(source)
    lines = []
    for name, node, method in [("the module", tree, False), *things(tree)]:
        text = ast.get_docstring(node)
        if text is not None:
            lines += [f"{name} {fault}: {first_sentence(text)}" for fault in faults(text)]
        elif not method:
            lines.append(f"{name} has no docstring")
    return lines


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_docstring_begins_with_a_short_name_of_its_thing(path):
    assert not beginnings(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("The packets of a file.", "The packets of a file"),
        ("The packets\nof a file: all.\n\nMore.", "The packets of a file"),
        ("Late fusion (paper, sec. 3.4). More.", "Late fusion (paper, sec. 3.4)"),
        ("TSN (Wang et al., 2016); more", "TSN (Wang et al., 2016)"),
        ("The file data.csv of a run", "The file data.csv of a run"),
    ],
)
def test_a_sentence_ends_at_a_stop_before_white_space(text, sentence):
    assert first_sentence(text) == sentence


@pytest.mark.parametrize(
    "text",
    [
        "Whether a file ends early.",
        "Raises `ValueError` for all else.",
        "The same for sound.",
        "(N,) float64.",
        "The words of a sentence that goes on and on until it has fifteen words.",
    ],
)
def test_a_long_or_forbidden_beginning_is_found(text):
    assert len(beginnings(f'"""A module."""\n\n\ndef read():\n    """{text}"""\n')) == 1


def test_a_thing_without_a_docstring_is_found_but_no_method():
    found = beginnings('"""A module."""\n\n\nclass Reader:\n    def read(self):\n        pass\n')
    assert found == ["Reader has no docstring"]
