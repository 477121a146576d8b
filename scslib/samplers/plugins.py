"""Load the samplers, policies and readers that files of yours register.

Code runs only from files that you name, and from installed packages that say in the entry point group
`scslib.samplers` which module of theirs registers something.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path

from scslib.jobs.user_files import run_file
from scslib.samplers.names import REGISTRIES, Origin, registering

GROUP = "scslib.samplers"
_loaded: dict[str, Origin] = {}


class PluginError(ValueError):
    """A plugin that cannot be loaded; the message names the file and what is wrong."""


def load_plugins(files: Iterable[str | Path] | Mapping[str, str] = ()) -> dict[str, str]:
    """Run these files once, and again when they have changed; what they register can be had by name.

    Installed packages' plugins are loaded first. files: paths; or, in a child process, the paths with
    the SHA-256 that the parent has seen. Returns that: paths and SHA-256. Raises `PluginError` for a
    file that is not there, breaks, or is not the one that the parent has seen.
    """
    importlib.import_module("scslib.samplers.registry")  # names of the kit are taken first
    _load_installed()
    expected = dict(files) if isinstance(files, Mapping) else {}
    found = {}
    for file in files:
        path = Path(file).expanduser().resolve()
        if path.suffix != ".py" or not path.is_file():
            raise PluginError(f"plugin ({path}) must be a file that ends in .py")
        source = path.read_bytes()
        origin = Origin(str(path), hashlib.sha256(source).hexdigest())
        if expected.get(str(file), origin.version) != origin.version:
            raise PluginError(f"{path}: was changed while the command ran; give it again")
        if _loaded.get(origin.place) != origin:
            _loaded.pop(origin.place, None)
            with registering(origin):
                _run(path, source)
            _loaded[origin.place] = origin
        found[origin.place] = origin.version
    return found


def unload_plugin(file: str | Path) -> None:
    """Leave out all that a file has registered."""
    place = str(Path(file).expanduser().resolve())
    _loaded.pop(place, None)
    for registry in REGISTRIES:
        registry.forget(place)


def _run(path: Path, source: bytes) -> None:
    name = f"scs_plugin_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    try:
        run_file(path, name, source)
    except Exception as error:
        raise PluginError(f"{path}: {type(error).__name__}: {error}") from error


@lru_cache(maxsize=1)
def _load_installed() -> None:
    for point in entry_points(group=GROUP):
        version = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
        with registering(Origin(point.value, version)):
            try:
                point.load()
            except Exception as error:
                why = f"{type(error).__name__}: {error}"
                raise PluginError(f"{version}, {point.value}: {why}") from error
