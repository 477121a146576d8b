"""The chosen clips of one video: a table, a contact sheet, files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from scslib.report import show
from scslib.sampling.frames_for_models import PickedFrames, metadata_of, picked_frames
from scslib.video import recode
from scslib.video.clips import ClipIndex, expected_clips
from scslib.video.frames import decode_clips, short_side


@dataclass(frozen=True, eq=False)
class Picked:
    """The clips of one video: `table` has a row per chosen clip, best first.

    Its columns: `video, rank, clip, start_s, end_s, saliency, sampler`. clips, saliency: (N,), of all
    clips that could be read; times: (N, 2), seconds.
    """

    table: pd.DataFrame
    clips: np.ndarray
    saliency: np.ndarray
    times: np.ndarray
    index: ClipIndex

    @property
    def path(self) -> Path:
        return self.index.path

    @property
    def sampler(self) -> str:
        return self.table["sampler"].iloc[0]

    @property
    def incomplete(self) -> str:
        """What is missing of a broken file, in words; empty for a whole one."""
        read, declared = len(self.times), expected_clips(self.index)
        return f"{read} of {declared} clips could be read" if read < declared else ""

    def spans(self) -> list[recode.Span]:
        """The (start, end) in seconds of the chosen clips, ordered by time. Those that touch are one."""
        spans: list[recode.Span] = []
        for start, end in sorted(zip(self.table["start_s"], self.table["end_s"], strict=True)):
            if spans and start <= spans[-1][1] + self.index.frame_s / 2:
                spans[-1] = spans[-1][0], end
            else:
                spans.append((start, end))
        return spans

    def sheet(self, *, height: int = 120) -> Figure:
        """A contact sheet of the chosen clips. Above them is the saliency curve of the whole video."""
        info, clips = self.index.info, self.table["clip"].tolist()
        pictures = decode_clips(self.index, clips, size=short_side(info.width, info.height, height))
        rows = self.table.itertuples(index=False)
        captions = [f"{r.rank}.  {r.start_s:.1f}–{r.end_s:.1f} s" for r in rows]
        title = f"{self.path.name}   {self.sampler} sampler, K = {len(clips)} of {len(self.times)}"
        chosen = np.searchsorted(self.clips, clips).tolist()
        return show.sheet_with_curve(pictures, captions, self.times, self.saliency, chosen, title=title)

    def frames(self, n: int, *, height: int = 0) -> PickedFrames:
        """The n frames of the chosen clips in the order of time. They come with their numbers and
        seconds.

        height: the short side in pixels; 0 keeps the video's size. See `frames_for_models`.
        """
        info = self.index.info
        size = short_side(info.width, info.height, height or min(info.width, info.height))
        return picked_frames(self.index, self.table["clip"].tolist(), n, size)

    def metadata(self, frames: PickedFrames) -> dict[str, object]:
        """The metadata of these frames for transformers' video processors: they take it with
        `do_sample_frames=False`.

        frames = picked.frames(16)
        processor(videos=[frames.pixels], video_metadata=[picked.metadata(frames)],
                  do_sample_frames=False, ...)
        """
        return metadata_of(self.index, frames.numbers)

    def cut(self, folder: str | Path, name: str = "") -> pd.DataFrame:
        """Cut the chosen clips into `folder`/NAME-RANK.mp4, by default the video's name without suffix.

        Gives `table` with two columns more: `file`, and `copied`, which is True where the pictures are
        the original ones and False where they had to be encoded again (see `recode.cut`).
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        files = file_names(name or self.path.stem, self.table)
        spans = zip(self.table["start_s"], self.table["end_s"], strict=True)
        copied = [recode.cut(self.index, folder / f, span) for f, span in zip(files, spans, strict=True)]
        return self.table.assign(file=files, copied=copied)

    def highlights(self, path: str | Path) -> None:
        """Write the chosen clips, in the order of time, as one MP4."""
        recode.recode(self.index, path, self.spans())


def file_names(name: str, table: pd.DataFrame) -> list[str]:
    """The file of each chosen clip: NAME-RANK.mp4."""
    return [f"{name}-{rank:02d}.mp4" for rank in table["rank"]]
