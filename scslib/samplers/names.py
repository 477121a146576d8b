"""Registry: what can be had by name, and which file of a user it came from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, NamedTuple, TypeVar

Thing = TypeVar("Thing")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Origin(NamedTuple):
    """The origin of a registered thing: a user's file and its SHA-256, or a package and its version."""

    place: str = ""
    version: str = ""


OF_THE_KIT = Origin()


class Registry(Generic[Thing]):
    """Things by name, in the order in which they were added."""

    def __init__(self, what: str):
        self.what = what
        self._things: dict[str, tuple[Thing, Origin]] = {}
        REGISTRIES.append(self)

    def add(self, name: str, thing: Thing) -> None:
        """Add a thing. Raises `ValueError` for a name that is taken, or that files could not be named
        after.
        """
        if not NAME.fullmatch(name):
            raise ValueError(f"name ({name!r}) must have letters, digits, '.', '_' and '-' only")
        if name in self._things:
            raise ValueError(f"name ({name!r}) is another {self.what}'s; take another name")
        self._things[name] = thing, _origin

    def __contains__(self, name: str) -> bool:
        return name in self._things

    def __iter__(self) -> Iterator[str]:
        return iter(self._things)

    def __getitem__(self, name: str) -> Thing:
        """Raises `ValueError` for an unknown name."""
        self._need(name)
        return self._things[name][0]

    def origin(self, name: str) -> Origin:
        """The origin of the thing `name`: `OF_THE_KIT` of what belongs to the kit."""
        self._need(name)
        return self._things[name][1]

    def forget(self, place: str) -> None:
        """Leave out everything from this file."""
        self._things = {n: (t, o) for n, (t, o) in self._things.items() if o.place != place}

    def _need(self, name: str) -> None:
        if name not in self._things:
            raise ValueError(f"{self.what} ({name!r}) must be one of {list(self._things)}")


REGISTRIES: list[Registry] = []
_origin = OF_THE_KIT


@contextmanager
def registering(origin: Origin) -> Iterator[None]:
    """Note that what is added meanwhile is from `origin`. It takes the place of what came from there
    before.

    Nothing is left of a file that breaks.
    """
    global _origin
    for registry in REGISTRIES:
        registry.forget(origin.place)
    _origin = origin
    try:
        yield
    except BaseException:
        for registry in REGISTRIES:
            registry.forget(origin.place)
        raise
    finally:
        _origin = OF_THE_KIT
