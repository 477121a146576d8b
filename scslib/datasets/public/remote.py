"""`scs data download`: fetch what the makers of public datasets publish.

A checksum is given only where somebody published it: those of UCF101's and HMDB51's files are in
TensorFlow Datasets and in torchvision. Where there is none, nothing but the size is checked.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from scslib.datasets.public.archives import unpack
from scslib.datasets.public.download import download

UCF101 = "https://www.crcv.ucf.edu/data/UCF101"
HMDB51 = "https://serre-lab.clps.brown.edu/wp-content/uploads/2013/10"
KINETICS = "https://s3.amazonaws.com/kinetics"
SPORTS1M = "https://raw.githubusercontent.com/gtoderici/sports-1m-dataset/master"
DEEPVIDEO = "https://cs.stanford.edu/people/karpathy/deepvideo"
ACTIVITYNET = "https://github.com/activitynet/ActivityNet/raw/master/Evaluation/data"
THUMOS = "https://storage.googleapis.com/thumos14_files"


class Remote(NamedTuple):
    """One file: where from, and under which name it is kept if not its own. sha256: if published."""

    url: str
    sha256: str | None = None
    name: str = ""

    @property
    def file(self) -> str:
        return self.name or self.url.rpartition("/")[2]


class Offer(NamedTuple):
    """What one name stands for; `then` says what to do next."""

    files: tuple[Remote, ...]
    then: str


OFFERS = {
    "ucf101": Offer(
        (
            Remote(
                f"{UCF101}/UCF101TrainTestSplits-RecognitionTask.zip",
                "5c0d1a53b8ed364a2ac830a73f405e51bece7d98ce1254fd19ed4a36b224bd27",
            ),
        ),
        "the lists; the videos: scs data download ucf101-videos, or UCF101.rar of the official page",
    ),
    "ucf101-videos": Offer(
        (
            Remote(
                f"{THUMOS}/UCF101_videos.zip",
                "dabf56f573cd19c79e096563529fec8126a2a34e18e10c72eb621dd687532b0d",
            ),
        ),
        "then: scs data ucf101 VIDEOS OUT --lists LISTS",
    ),
    "hmdb51": Offer(
        (
            Remote(
                f"{HMDB51}/test_train_splits.rar",
                "229c94f845720d01eb3946d39f39292ea962d50a18136484aa47c1eba251d2b7",
            ),
        ),
        "unpack it with unrar; the videos: scs data download hmdb51-videos",
    ),
    "hmdb51-videos": Offer(
        (
            Remote(
                f"{HMDB51}/hmdb51_org.rar",
                "9e714a0d8b76104d76e932764a7ca636f929fff66279cda3f2e326fa912a328e",
            ),
        ),
        "unpack it with unrar, then the archive of each class inside it into one folder",
    ),
    "kinetics400": Offer(
        tuple(Remote(f"{KINETICS}/400/annotations/{split}.csv") for split in ("train", "val")),
        "the lists; the videos: the scripts of github.com/cvdfoundation/kinetics-dataset",
    ),
    "kinetics600": Offer(
        tuple(Remote(f"{KINETICS}/600/annotations/{split}.txt") for split in ("train", "val")),
        "the lists; the videos: the scripts of github.com/cvdfoundation/kinetics-dataset",
    ),
    "kinetics700-2020": Offer(
        tuple(Remote(f"{KINETICS}/700_2020/annotations/{split}.csv") for split in ("train", "val")),
        "the lists; the videos: the scripts of github.com/cvdfoundation/kinetics-dataset",
    ),
    "sports1m": Offer(
        (Remote(f"{SPORTS1M}/labels.txt"), Remote(f"{DEEPVIDEO}/sports1m_json.zip")),
        "the lists; the videos are YouTube's: fetch those you may, named <youtube_id>.<suffix>",
    ),
    "activitynet": Offer(
        (Remote(f"{ACTIVITYNET}/activity_net.v1-3.min.json"),),
        "the annotations; the videos: ask for them with the form at activity-net.org/download.html",
    ),
}


def fetch(name: str, folder: str | Path) -> list[str]:
    """Download what `name` of `OFFERS` stands for into `folder`, and unpack it.

    Gives lines that say what was done. Raises `ValueError` for an unknown name, `DownloadError` and
    `ArchiveError`.
    """
    if name not in OFFERS:
        raise ValueError(f"name ({name}) must be one of {', '.join(OFFERS)}")
    lines = []
    for remote in OFFERS[name].files:
        path = download(remote.url, Path(folder) / remote.file, sha256=remote.sha256)
        checked = "sha256 as published" if remote.sha256 else "no published checksum to compare with"
        lines.append(f"{path}: {path.stat().st_size} bytes, {checked}")
        if path.suffix == ".zip":
            lines.append(f"{path}: {len(unpack(path, folder))} files unpacked")
    return [*lines, OFFERS[name].then]
