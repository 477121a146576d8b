"""A classifier from a user's function: `my_f.py:build`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import torch

from scslib.jobs.user_files import NAMED, is_allowed, parts, run_file
from scslib.models.reading import CheckpointError
from scslib.models.views import View


def run_user_code(spec: str, *, sha256: str = "") -> tuple:
    """What the function gives: (network, what it sees (a `View`), names of its classes).

    Raises `CheckpointError` for a file that the user has not named, that is not there, or whose content
    has another `sha256` than when a checkpoint was written.
    """
    file, function = parts(spec)
    if not is_allowed(spec):
        raise CheckpointError(f"{file} would be run, and nobody has named it; to do so: {NAMED}={file}")
    if not file.is_file():
        raise CheckpointError(f"{file}: no such file")
    source = file.read_bytes()
    found = hashlib.sha256(source).hexdigest()
    if sha256 and found != sha256:
        raise CheckpointError(f"{file} has changed since the checkpoint was written")
    module = run_file(file, f"scs_code_{found[:16]}", source)
    if not hasattr(module, function):
        raise CheckpointError(f"{file} has no function {function!r}")
    made = getattr(module, function)()
    if not (isinstance(made, tuple) and len(made) == 3):
        raise CheckpointError(f"{spec} must return (network, view, names of its classes)")
    return made


@dataclass(frozen=True)
class CodeInput(View):
    """What a user's network sees, as the code says it: `code` is its FILE.py:FUNCTION."""

    code: str
    sha256: str

    @cached_property
    def own(self) -> View:
        return run_user_code(self.code, sha256=self.sha256)[1]

    frames = property(lambda self: self.own.frames)
    clip_len = property(lambda self: self.own.clip_len)
    frame_rate = property(lambda self: self.own.frame_rate)
    crops = property(lambda self: self.own.crops)
    random_crop = property(lambda self: self.own.random_crop)
    differences = property(lambda self: self.own.differences)

    def read_size(self, width: int, height: int) -> tuple[int, int]:
        return self.own.read_size(width, height)

    def fit(self, clips: torch.Tensor) -> torch.Tensor:
        return self.own.fit(clips)

    def normalise(self, fitted: torch.Tensor, *, crops: int | None = None) -> torch.Tensor:
        return self.own.normalise(fitted, crops=crops)
