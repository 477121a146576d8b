"""The folder of a run: tables, figures, checkpoints, and other steps' results.

A run is a folder that everything of one experiment goes to:

    RUN/params.json  env.json            what was asked for, and on what it ran
    RUN/notebooks/*.ipynb                the executed notebooks
    RUN/results/*.csv  figures/*.png     what came out
    RUN/checkpoints/*.safetensors        weights, each with a .json beside it
    RUN/gallery/*.json                   videos that the report shows, each with its clips
    RUN/cache/                           features and scores, made again when they are missing
    RUN/report.html
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import psutil

from scslib.jobs.files import check_folder, lies_in, replacing
from scslib.jobs.fingerprint import weights_checksum
from scslib.jobs.shard_files import Shards, open_shards
from scslib.jobs.tables import TableError, read_table
from scslib.jobs.threads import cores

PACKAGES = ("torch", "torchvision", "torchaudio", "av", "numpy", "pandas", "papermill")


class WorkspaceError(ValueError):
    """Something that an earlier step should have left is not there; the message says which step."""


def root() -> Path:
    """The kit's top folder: SCS_ROOT if set, else the checkout that scslib is installed from."""
    if "SCS_ROOT" in os.environ:
        return Path(os.environ["SCS_ROOT"]).resolve()
    return Path(__file__).resolve().parents[2]


def resolve(name: str | Path, kind: str) -> Path:
    """A folder by name: `smoke` lies under ROOT/`kind`; anything with a slash is a path as it is.

    `kind` is "data" or "runs". SCS_WORK, if set, is where names lie instead of ROOT.
    """
    if str(name) in ("", ".", ".."):
        raise ValueError(f"{kind} ({str(name)!r}) must be a name or a path")
    path = Path(name).expanduser()
    if len(path.parts) > 1:
        return path.resolve()
    return Path(os.environ.get("SCS_WORK") or root()).resolve() / kind / path


@dataclass(frozen=True)
class Run:
    """The folder of one experiment."""

    folder: Path

    def inside(self, *names: str) -> Path:
        """A path in the folder. Raises `WorkspaceError` where it, or a link on the way, leads out."""
        path = self.folder.joinpath(*names)
        if not lies_in(self.folder, path):
            raise WorkspaceError(f"{path}: leads out of the run's folder")
        return path

    def checkpoint(self, name: str) -> Path:
        return self.inside("checkpoints", f"{name}.safetensors")

    def cache(self, name: str) -> Path:
        return self.inside("cache", name)

    def save_table(self, name: str, table: pd.DataFrame) -> None:
        """Write results/NAME.csv, complete or not at all."""
        path = self.inside("results", f"{name}.csv")
        _write(path, table.to_csv(index=False, float_format="%.6g"))

    def load_table(self, name: str, *columns: str) -> pd.DataFrame:
        """results/NAME.csv. Raises `WorkspaceError` where it is not there, or lacks one of `columns`."""
        path = self.inside("results", f"{name}.csv")
        if not path.is_file():
            raise WorkspaceError(f"{path}: no such file; run the notebooks in order (scs run)")
        try:
            table = read_table(path)
        except TableError as error:
            raise WorkspaceError(str(error)) from error
        if lacking := [column for column in columns if column not in table]:
            words = f"no column {', '.join(lacking)}, as from another version of the kit"
            raise WorkspaceError(f"{path}: {words}; run notebook 06 again")
        return table

    def save_figure(self, name: str, figure) -> None:
        """Write figures/NAME.png."""
        path = self.inside("figures", f"{name}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=110, bbox_inches="tight")

    def note(self, **values) -> None:
        """Add facts to results/notes.json for later notebooks and the report."""
        self.save_json(self.notes() | values, "results", "notes.json")

    def notes(self) -> dict:
        return self.load_json("results", "notes.json")

    def load_json(self, *names: str) -> dict:
        """The object in a JSON file of the run; empty without the file."""
        path = self.inside(*names)
        if not path.is_file():
            return {}
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise WorkspaceError(f"{path}: not JSON ({error})") from error
        if not isinstance(value, dict):
            raise WorkspaceError(f"{path}: must hold an object")
        return value

    def save_json(self, value: object, *names: str) -> None:
        """Write a JSON file of the run, complete or not at all."""
        _write(self.inside(*names), _json(value))

    def need(self, path: Path, notebook: str) -> Path:
        """`path`, or a `WorkspaceError` that says which notebook makes it."""
        if not path.exists():
            raise WorkspaceError(f"{path}: not there yet; run notebook {notebook} first")
        return path

    def keep(self, name: str, shards: Shards, *, notebook: str, of: Path | None = None) -> None:
        """Note what a step has made, so that later notebooks find it by `name`; see `kept`.

        notebook: whose step it is. of: a checkpoint that the results stand on.
        """
        steps = self.load_json("steps.json")
        made: dict[str, object] = {"notebook": notebook, "folder": shards.folder.name}
        made |= {"of": weights_checksum(of) if of else ""}
        made |= {"joined": {array: other.folder.name for array, other in shards.joined.items()}}
        self.save_json(steps | {name: made}, "steps.json")

    def kept(self, name: str, *, notebook: str, of: Path | None = None) -> Shards:
        """What the step `name` of a notebook has made.

        Raises `WorkspaceError`, which says what to run, where it is not there, or stands on another
        checkpoint than `of`.
        """
        made = self.load_json("steps.json").get(name) or {}
        again = f"run notebook {notebook} again" if made else f"run notebook {notebook} first"
        try:
            folder, made_of = self.cache(made["folder"]), made["of"]
            joined = {array: self.cache(other) for array, other in made["joined"].items()}
        except (TypeError, KeyError, AttributeError):  # nothing, or of another version of the kit
            folder, made_of, joined = None, "", {}
        if folder is None or not all(path.is_dir() for path in (folder, *joined.values())):
            raise WorkspaceError(f"{self.folder}: {name} is not there; {again}")
        if of is not None and made_of != weights_checksum(of):
            raise WorkspaceError(f"{self.folder}: {name} was made with another {of.stem}; {again}")
        return open_shards(folder, joined)

    def save_environment(self, params: dict) -> None:
        """Write params.json and env.json; where earlier steps ran stays there."""
        self.save_json(params, "params.json")
        devices = {"devices": self.load_json("env.json").get("devices", {})}
        self.save_json(environment() | devices, "env.json")

    def ran_on(self, step: str, device: str) -> None:
        """Note in env.json on which device (in words) a step ran."""
        kept = self.load_json("env.json") or environment()
        self.save_json(kept | {"devices": kept.get("devices", {}) | {step: device}}, "env.json")


def open_run(name: str | Path) -> Run:
    """The run called `name` (or at that path); its folder is made if need be."""
    run = Run(resolve(name, "runs"))
    run.folder.mkdir(parents=True, exist_ok=True)
    return run


def check_run(name: str | Path) -> None:
    """Check that the folder of the run `name` can be written. Raises `OSError`, also for one in it."""
    folder = resolve(name, "runs")
    for part in (".", "notebooks", "results", "figures", "checkpoints", "gallery", "cache"):
        check_folder(folder / part, what="run")


def environment() -> dict:
    """Versions, hardware and the git commit: what must stand beside every figure."""
    import torch

    git = subprocess.run(
        ["git", "-C", str(root()), "describe", "--always", "--dirty", "--abbrev=12"],
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "system": platform.system(),
        "processor": _processor(),
        "cores": cores(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "commit": git.stdout.strip() or None,
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _json(value) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n"


def _write(path: Path, text: str) -> None:
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
