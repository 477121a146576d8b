"""`python benchmarks extract`: this reader against what else reads frames and vectors, on one core."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

import av
import pandas as pd
from tqdm import tqdm

from scs_bench.process import run_child
from scs_bench.readers import CONTESTANTS, Contestant
from scs_bench.tables import medians
from scs_bench.videos import encoded
from scslib.video.container import VideoError
from scslib.video.probe import probe
from scslib.video.write import Encoding

# the paper's streams: I-frames 12 frames apart, no B-frames
KINDS = (
    Encoding(340, 256, 30, 12, "h264", 23),
    Encoding(340, 256, 30, 12, "mpeg4", 4),
    Encoding(1280, 720, 30, 12, "h264", 23),
)
FRAMES, QUICK_FRAMES = 2400, 96  # of a video of 340 x 256 pixels; of a larger one a quarter
SHOWN = ["video", "contestant", "ms_per_1000_frames", "ratio_to_floor", "peak_mb", "status"]


def bench_extract(
    folder: Path, *, sources: Sequence[Path] = (), rounds: int = 5, quick: bool = False
) -> pd.DataFrame:
    """A row for each kind of video and contestant; the videos are kept in `folder`.

    ms_per_1000_frames: processor time (user + system) of the reading loop alone, in milliseconds, the
    median over `rounds` in which the contestants take turns; `_low` and `_high` are the quickest and
    the slowest. ratio_to_floor: how many times as much as bare decoding. loop_wall_s, loop_cpu_s,
    process_wall_s, process_cpu_s: seconds of the loop and of the whole process, medians too. peak_mb:
    most memory held, MB. status: ok, or why a contestant was not measured.
    """
    if rounds < 1:
        raise ValueError(f"rounds ({rounds}) must be > 0")
    rows = []
    for encoding in KINDS[:1] if quick else KINDS:
        frames = QUICK_FRAMES if quick else FRAMES if encoding.height < 720 else FRAMES // 4
        path = encoded(folder, encoding, frames, sources=sources)
        rows += _rows(path, encoding, 1 if quick else rounds)
    return pd.DataFrame(rows)


def _rows(path: Path, encoding: Encoding, rounds: int) -> list[dict]:
    reports: dict[str, list[dict]] = {name: [] for name in CONTESTANTS}
    problems: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as libraries:
        lent = _lend_ffmpeg(Path(libraries))
        turns = [(number, name) for number in range(rounds + 1) for name in CONTESTANTS]
        for number, name in tqdm(turns, desc=path.stem, disable=None, leave=False):
            if name in problems:
                continue
            environment = lent if name == "torchcodec" else {}
            report = run_child("scs_bench.readers", name, path, **environment)
            if "problem" in report:
                problems[name] = report["problem"]
            elif number > 0:  # the first round fills caches: numba's, the file's
                reports[name].append(report)
    if "floor" in problems:
        raise VideoError(f"{path}: {problems['floor']}")
    info, floor = probe(path), _figures(reports["floor"])
    video = {
        "video": f"{'H.264' if encoding.codec == 'h264' else 'MPEG-4'} {info.width}x{info.height}",
        "gop": encoding.gop,
        "kbit_per_s": round(info.size_bytes * 8 / info.duration_s / 1000),
        "frames": reports["floor"][0]["frames"],
    }
    rows = []
    for name, contestant in CONTESTANTS.items():
        row = video | {"contestant": name, "what": contestant.what, "version": _version(contestant)}
        row["status"] = problems.get(name, "ok")
        if name not in problems:
            row |= {"rounds": len(reports[name]), **_figures(reports[name])}
            row["ratio_to_floor"] = row["ms_per_1000_frames"] / floor["ms_per_1000_frames"]
        rows.append(row)
    return rows


def _figures(reports: list[dict]) -> dict[str, float]:
    middle = medians(reports)
    pace = sorted(1e6 * report["cpu_s"] / report["frames"] for report in reports)
    return {
        "ms_per_1000_frames": median(pace),
        "ratio_to_floor": 1.0,
        "ms_per_1000_frames_low": pace[0],
        "ms_per_1000_frames_high": pace[-1],
        "loop_wall_s": middle["wall_s"],
        "loop_cpu_s": middle["cpu_s"],
        "process_wall_s": middle["process_wall_s"],
        "process_cpu_s": middle["process_cpu_s"],
        "peak_mb": middle["peak_mb"],
    }


def _version(contestant: Contestant) -> str:
    for package in contestant.packages:
        with contextlib.suppress(PackageNotFoundError):
            return version(package)
    return ""


def _lend_ffmpeg(folder: Path) -> dict[str, str]:
    """An environment in which torchcodec, which brings no FFmpeg, finds the one that PyAV brings.

    So both decode with the same. The wheel for Linux has libavcodec-<hash>.so.62.28 in av.libs, and
    torchcodec looks for libavcodec.so.62: links in `folder` give it that name. Empty elsewhere.
    """
    libraries = Path(av.__file__).resolve().parents[1] / "av.libs"
    for library in libraries.glob("lib*.so.*"):
        found = re.match(r"(lib(?:av|sw)[a-z]+)-[0-9a-f]+(\.so\.\d+)", library.name)
        if found:
            (folder / "".join(found.groups())).symlink_to(library)
    if not any(folder.iterdir()):
        return {}
    paths = [str(folder), str(libraries), os.environ.get("LD_LIBRARY_PATH")]
    return {"LD_LIBRARY_PATH": os.pathsep.join(filter(None, paths))}
