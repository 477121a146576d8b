"""The key of a kept result, and the reason why it is made again.

Beside every kept result lies a JSON file with its key: what was done, to what, standing on what, by
which code. A result whose key differs in anything is not taken; the new one's JSON says why in `again`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from scslib.jobs.files import replacing
from scslib.jobs.fingerprint import Code

OLDER = "an older version of the kit made it"


@dataclass(frozen=True)
class Key:
    """The key of a kept result.

    step: a title, as a reader knows it. what: JSON; with another one it is another result, not the same
    one again. stands_on: checksums of the results of other steps that go in, by name.
    """

    step: str
    what: object
    code: Code
    stands_on: dict[str, object] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        return _digest([self.step, self.what, self.stands_on, self.code.as_json()])

    def why_again(self, before: Iterable[Path]) -> str:
        """The reason why a result is made again: from the JSON files of earlier ones; empty if none is
        the same.
        """
        reason = ""
        for path in before:
            try:
                kept = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue
            if not isinstance(kept, dict) or kept.get("what") != _digest(self.what):
                continue
            words = [self.code.since(Code.from_json(kept.get("code")))]
            earlier = kept.get("stands_on")
            earlier = earlier if isinstance(earlier, dict) else {}
            words += [
                f"its {name} changed"
                for name, checksum in self.stands_on.items()
                if earlier.get(name) != _digest(checksum)
            ]
            reason = "; ".join(word for word in words if word)
        return reason

    def is_at(self, path: Path) -> bool:
        """Tell whether the JSON file `path` holds this very key."""
        try:
            return json.loads(path.read_text(encoding="utf-8"))["digest"] == self.digest
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def begin_files(self, path: Path, *, exist: bool) -> bool:
        """Tell whether files with a key at `path` must be made anew. They must where other code made
        them.

        Where none `exist` yet, the key is written now, so that a broken run goes on; else by the caller,
        with `write`, when all are made.
        """
        if self.is_at(path):
            return False
        if not exist:
            self.write(path, again="")
        return exist

    def write(self, path: Path, *, again: str) -> None:
        """Keep the key in a JSON file; `again`: why the result is made again, if it is."""
        values = {
            "step": self.step,
            "again": again,
            "digest": self.digest,
            "what": _digest(self.what),
            "stands_on": {name: _digest(value) for name, value in self.stands_on.items()},
            "code": self.code.as_json(),
        }
        with replacing(path, own=True) as part:
            part.write_text(json.dumps(values, indent=1), encoding="utf-8")


def made_again(paths: Iterable[Path], since: float) -> Iterator[str]:
    """Lines that say which results were made again since a time, and why. Their keys are at `paths`.

    since: seconds, as `time.time` counts them.
    """
    for path in paths:
        try:
            if path.stat().st_mtime < since:
                continue
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["again"]:
                yield f"{kept['step']}: made again, {kept['again']}"
        except (OSError, ValueError, KeyError, TypeError):
            continue


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
