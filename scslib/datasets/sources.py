"""Find and probe video files in folders, FOLDER/<class>/*.

Every file that is not hidden is tried; one that cannot be used is left out *by name*, never silently.
What downloaders leave beside videos (pictures, subtitles, descriptions, unfinished parts) is no video
and no error: it is passed over, and counted in a line.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from scslib.datasets.manifest import DatasetError
from scslib.jobs.child import Lost
from scslib.jobs.pool import map_processes
from scslib.video.clips import ClipIndex, index_clips
from scslib.video.container import VideoError, decoded, open_video, video_stream

WHOLE_FROM = 0.9  # a file that decodes less than this part of what it declares is broken
BESIDE = frozenset(
    ".jpg .jpeg .png .webp .gif .bmp .json .xml .html .txt .md .csv .tsv .nfo .url .description .log "
    ".ini .db .srt .vtt .ass .ssa .sub .idx .lrc .sbv .ttml .srv1 .srv2 .srv3 .m4a .mp3 .opus .wav "
    ".flac .aac .part .ytdl .tmp .crdownload .download .aria2 .md5 .sha256 .m3u .m3u8 .torrent".split()
)
LONGEST_SOURCE_S = 600.0  # of a longer file only the first ten minutes are decoded and used


@dataclass(frozen=True)
class Source:
    """One file below `root`. name: its path from there, with `/`.

    first_s, seconds: presentation time of the first picture, and how long the pictures last.
    problem: why it cannot be used, in words; empty where it can (then the other fields hold).
    """

    root: Path
    name: str
    label: str = ""
    group: str = ""
    problem: str = ""
    first_s: float = 0.0
    seconds: float = 0.0
    codec: str = ""
    size: str = ""
    frame_rate: float = 0.0
    sound: bool = False

    @property
    def path(self) -> Path:
        return self.root / self.name


def class_files(root: Path) -> tuple[list[Source], list[Source]]:
    """The files of root/<class>/*, sorted, and what lies in the wrong place.

    The latter comes with its `problem`. Raises `DatasetError` where `root` is no folder or has fewer
    than two class folders.
    """
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder")
    found, misplaced = [], []
    classes = 0
    for entry in _visible(root):
        if not entry.is_dir():
            if lies_beside(entry.name):
                continue
            misplaced.append(Source(root, _name(entry.name), problem="not in a class's folder"))
            continue
        classes += 1
        for file in _visible(entry):
            source = Source(root, f"{entry.name}/{file.name}", label=entry.name)
            if _name(source.name) != source.name:
                misplaced.append(_nameless(root, source.name))
            elif file.is_dir():
                misplaced.append(Source(root, source.name, problem="a folder inside a class's folder"))
            elif not lies_beside(file.name):
                found.append(source)
    if classes < 2:
        raise DatasetError(
            f"{root}: has {classes} class folder{'' if classes == 1 else 's'}, at least 2 are needed: "
            "put the videos of each class into a folder of its own, FOLDER/<class>/*"
        )
    return found, misplaced


def all_files(root: Path) -> tuple[list[Source], list[Source]]:
    """Every file below `root`, however deep, sorted.

    The second list has those whose names cannot be written down. Raises `DatasetError` where `root` is
    no folder or holds no file that may be a video.
    """
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder")
    names = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        inside = Path(folder).relative_to(root)
        there = [name for name in files if not (name.startswith(".") or lies_beside(name))]
        names += [(inside / name).as_posix() for name in there]
    if not names:
        why = "".join(f" ({line})" for line in beside_note(root))
        raise DatasetError(f"{root}: no videos{why}")
    found = [Source(root, name) for name in sorted(names) if _name(name) == name]
    lost = [_nameless(root, name) for name in sorted(names) if _name(name) != name]
    return found, lost


def survey(
    sources: Sequence[Source], *, whole: bool, workers: int, title: str
) -> tuple[list[Source], list[Source]]:
    """Look into each file: (usable ones, unusable ones with their `problem`), each in order.

    `whole` decodes every picture and refuses a file that breaks off, and one whose clock goes back;
    otherwise the packets and the first picture are read.
    """
    jobs = [(source, whole) for source in sources]
    seen = map_processes(_look, jobs, workers=workers, title=title, lost=_lost)
    return [s for s in seen if not s.problem], [s for s in seen if s.problem]


def lies_beside(name: str) -> bool:
    """Tell whether a file is by its name no video. Such a file only lies beside the videos."""
    return Path(name).suffix.lower() in BESIDE or re.search(r"\.part-Frag\d+$", name) is not None


def beside_note(root: Path) -> list[str]:
    """A line that counts what was passed over below `root`; or none. It is what lies beside videos."""
    kinds: Counter[str] = Counter()
    for _, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        kinds.update(
            Path(name).suffix.lower() for name in files if not name.startswith(".") and lies_beside(name)
        )
    if not kinds:
        return []
    shown = ", ".join(f"{count} {_name(suffix)}" for suffix, count in sorted(kinds.items()))
    return [f"{kinds.total()} files beside the videos passed over: {shown}"]


def with_groups(sources: Iterable[Source], pattern: str) -> list[Source]:
    """Give each file the group that `pattern` finds in its file name.

    The pattern has one capture group. Raises `DatasetError` naming the first file in whose name it
    finds nothing.
    """
    out = []
    for source in sources:
        match = re.search(pattern, Path(source.name).name)
        if not match or not match.group(1):
            raise DatasetError(f"{source.path}: group pattern {pattern!r} finds no group in its name")
        out.append(replace(source, group=match.group(1)))
    return out


def check_pattern(pattern: str) -> None:
    """Refuse a `pattern` that is no regular expression with exactly one capture group. Raises
    `ValueError`.
    """
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"group_pattern ({pattern!r}) is not a regular expression: {error}") from error
    if groups != 1:
        raise ValueError(f"group_pattern ({pattern!r}) must have 1 capture group, has {groups}")


def require_classes(root: Path, usable: Sequence[Source], left_out: Sequence[Source]) -> tuple[str, ...]:
    """The names of the class folders, sorted. Raises `DatasetError` for one without a usable video."""
    have = {source.label for source in usable}
    classes = tuple(entry.name for entry in _visible(root) if entry.is_dir())
    for name in classes:
        if name not in have:
            lost = [source for source in left_out if source.name.startswith(f"{name}/")]
            why = f" ({len(lost)} left out; {lost[0].name}: {lost[0].problem})" if lost else ""
            raise DatasetError(f"{root / _name(name)}: class {_name(name)!r} has no readable video{why}")
    return classes


def write_left_out(folder: Path, left_out: Sequence[Source]) -> list[str]:
    """Write FOLDER/left_out.csv (path, problem) and give the lines that say so; none if all is used."""
    table = folder / "left_out.csv"
    table.unlink(missing_ok=True)
    if not left_out:
        return []
    rows = [(source.name, source.problem) for source in left_out]
    pd.DataFrame(rows, columns=["path", "problem"]).to_csv(table, index=False)
    names = ", ".join(source.name for source in left_out[:5]) + (", ..." if len(left_out) > 5 else "")
    return [f"{len(left_out)} files left out (left_out.csv says why): {names}"]


def tells(sources: Sequence[Source]) -> list[str]:
    """Lines that name what of the *files* says something about the class.

    They are found before any picture is seen. For each property: how often the class is guessed from it
    alone, against the most frequent class.
    """
    table = pd.DataFrame([asdict(source) for source in sources])
    table["frame_rate"] = table["frame_rate"].round()
    base = table["label"].value_counts().iloc[0] / len(table)
    lines = []
    for column in ("codec", "size", "frame_rate", "sound"):
        right = table.groupby(column)["label"].agg(lambda c: c.value_counts().iloc[0]).sum()
        if right / len(table) > base + 0.1:
            lines.append(
                f"{column} gives the class away: guessing from it alone is right for "
                f"{right / len(table):.0%} of the files (always the same class: {base:.0%})"
            )
    return lines


def _lost(job: tuple[Source, bool], lost: Lost) -> Source:
    return replace(job[0], problem=lost.reason)


def _look(job: tuple[Source, bool]) -> Source:
    source, whole = job
    try:
        index = index_clips(source.path)
        info, times = index.info, _times(index, LONGEST_SOURCE_S if whole else 0.0)
    except (VideoError, OSError) as error:
        return replace(source, problem=str(error).removeprefix(f"{source.path.resolve()}: "))
    if not times:
        return replace(source, problem="no picture can be decoded")
    seconds, promised = info.duration_s, info.duration_s * index.declared / len(index.pts)
    if whole:
        if index.joins:  # pieces are found by the file's own times
            return replace(source, problem=index.note)
        seconds = float(np.ptp(times)) + index.frame_s
        if seconds < WHOLE_FROM * min(promised, LONGEST_SOURCE_S):
            problem = f"breaks off: {seconds:.2f} s of {promised:.2f} s can be decoded"
            return replace(source, problem=index.table.ended or problem)
    return replace(
        source,
        first_s=min(times),
        seconds=seconds,
        codec=info.codec,
        size=f"{info.width}x{info.height}",
        frame_rate=info.frame_rate,
        sound=info.has_audio,
    )


def _times(index: ClipIndex, longest_s: float) -> list[float]:
    """Presentation times in seconds of the first `longest_s` seconds of pictures, of one at least."""
    times: list[float] = []
    with open_video(index.path) as container:
        for frame in decoded(container, video_stream(container)):
            times.append(len(times) * index.frame_s if frame.time is None else frame.time)
            if times[-1] - times[0] >= longest_s:
                break
    return times


def _visible(folder: Path) -> Iterator[Path]:
    return iter(sorted(entry for entry in folder.iterdir() if not entry.name.startswith(".")))


def _name(name: str) -> str:
    """A name that can be written down: bytes that are not UTF-8 become `\\x..`."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _nameless(root: Path, name: str) -> Source:
    return Source(root, _name(name), problem="the file's name is not UTF-8")
