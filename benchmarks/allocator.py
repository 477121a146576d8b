"""What it saves to keep freed memory for the next tensor (scslib/jobs/allocator.py).

    python benchmarks/allocator.py                 a minute; benchmarks/results/allocator.csv
    python benchmarks/allocator.py --out x.csv     to another file

Each job runs in turns in a process as it comes and in one that keeps its memory. Let nothing else run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

ROUNDS, STEPS = 3, 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=None, help="default: results/allocator.csv")
    parser.add_argument("--measured", choices=("kept", "as it comes"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measured:
        print(json.dumps(measure(keep=options.measured == "kept")))
        return
    import pandas as pd
    from scs_bench.tables import save, with_provenance

    found: dict[tuple[str, str], list[float]] = {}
    for _ in range(ROUNDS):
        for way in ("as it comes", "kept"):
            command = [sys.executable, __file__, "--measured", way]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            for job, seconds in json.loads(done.stdout).items():
                found.setdefault((job, way), []).append(seconds)
    rows = []
    for job in dict.fromkeys(job for job, _ in found):
        before, after = (median(found[job, way]) for way in ("as it comes", "kept"))
        rows.append({"job": job, "as_it_comes_s": before, "kept_s": after, "ratio": after / before})
    table = pd.DataFrame(rows)
    print(table.to_string(index=False, float_format="%.3f"))
    print(save(with_provenance(table, "python benchmarks/allocator.py"), "allocator", options.out).name)


def measure(*, keep: bool) -> dict[str, float]:
    """Seconds of a step of each job (median), after one to get warm."""
    import torch

    if keep:
        from scslib.jobs.allocator import keep_freed_memory

        assert keep_freed_memory()
    from scslib.models.classifiers import build_classifier
    from scslib.models.samplers import SamplerNetwork
    from scslib.models.timm_frames import build_timm

    torch.manual_seed(0)
    lite0 = build_timm("tf_efficientnet_lite0", 5).eval()
    mc3, sound = build_classifier("mc3_18", 6, 8), SamplerNetwork(("audio",), 6, 8, 4)
    frames, clips = torch.randn(16, 3, 4, 224, 224), torch.randn(16, 3, 16, 56, 56)
    pictures = torch.randn(32, 1, 200, 40)

    def scored() -> None:
        with torch.inference_mode():
            lite0(frames)

    jobs = {
        "Lite0 scores 16 clips of 4 frames, 224 pixels": scored,
        "MC3-18 of width 8, a training step": lambda: mc3(clips).sum().backward(),
        "the sound's network of width 4, a training step": lambda: (
            sound.trunks["audio"](pictures).sum().backward()
        ),
    }
    return {name: median(seconds(job)) for name, job in jobs.items()}


def seconds(job) -> list[float]:
    found = []
    for _ in range(1 + STEPS):
        begin = time.perf_counter()
        job()
        found.append(time.perf_counter() - begin)
    return found[1:]


if __name__ == "__main__":
    main()
