"""The rows of a benchmark as a CSV that says on what, with what and by which command they came."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from statistics import median

import pandas as pd

from scslib.jobs.files import replacing
from scslib.jobs.run_folder import environment, root


def medians(reports: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """For each figure its median over the reports of several rounds."""
    reports = list(reports)
    return {name: median(report[name] for report in reports) for name in reports[0]}


def command(name: str, **options) -> str:
    """`python benchmarks NAME` with those options that are set; of files their names only."""
    words = ["python", "benchmarks", name]
    for option, value in options.items():
        for one in value if isinstance(value, (tuple, list)) else (value,):
            if one is True:
                words += [f"--{option}"]
            elif one not in (None, False):
                words += [f"--{option}", one.name if isinstance(one, Path) else str(one)]
    return shlex.join(words)


def with_provenance(table: pd.DataFrame, command: str) -> pd.DataFrame:
    """`table` with the columns `hardware, versions, commit, command`, the same in every row."""
    import av

    found = environment()
    hardware = [found["processor"], f"{found['cores']} cores", f"{found['memory_gb']} GB", found["gpu"]]
    versions = {"Python": found["python"], "FFmpeg": av.ffmpeg_version_info, "numba": version("numba")}
    versions |= {name: found["packages"][name] for name in ("av", "numpy", "torch")}
    return table.assign(
        hardware=", ".join(filter(None, hardware)),
        versions=", ".join(f"{name} {number}" for name, number in versions.items()),
        commit=found["commit"],
        command=command,
    )


def save(table: pd.DataFrame, name: str, out: Path | None) -> Path:
    """Write `table` to `out`, or to benchmarks/results/NAME.csv; complete or not at all."""
    path = out or root() / "benchmarks" / "results" / f"{name}.csv"
    with replacing(path) as part:
        table.to_csv(part, index=False, float_format="%.6g")
    return path
