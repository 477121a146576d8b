"""Twenty videos, good and bad, and a step that is done with them on any engine."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from scslib.jobs.engines import Engine
from scslib.jobs.shard_files import Shards
from scslib.jobs.shards import Video, run_shards
from scslib.samplers.features import FeatureSpec, read_features
from tests.support.streams import panning, tone, write

PLAIN = {"x264-params": "crf=16:keyint=12:min-keyint=12:scenecut=0:bframes=0"}
SPEC = asdict(FeatureSpec(clip_len=4))


def twenty(folder: Path) -> list[Video]:
    """Good ones, one that breaks off, one that is no video, and one that is not there, over and over."""
    write(folder / "sound.mp4", panning(96, 64), "libx264", PLAIN, sounds=[(tone(), 0.0)])
    write(folder / "silent.mkv", panning(96, 64), "libx264", PLAIN)
    whole = (folder / "silent.mkv").read_bytes()
    (folder / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    (folder / "text.mp4").write_text("no video")
    names = ("sound.mp4", "silent.mkv", "cut.mkv", "text.mp4", "gone.mp4")
    return [Video(f"v{n:02d}", folder / names[n % 5]) for n in range(20)]


def read(videos: list[Video], folder: Path, engine: Engine, **params) -> Shards:
    """Their features, in two processes or on a cluster."""
    return run_shards(
        read_features,
        videos,
        folder / "step",
        params=SPEC | params,
        workers=2,
        title="x",
        engine=engine,
    )


def content(result: Shards) -> dict:
    """The bytes of all arrays, and the reports but for seconds."""
    found = {path.name: path.read_bytes() for path in result.folder.glob("*.safetensors")}
    for path in result.folder.glob("[0-9]*.json"):
        report = json.loads(path.read_text())
        rows = [{k: v for k, v in row.items() if k != "seconds"} for row in report["videos"]]
        found[path.name] = report | {"videos": rows, "seconds": 0}
    return found
