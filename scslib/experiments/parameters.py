"""Notebooks' parameters: names, types, defaults, and checks of given values.

Values come as text, from a command line or a YAML file. YAML alone would guess: 012 is ten, 12:30 is 750
seconds, yes is true, and 1e-3 is text. So a value stays text until its parameter says what it must be.
"""

from __future__ import annotations

import ast
import re
import reprlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import papermill
import yaml

WHOLE_NUMBER = re.compile(r"[+-]?(0|[1-9][0-9]*(_[0-9]+)*)")
NUMBER = re.compile(r"[+-]?((0|[1-9][0-9]*(_[0-9]+)*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
SWITCH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
TYPE_WORDS = {
    "str": ("text", "names", "name"),
    "int": ("a whole number", "whole numbers", 4),
    "float": ("a number", "numbers", 0.1),
    "bool": ("true or false", "true or false", True),
}


class Parameter(NamedTuple):
    """A parameter of a notebook.

    kind: `str`, `int`, `float`, `bool` or `list`; of a list `item` is the kind of what is in it.
    """

    name: str
    kind: str
    item: str
    default: object

    def held(self, value: object) -> object:
        """`value`, which may be text, as what the parameter must be.

        Only what leaves no doubt is converted: `1e-3` for a number, `yes` for true or false. Raises
        `ValueError` with one line that names the parameter, the value and what is wanted.
        """
        try:
            if self.kind != "list":
                return _one(self.kind, value)
            values = texts(value) if isinstance(value, str) else value
            if not isinstance(values, (list, tuple)):
                raise ValueError
            return [_one(self.item, item) for item in values]
        except (ValueError, yaml.YAMLError):
            given = f"parameter {self.name!r} (value {reprlib.repr(value)})"
            raise ValueError(f"{given} must be {self._wanted()}") from None

    def _wanted(self) -> str:
        one, many, example = TYPE_WORDS[self.item if self.kind == "list" else self.kind]
        if self.kind == "list":
            default = self.default if isinstance(self.default, Iterable) else ()
            shown = ", ".join(map(str, default or [example]))
            return f"a list of {many}, such as [{shown}]"
        return one if self.kind in ("bool", "str") else f"{one}, such as {self.default}"


def declared(notebook: Path) -> dict[str, Parameter]:
    """The parameters of a notebook by name, from its parameters cell.

    A parameter's type is its annotation, else that of its default.
    """
    about = notebook.stat()
    return _declared(notebook, about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=256)
def _declared(notebook: Path, size: int, changed: int) -> dict[str, Parameter]:
    """Read once as long as the file's `size` and its time of change stay the same."""
    found = {}
    for name, about in papermill.inspect_notebook(str(notebook)).items():
        default = _literal(about["default"])
        kind, _, item = about["inferred_type_name"].replace(" ", "").rstrip("]").partition("[")
        if kind not in (*TYPE_WORDS, "list"):
            kind = type(default).__name__ if isinstance(default, (*_PLAIN, list)) else "str"
        if item not in TYPE_WORDS:
            inside = {type(value) for value in default} if isinstance(default, list) else set()
            item = inside.pop().__name__ if len(inside) == 1 and inside <= set(_PLAIN) else "str"
        found[name] = Parameter(name, kind, item if kind == "list" else "", default)
    return found


def known_parameters(notebook: Path) -> dict[str, object]:
    """Names and defaults of a notebook's parameters cell."""
    return {name: parameter.default for name, parameter in declared(notebook).items()}


def texts(text: str) -> object:
    """What a YAML text holds; every number and word in it stays the text that it is."""
    return yaml.load(text, _Texts)


def from_command_line(pairs: Iterable[tuple[str, str]]) -> dict[str, object]:
    """The values of `-p NAME VALUE`; quotes around a whole value are taken off."""
    return {name: texts(v) if re.fullmatch(r"""(["'])[^"']*\1""", v) else v for name, v in pairs}


class _Texts(yaml.SafeLoader):
    """YAML whose plain words are texts; `<<` still merges."""

    yaml_implicit_resolvers = {"<": yaml.SafeLoader.yaml_implicit_resolvers["<"]}


_PLAIN = (str, int, float, bool)


def _literal(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _one(kind: str, value: object) -> object:
    """`value` as this kind. Raises `ValueError` where that leaves a doubt."""
    if kind == "str":
        if isinstance(value, str):
            return value
        if type(value) is int:
            return str(value)
    elif kind == "bool":
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.strip().lower() in SWITCH:
            return SWITCH[value.strip().lower()]
    elif not isinstance(value, bool):
        return _number(kind, value)
    raise ValueError


def _number(kind: str, value: object) -> int | float:
    if isinstance(value, str):
        value = value.strip()
        if WHOLE_NUMBER.fullmatch(value):
            value = int(value)
        elif NUMBER.fullmatch(value):
            value = float(value)
    if not isinstance(value, (int, float)) or not abs(value) < float("inf"):
        raise ValueError
    if kind == "float":
        return float(value)
    if value != int(value) or isinstance(value, float) and abs(value) >= 2**53:
        raise ValueError
    return int(value)
