"""`scs doctor`: check the installation and say how to mend it.

Nothing here may fail where an installation is broken: whatever loads native code is imported in a
child process, which may even crash, and every check that raises becomes a finding.
"""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

TRIPLE = ("torch", "torchvision", "torchaudio")
REINSTALL = (
    "pip uninstall -y torch torchvision torchaudio, then pip install -r requirements.lock "
    "(all three from one place)"
)
PATIENCE_S = 180  # the first import of torch on a slow disk takes a minute
GIB = 2**30


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. level: "ok", "warn" or "bad". mend: what to do, empty if ok."""

    name: str
    level: str
    found: str
    mend: str = ""


def examine() -> list[Finding]:
    """Look at everything; never raises. Takes a few seconds: torch and PyAV are really imported."""
    findings = []
    for look in (_python, _packages, _torch, _video, _kernel, _papermill, _cores, _memory, _disk):
        try:
            found = look()
        except Exception as error:
            name = look.__name__.strip("_")
            found = Finding(name, "warn", f"could not be looked at: {type(error).__name__}: {error}")
        findings += found if isinstance(found, list) else [found]
    return findings


def _python() -> Finding:
    found = f"{sys.version.split()[0]} ({sys.prefix})"
    if tuple(sys.version_info[:2]) < (3, 11):
        return Finding("python", "bad", found, "make the environment with Python 3.11 or newer")
    return Finding("python", "ok", found)


def _packages() -> Finding:
    """Everything that the project asks for, against what is installed."""
    from packaging.requirements import Requirement

    wrong = []
    for line in metadata.requires("scslib") or []:
        wanted = Requirement(line)
        if wanted.marker and not wanted.marker.evaluate({"extra": ""}):
            continue
        have = _version(wanted.name)
        if have is None:
            wrong.append(f"{wanted.name} is missing")
        elif not wanted.specifier.contains(have, prereleases=True):
            wrong.append(f"{wanted.name} {have} (needs {wanted.specifier})")
    if wrong:
        return Finding("packages", "bad", ", ".join(wrong), "pip install -r requirements.lock")
    return Finding("packages", "ok", "all that pyproject.toml asks for, in fitting versions")


def _torch() -> list[Finding]:
    versions = {name: _version(name) for name in TRIPLE}
    seen, crash = _in_child("import_triple")
    findings = [judge_triple(versions, seen.get("errors", {}), crash)]
    if seen.get("gpu"):
        findings.append(Finding("gpu", "ok", seen["gpu"]))
    elif seen and shutil.which("nvidia-smi"):
        found = "there is a driver (nvidia-smi), but torch sees no GPU"
        mend = "fine without one; else: python -m torch.utils.collect_env says what does not fit"
        findings.append(Finding("gpu", "warn", found, mend))
    elif seen:
        findings.append(Finding("gpu", "ok", "none: fine, everything runs on the processor too"))
    return findings


def judge_triple(versions: dict[str, str | None], errors: dict[str, str], crash: str) -> Finding:
    """What the versions of torch, torchvision and torchaudio and their import errors mean.

    `versions` as installed (None: missing); `errors` of the imports that failed; `crash`: how the
    process that imported them ended, if it did not end well.
    """
    found = " / ".join(f"{name} {version or 'missing'}" for name, version in versions.items())
    have = {name: version for name, version in versions.items() if version is not None}
    if any(name not in have for name in TRIPLE):
        return Finding("torch", "bad", found, "pip install -r requirements.lock")
    builds = {version.partition("+")[2] for version in have.values()}
    if "operator torchvision::nms does not exist" in " ".join(errors.values()):
        why = "torch and torchvision are builds for different machines or versions (CPU and GPU mixed)"
        return Finding("torch", "bad", f"{found}: {why}", REINSTALL)
    torch, vision, audio = (_numbers(have[name]) for name in TRIPLE)
    if torch[:2] != audio[:2]:
        why = f"torchaudio must be {torch[0]}.{torch[1]} like torch"
        return Finding("torch", "bad", f"{found}: {why}", REINSTALL)
    if errors or crash:
        why = "; ".join(f"import {name}: {error}" for name, error in errors.items()) or crash
        return Finding("torch", "bad", f"{found}: {why}", REINSTALL)
    if torch[0] == 2 and vision[:2] != (0, torch[1] + 15):
        why = f"torchvision must be 0.{torch[1] + 15} for this torch"
        return Finding("torch", "bad", f"{found}: {why}", REINSTALL)
    if len(builds) > 1:
        return Finding("torch", "warn", f"{found}: different builds, though they load", REINSTALL)
    return Finding("torch", "ok", found)


def import_triple() -> dict:
    """Import torch, torchvision and torchaudio in a child process. Gives their errors, and the name of
    the GPU if there is one.
    """
    errors, gpu = {}, None
    for name in TRIPLE:
        try:
            __import__(name)
        except Exception as error:
            errors[name] = _one_line(error)
    if "torch" not in errors:
        import torch

        gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {"errors": errors, "gpu": gpu}


def _video() -> Finding:
    have = _version("av")
    if have is None:
        return Finding("video", "bad", "PyAV is missing", "pip install -r requirements.lock")
    seen, crash = _in_child("use_av")
    error = seen.get("error") or crash
    if error:
        return Finding("video", "bad", f"PyAV {have}: {error}", "pip install --force-reinstall av")
    lacking = [name for name, there in seen["codecs"].items() if not there]
    if _numbers(have) < (18,) or lacking or not seen["vectors"]:
        why = f"no {', '.join(lacking)}" if lacking else "too old" if seen["vectors"] else "no vectors"
        mend = "pip install 'av>=18,<19' as a wheel: it brings FFmpeg with all of them"
        return Finding("video", "bad", f"PyAV {have}: {why}", mend)
    found = f"PyAV {have} with {', '.join(seen['codecs'])} and motion vectors"
    return Finding("video", "ok", found)


def use_av() -> dict:
    """Try PyAV in a child process: its encoders, and whether a decoder exports motion vectors."""
    import io

    import av
    import numpy as np

    codecs = {}
    for name in ("libx264", "mpeg4", "aac"):
        try:
            av.Codec(name, "w")
            codecs[name] = True
        except Exception:
            codecs[name] = False
    file, vectors = io.BytesIO(), False
    picture = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10, width=96, height=64, pix_fmt="yuv420p")
        for shift in range(4):
            moved = np.ascontiguousarray(np.roll(picture, 2 * shift, axis=1))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(moved, format="rgb24")))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r") as written:
        written.streams.video[0].codec_context.options = {"flags2": "+export_mvs"}
        for frame in written.decode(video=0):
            vectors |= frame.side_data.get("MOTION_VECTORS") is not None
    return {"codecs": codecs, "vectors": vectors}


def _kernel() -> Finding:
    """What Jupyter itself, plain papermill and nbval start as python3; `scs run` starts this Python."""
    from ipykernel.kernelspec import RESOURCES
    from jupyter_client.kernelspec import KernelSpecManager

    manager = KernelSpecManager()
    place = Path(manager.find_kernel_specs().get("python3", RESOURCES))
    program = manager.get_kernel_spec("python3").argv[0]
    python = sys.executable if program in ("python", "python3") else shutil.which(program)
    if python is not None and Path(python).parent == Path(sys.executable).parent:
        return Finding("kernel", "ok", f"python3: {python}")
    what = f"is another Python: {python}" if python else f"starts {program}: no such program"
    found = f"in Jupyter the kernel python3 {what} ({place}; scs run does without it)"
    return Finding("kernel", "warn", found, _kernel_mend(place))


def _kernel_mend(place: Path) -> str:
    """The command after which Jupyter no longer finds the kernel that lies in `place`."""
    from jupyter_core.paths import jupyter_data_dir, prefer_environment_over_user

    given = [Path(path) for path in os.environ.get("JUPYTER_PATH", "").split(os.pathsep) if path]
    if any(place.is_relative_to(path) for path in given):
        return "unset JUPYTER_PATH"  # nothing goes before what lies there
    users = Path(jupyter_data_dir()), Path(site.getuserbase()) / "share" / "jupyter"
    wins = any(place.is_relative_to(path) for path in users) and not prefer_environment_over_user()
    where = "--user" if wins else "--sys-prefix"
    return f"{sys.executable} -m ipykernel install {where} --name python3"


def _papermill() -> Finding:
    have = _version("papermill")
    if have is None or _numbers(have) < (2, 6):
        found = f"papermill {have or 'missing'}"
        return Finding("papermill", "bad", found, "pip install -r requirements.lock")
    return Finding("papermill", "ok", have)


def _cores() -> Finding:
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity else os.cpu_count() or 1
    if count < 2:
        return Finding(
            "cores", "warn", f"{count}", "two or more make it bearable; or use --preset smoke"
        )
    return Finding("cores", "ok", f"{count}")


def _memory() -> Finding:
    import psutil

    memory = psutil.virtual_memory()
    found = f"{memory.available / GIB:.1f} of {memory.total / GIB:.1f} GiB free"
    if memory.available < 3 * GIB:
        mend = "close other programs, or use fewer --workers: each process takes about 0.5 GiB"
        return Finding("memory", "warn", found, mend)
    return Finding("memory", "ok", found)


def _disk() -> Finding:
    top = Path(__file__).resolve().parents[2]
    free = shutil.disk_usage(top).free
    found = f"{free / GIB:.1f} GiB free where the kit lies"
    if free < 2 * GIB:
        level = "bad" if free < GIB // 4 else "warn"
        return Finding("disk", level, found, "free 2 GiB, or make data and runs on another disk")
    return Finding("disk", "ok", found)


def _in_child(function: str) -> tuple[dict, str]:
    """(what `function` of this module gives in a new process, how that went wrong or "")."""
    code = f"import json; from scslib.cli import doctor; print('\\n' + json.dumps(doctor.{function}()))"
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_S
        )
    except subprocess.TimeoutExpired:
        return {}, f"no answer within {PATIENCE_S} s"
    if done.returncode < 0:
        return {}, f"the process crashed (signal {-done.returncode})"
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        return {"error": lines[-1]}, f"the process ended with status {done.returncode}: {lines[-1]}"
    return json.loads(done.stdout.strip().splitlines()[-1]), ""


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    """(2, 11, 0) of "2.11.0+cpu"; what is not a number counts as 0."""
    parts = version.partition("+")[0].split(".")
    return tuple(int(part) if part.isdigit() else 0 for part in parts)


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
