"""Functions in a user's files, FILE.py:FUNCTION; only named files are run.

Code runs only from files that are named: to a command or a notebook, or in the environment variable
SCS_CODE. That a checkpoint or another file names one does not make it run.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

NAMED = "SCS_CODE"  # files, separated as in PATH; processes that are started inherit it
SPEC = re.compile(r"(?P<file>.+\.py):(?P<function>[A-Za-z_]\w*)")


def is_code(text: str) -> bool:
    """Tell whether `text` is FILE.py:FUNCTION."""
    return SPEC.fullmatch(text) is not None


def parts(text: str) -> tuple[Path, str]:
    """The file, as a whole path, and the function. Raises `ValueError` for anything else."""
    match = SPEC.fullmatch(text)
    if match is None:
        raise ValueError(f"code ({text!r}) must be FILE.py:FUNCTION")
    return Path(match["file"]).resolve(), match["function"]


def allow(text: str) -> str:
    """Take note that the user has named this code; returns it with the file's whole path."""
    file, function = parts(text)
    named = os.environ.get(NAMED, "").split(os.pathsep)
    if str(file) not in named:
        os.environ[NAMED] = os.pathsep.join([*filter(None, named), str(file)])
    return f"{file}:{function}"


def is_allowed(text: str) -> bool:
    """Tell whether the user has named the file."""
    return str(parts(text)[0]) in os.environ.get(NAMED, "").split(os.pathsep)


def digest(text: str) -> str:
    """The SHA-256 of the file's content. Raises `OSError` where it cannot be read."""
    file = Path(text) if text.endswith(".py") else parts(text)[0]
    return hashlib.sha256(file.read_bytes()).hexdigest()


def run_file(file: Path, name: str, source: bytes) -> ModuleType:
    """The module `name` that comes of running `source`, the content of a file; what it raises is raised.

    No bytecode is looked for or written: what runs is what was read, and the folder stays as it is.
    """
    module = ModuleType(name)
    module.__file__ = str(file)
    sys.modules[name] = module  # dataclasses look there
    try:
        exec(compile(source, str(file), "exec"), module.__dict__)
    except BaseException:
        sys.modules.pop(name)
        raise
    return module


def code_in(parameters: Iterable[object]) -> list[str]:
    """What of the values of parameters, texts or lists of them, is code: FILE.py:FUNCTION or FILE.py."""
    values = [v for p in parameters for v in (p if isinstance(p, (list, tuple)) else [p])]
    return [v for v in values if isinstance(v, str) and (is_code(v) or Path(v).suffix == ".py")]


def whole_plugin(text: str) -> str:
    """The whole path of a file of plugins. Raises `ValueError` where it is none."""
    path = Path(text).expanduser().resolve()
    if path.suffix != ".py" or not path.is_file():
        wrong = f"no such file: {path}" if path.suffix == ".py" else "its name must end in .py"
        raise ValueError(f"plugins ({text}): {wrong}")
    return str(path)


def whole(text: str) -> str:
    """A classifier's spec (see `models.specs`) with a whole path in it. It is the file's or folder's,
    if any.

    A file of code counts as named by the user.
    """
    if is_code(text):
        return allow(text)
    spec, mark, options = text.partition("?")
    kind, colon, rest = spec.partition(":")
    before, path = "", spec
    if colon and kind in ("torchvision", "timm"):
        name, slash, path = rest.partition("/")
        before = f"{kind}:{name}{slash}"
    elif colon and kind == "hf":
        before, path = "hf:", rest
    if not path or not Path(path).exists():
        return text
    return f"{before}{Path(path).resolve()}{mark}{options}"
