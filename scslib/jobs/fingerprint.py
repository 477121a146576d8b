"""Checksums of the code and the library versions that a step's result depends on.

    code_of(read_features)    the modules that its module reaches by import, and the libraries

A result that is kept is known by this, too: when the code that computes it changes, it is made again,
and when other code changes (a plot, a page), it is not.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
# those that compute; what only draws or carries tables changes no result
LIBRARIES = ("av", "numba", "numpy", "scipy", "timm", "torch", "torchaudio", "torchvision")


def _read_package() -> dict[str, bytes]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path.read_bytes()
    return found


# as this process found it: what is edited later is not what runs here
_SOURCES = _read_package()


@dataclass(frozen=True)
class Code:
    """The code that a result depends on.

    modules: checksum of the source by name; libraries: version by name.
    """

    modules: dict[str, str]
    libraries: dict[str, str]

    def __or__(self, other: Code) -> Code:
        return Code(self.modules | other.modules, self.libraries | other.libraries)

    @classmethod
    def from_json(cls, value: object) -> Code:
        """What `as_json` made; empty for anything else, as an older version of the kit may have left."""
        kept = value if isinstance(value, dict) else {}
        try:
            return cls(dict(kept["modules"]), dict(kept["libraries"]))
        except (KeyError, TypeError, ValueError):
            return cls({}, {})

    def as_json(self) -> dict:
        return asdict(self)

    def since(self, before: Code) -> str:
        """What has changed since `before`, in words; empty for nothing."""
        words = [
            _change(name, before.modules, self.modules, "changed")
            for name in sorted(before.modules.keys() | self.modules.keys())
        ]
        for name in sorted(before.libraries.keys() | self.libraries.keys()):
            words.append(
                _change(
                    name,
                    before.libraries,
                    self.libraries,
                    f"{before.libraries.get(name)} is {self.libraries.get(name)} now",
                )
            )
        words = [word for word in words if word]
        return ", ".join(words[:3]) + (f" and {len(words) - 3} more" if len(words) > 3 else "")

    def current(self) -> bool:
        """Tell whether the modules of scslib are the same in this process."""
        own = {name: _checksum(_SOURCES[name]) for name in self.modules if name in _SOURCES}
        return all(self.modules[name] == checksum for name, checksum in own.items())


def _change(name: str, before: dict[str, str], after: dict[str, str], changed: str) -> str:
    if name not in before:
        return f"{name} takes part now"
    if name not in after:
        return f"{name} takes part no longer"
    return f"{name} {changed}" if before[name] != after[name] else ""


def weights_checksum(path: str | Path) -> str:
    """A checksum of a checkpoint's weights and JSON: other results must not be taken for theirs."""
    found = hashlib.sha256(Path(path).read_bytes())
    described = Path(path).with_suffix(".json")
    found.update(described.read_bytes() if described.is_file() else b"")
    return found.hexdigest()[:16]


def code_of(*things: Callable | type) -> Code:
    """The code of functions and classes: their modules, and all that these reach by import.

    Imports inside functions count. Of scslib every module is followed; of a user's own file the file
    itself, and what it imports of scslib; of what was written into a notebook its own lines.
    """
    found = Code({}, {})
    for thing in things:
        name = thing.__module__
        if name in _SOURCES:
            found |= _reached_from(name)
        elif name.split(".")[0] in LIBRARIES:
            found |= Code({}, _version(name.split(".")[0]))
        else:
            found |= code_of_text(_source_of(thing), name)
    return found


def _source_of(thing: Callable | type) -> bytes:
    with contextlib.suppress(TypeError, OSError):  # there is no file
        if file := inspect.getsourcefile(thing):
            return Path(file).read_bytes()
    return inspect.getsource(thing).encode()


def code_of_text(source: bytes | str, name: str) -> Code:
    """The code of a text of Python called `name`. It includes all that it reaches by import."""
    source = source.encode() if isinstance(source, str) else source
    found = Code({name: _checksum(source)}, {})
    for imported in _imports(source):
        if imported in _SOURCES:
            found |= _reached_from(imported)
        elif imported.split(".")[0] in LIBRARIES:
            found |= Code({}, _version(imported.split(".")[0]))
    return found


@cache
def _reached_from(module: str) -> Code:
    modules: dict[str, str] = {}
    libraries: dict[str, str] = {}
    todo = [module]
    while todo:
        name = todo.pop()
        if name in modules:
            continue
        modules[name] = _checksum(_SOURCES[name])
        for imported in _imported_by(name):
            if imported in _SOURCES:
                todo.append(imported)
            elif imported.split(".")[0] in LIBRARIES:
                libraries |= _version(imported.split(".")[0])
    return Code(dict(sorted(modules.items())), dict(sorted(libraries.items())))


@cache
def _imported_by(module: str) -> tuple[str, ...]:
    return tuple(_imports(_SOURCES[module]))


def _imports(source: bytes) -> Iterator[str]:
    """The names of modules that a source imports; `from a import b` is a.b where that is a module."""
    for node in _executed(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:  # scslib has no relative imports
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in _SOURCES else node.module for name in whole)


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a tree without expressions, and without what stands under `if TYPE_CHECKING`."""
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            continue  # most nodes are, and no import is in one
        if not (isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING")):
            yield from _executed(child)


def _checksum(source: bytes) -> str:
    return hashlib.sha256(source).hexdigest()[:16]


@cache
def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _version(name: str) -> dict[str, str]:
    found = _installed(name)
    return {name: found} if found else {}
