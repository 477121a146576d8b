"""A clock with stages: how long reading, sampling, decoding and classifying took."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

STAGES = ("read_s", "decode_s", "sampler_s", "classifier_s")


class Clock:
    """Wall-clock seconds by stage: `clock("read_s", function, *arguments)` calls and charges."""

    def __init__(self):
        self.seconds: dict[str, float] = defaultdict(float)

    def __call__(self, stage: str, function: Callable[..., Result], *args, **kwargs) -> Result:
        begin = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            self.seconds[stage] += time.perf_counter() - begin
