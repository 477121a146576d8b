"""Set how OpenMP's threads wait, before PyTorch loads them.

As they come, they wait by spinning. On a machine with nothing else to do that is quickest; beside other
work a spinning thread keeps the one that it waits for from running, and a training step takes ten times
as long. Spinning for a moment and then sleeping loses little on a quiet machine and holds on a busy one:
benchmarks/threads.py measures it.

The package imports this first, so that it holds in every process of the kit, and in what these start.
Whoever has set one of `OURS` decides himself.
"""

from __future__ import annotations

import os

SPINS = "1000"  # turns of a loop before a thread sleeps, about a microsecond each thousand
OURS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")

if not any(name in os.environ for name in OURS):
    os.environ["GOMP_SPINCOUNT"] = SPINS
