"""How OpenMP's threads should wait: f's training step on a quiet machine, and beside busy processes.

    python benchmarks/threads.py                 some five minutes; benchmarks/results/threads.csv
    python benchmarks/threads.py --out x.csv     to another file

The step is that of the preset `laptop`: MC3-18 of width 8, 16 clips of 16 x 56 x 56. Each setting is
tried in a process of its own, since libgomp reads it when it is loaded. Let nothing else run meanwhile:
what is called quiet is only as quiet as the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from statistics import median

SETTINGS = {
    "as it comes": {},
    "passive": {"OMP_WAIT_POLICY": "PASSIVE"},
    "spin 0": {"GOMP_SPINCOUNT": "0"},
    "spin 100": {"GOMP_SPINCOUNT": "100"},
    "spin 1000": {"GOMP_SPINCOUNT": "1000"},
    "spin 10000": {"GOMP_SPINCOUNT": "10000"},
    "spin 100000": {"GOMP_SPINCOUNT": "100000"},
}
BUSY = (0, 2, 4)  # processes that compute beside it
FEWEST, LONGEST_S = 3, 15.0  # steps of each measurement, and when it ends with fewer
# ends with the process that started it, however that one ends
BUSILY = "import os; mine = os.getppid()\nwhile os.getppid() == mine: sum(range(10**5))"
MOST_QUIET, MOST_BUSY = 1.2, 4.0  # times the best quiet setting that the kit's own may take


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement, at least")
    parser.add_argument("--rounds", type=int, default=2, help="through all settings, there and back")
    parser.add_argument("--only", nargs="+", choices=SETTINGS, default=list(SETTINGS), help="of these")
    parser.add_argument("--out", type=Path, default=None, help="default: benchmarks/results/threads.csv")
    parser.add_argument("--measured", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measured:
        be_measured()
        return
    table, least = compare(options.only, options.seconds, options.rounds)
    print(table.drop(columns="environment").to_string(index=False, float_format="%.3f"))
    print(f"the kit's own {'holds' if holds(table) else 'DOES NOT HOLD'}; best when quiet {least:.3f} s")
    from scs_bench.tables import save, with_provenance

    table = with_provenance(table, "python benchmarks/threads.py")
    print(save(table, "threads", options.out).name)


def compare(names: list[str], seconds: float, rounds: int):
    """(a row for each setting and number of busy processes; the best quiet step's seconds)."""
    import pandas as pd

    from scslib.jobs.openmp import SPINS

    found: dict[tuple[str, int], list[float]] = {}
    for number in range(rounds):
        for name in names[:: -1 if number % 2 else 1]:
            for busy, step_s in steps_of(SETTINGS[name], seconds).items():
                found.setdefault((name, busy), []).append(step_s)
    least = min(median(steps) for (_, busy), steps in found.items() if busy == 0)
    rows = [
        {
            "setting": name,
            "environment": " ".join(f"{key}={value}" for key, value in SETTINGS[name].items()),
            "ours": SETTINGS[name] == {"GOMP_SPINCOUNT": SPINS},
            "busy": busy,
            "step_s": median(found[name, busy]),
            "slowest_s": max(found[name, busy]),
            "of_best_quiet": median(found[name, busy]) / least,
        }
        for name in names
        for busy in BUSY
    ]
    return pd.DataFrame(rows), least


def holds(table) -> bool:
    """Whether the kit's own setting loses little when quiet and keeps on beside four."""
    ours = table[table["ours"]].set_index("busy")["of_best_quiet"]
    return bool(len(ours) and ours[0] <= MOST_QUIET and ours[max(BUSY)] <= MOST_BUSY)


def steps_of(setting: dict[str, str], seconds: float) -> dict[int, float]:
    """Seconds of a step (median) in one process with `setting`, by the number of busy ones beside it."""
    left_out = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS")
    environment = {k: v for k, v in os.environ.items() if k not in left_out} | setting
    command = [sys.executable, __file__, "--measured"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    found = {}
    with subprocess.Popen(command, env=environment, **pipes) as measured:
        try:
            json.loads(measured.stdout.readline())  # it is ready
            for busy in BUSY:
                with busy_processes(busy):
                    print(seconds, file=measured.stdin, flush=True)
                    found[busy] = json.loads(measured.stdout.readline())
            measured.stdin.close()
        except BaseException:
            measured.kill()
            raise
    print(setting or "as it comes", {busy: round(s, 3) for busy, s in found.items()}, file=sys.stderr)
    return found


@contextmanager
def busy_processes(number: int) -> Iterator[None]:
    running = [subprocess.Popen([sys.executable, "-c", BUSILY]) for _ in range(number)]
    time.sleep(0.5 if number else 0)  # until they are under way
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def be_measured() -> None:
    """Answer each line, a number of seconds, with the median of the training steps of so long."""
    import torch  # before scslib, which would set how its threads wait

    from scslib.models.classifiers import build_classifier
    from scslib.models.views import ClassifierInput
    from scslib.training.classifier import ClassifierBatches, classifier_loss

    torch.manual_seed(0)
    view = ClassifierInput(frames=16, short_side=64, crop=56)
    network = build_classifier("mc3_18", 6, 8).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    batch_of, numbers = ClassifierBatches(Clips(), {"v": 0}, view.crop, batch=16, seed=0), count()

    def step() -> float:
        begin = time.perf_counter()
        loss = classifier_loss(network, batch_of(next(numbers)), view=view)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return time.perf_counter() - begin

    print(json.dumps([step() for _ in range(2)]), flush=True)  # and warm
    for line in sys.stdin:
        steps, begin = [], time.perf_counter()
        while (took := time.perf_counter() - begin) < float(line) or len(steps) < FEWEST:
            if steps and took > LONGEST_S:
                break
            steps.append(step())
        print(json.dumps(median(steps)), flush=True)


class Clips:
    """Decoded clips of one video "v", as `Shards` has them: noise, 32 of 16 x 64 x 85."""

    def __init__(self) -> None:
        import numpy as np

        clips = np.random.default_rng(0).integers(0, 256, (32, 16, 64, 85, 3), np.uint8)
        self.arrays = {"clips": clips, "start_s": np.arange(32.0)}

    def __contains__(self, video_id: str) -> bool:
        return video_id == "v"

    def get(self, video_id: str, name: str, rows: slice | None = None):
        return self.arrays[name] if rows is None else self.arrays[name][rows]


if __name__ == "__main__":
    main()
