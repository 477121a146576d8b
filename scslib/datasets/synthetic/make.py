"""Draw and encode a synthetic dataset: `scs data synth`."""

from __future__ import annotations

from dataclasses import asdict
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from scslib.datasets.classes import say_shortages
from scslib.datasets.manifest import Dataset, write_dataset
from scslib.datasets.synthetic.drawing import draw_video
from scslib.datasets.synthetic.plan import Synthetic, plan_video
from scslib.datasets.synthetic.sound import sound_of
from scslib.jobs.files import replacing_if_other
from scslib.jobs.fingerprint import code_of
from scslib.jobs.keys import OLDER, Key
from scslib.jobs.pool import map_processes
from scslib.video.audio import SAMPLE_RATE
from scslib.video.write import Encoding, write_video


def check_not_anothers(folder: Path) -> None:
    """Refuse a `folder` with a dataset not drawn by this module. Raises `ValueError`."""
    if (folder / "dataset.json").exists() and not (folder / "spec.txt").exists():
        raise ValueError(
            f"{folder}: holds a dataset that is not synthetic: to run on it say --data {folder}"
        )


def make_synthetic(folder: str | Path, spec: Synthetic, *, workers: int = 1) -> Dataset:
    """Draw and encode the dataset into `folder`; the same `spec` gives the same dataset.

    Every video depends on the seed and its own number only, so videos that already exist are kept
    and an interrupted run goes on. Raises `ValueError` where `folder` holds another dataset.
    """
    folder = Path(folder)
    (folder / "videos").mkdir(parents=True, exist_ok=True)
    rows: list[tuple[str, str, str, str]] = []
    for split, count in (("train", spec.train_videos), ("test", spec.test_videos)):
        for number in range(count):
            video_id = f"v{len(rows):04d}"
            rows.append((video_id, f"videos/{video_id}.mp4", spec.names[number % spec.classes], split))
    videos = pd.DataFrame(rows, columns=["video_id", "path", "label", "split"])
    check_not_anothers(folder)
    stamp = folder / "spec.txt"
    if stamp.exists() and stamp.read_text() != repr(spec):
        raise ValueError(f"{folder}: holds a dataset made with other parameters")
    stamp.write_text(repr(spec))
    say_shortages(videos)
    key, kept = Key("drawing videos", repr(spec), code_of(make_synthetic)), folder / "key.json"
    anew = key.begin_files(kept, exist=any((folder / "videos").iterdir()))
    jobs = [(spec, n, row.label, folder / row.path, anew) for n, row in enumerate(videos.itertuples())]
    segments = []
    made = map_processes(_make_video, jobs, workers=workers, title="making videos")
    if anew:
        key.write(kept, again=key.why_again([kept]) or OLDER)
    for video_id, spans in zip(videos["video_id"], made, strict=True):
        segments += [(video_id, start, end) for start, end in spans]
    return write_dataset(
        folder,
        name="synthetic",
        classes=spec.names,
        videos=videos,
        segments=pd.DataFrame(segments, columns=["video_id", "start_s", "end_s"]),
        licence="CC0-1.0",
        origin="made by scslib.datasets.synthetic",
        made_with=asdict(spec),
    )


def _make_video(job: tuple[Synthetic, int, str, Path, bool]) -> list[tuple[float, float]]:
    spec, number, label, path, anew = job
    shots = plan_video(spec, number, label)
    if anew or not path.exists():
        silent = np.random.default_rng([spec.seed, number, 3]).random() < spec.silent_share
        sound = None if silent else sound_of(spec, number, shots)
        with replacing_if_other(path) as part:
            write_video(part, draw_video(spec, number, shots), sound, spec.encoding)
    return [(shot.start_s, shot.end_s) for shot in shots if shot.kind == "action"]


def write_drawn(path: Path, encoding: Encoding, frames: int, *, sound: bool = False) -> None:
    """Draw one video of so many frames into the file `path`. It may have sound."""
    seconds = frames / encoding.frame_rate
    spec = Synthetic(duration_s=float(max(10.0, seconds + 1)), encoding=encoding)
    shots = plan_video(spec, 0, spec.names[0])
    samples = sound_of(spec, 0, shots)[: round(seconds * SAMPLE_RATE)] if sound else None
    write_video(path, islice(draw_video(spec, 0, shots), frames), samples, encoding)
