"""A clock with stages: seconds of reading, sampling, decoding and classifying.

It can count multiply-adds, too. PyTorch's counter takes one for two operations; literature counts one
(GMACs, often called GFLOPs), and so do we.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch.utils.flop_counter import FlopCounterMode

from scslib.jobs import devices
from scslib.jobs.threads import Result

STAGES = ("read_s", "decode_s", "sampler_s", "classifier_s")


class Clock:
    """Wall-clock seconds by stage: `clock("read_s", function, *arguments)` calls and charges.

    gmacs: 10^9 multiply-adds of these calls, if it `counts` (which takes time), else 0.
    """

    def __init__(self, *, counts: bool = False):
        self.seconds: dict[str, float] = defaultdict(float)
        self.counts, self.gmacs = counts, 0.0

    def copy(self) -> Clock:
        """Another clock that goes on from here."""
        other = Clock(counts=self.counts)
        other.seconds.update(self.seconds)
        other.gmacs = self.gmacs
        return other

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count what this thread computes meanwhile."""
        if not self.counts:
            yield
            return
        with FlopCounterMode(display=False) as counter:
            yield
        self.gmacs += counter.get_total_flops() / 2e9

    def __call__(self, stage: str, function: Callable[..., Result], *args, **kwargs) -> Result:
        devices.synchronise()
        begin = time.perf_counter()
        try:
            with self.counting():
                return function(*args, **kwargs)
        finally:
            devices.synchronise()
            self.seconds[stage] += time.perf_counter() - begin
