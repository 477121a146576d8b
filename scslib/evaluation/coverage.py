"""Coverage: the share of test videos behind each accuracy.

It is a share, 0..1. A video counts with the share of its declared clips that could be read: 1 whole,
less in part, 0 if there is no prediction. A method that needs features has none of a video whose
features could not be read, even if f has scored it.
"""

from __future__ import annotations

import math

import pandas as pd

from scslib.jobs.shard_files import Shards

FAILED = ("failed", "timeout")  # statuses of a video of which nothing was read


def video_status(dense: Shards, features: Shards) -> pd.DataFrame:
    """What was read of each video: f's columns of `dense.status`, the samplers' as `features_*`."""
    columns = ["video_id", "status", "reason", "clips_expected", "clips"]
    theirs = features.status[columns].set_index("video_id").add_prefix("features_")
    return dense.status[columns].join(theirs, on="video_id")


def share_read(status: pd.DataFrame, prefix: str = "") -> pd.Series:
    """The share, 0..1, of each video's declared clips that were read."""
    kind = status[prefix + "status"]
    share = status[prefix + "clips"] / status[prefix + "clips_expected"]
    return share.where(kind == "partial", 1.0).where(~kind.isin(FAILED), 0.0)


def _least_read(status: pd.DataFrame) -> pd.Series:
    """What a method that needs both f and features can have of each video: the lesser share."""
    steps = [prefix for prefix in ("", "features_") if prefix + "status" in status]
    return pd.concat([share_read(status, prefix) for prefix in steps], axis=1).min(axis=1)


def reading_note(status: pd.DataFrame, videos: str = "test videos") -> str:
    """What could not be read of the videos in `status` (see `video_status`), in words; "" if nothing."""
    least, kinds = _least_read(status), status["status"].where(status["status"].isin(FAILED))
    if "features_status" in status:
        kinds = kinds.fillna(status["features_status"].astype(object) + " for the samplers only")
    kinds, partial = kinds[least == 0].value_counts(), int(least.between(0, 1, "neither").sum())
    parts = []
    if len(kinds):
        why = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        parts = [f"{kinds.sum()} of {len(status)} {videos} could not be read ({why})"]
    if partial:
        of = "" if parts else f" of {len(status)} {videos} could be read"
        parts.append(f"{partial}{of} only in part")
    return ", ".join(parts)


def coverage_note(status: pd.DataFrame, see: str = "videos") -> str:
    """The line that says how much of the test videos the figures stand on; "" if on all of them.

    status: `video_status` of the test videos, or results/videos.csv, of which only they count.
    see: the table in results/ that has the reasons.
    """
    test = status[status["split"] == "test"] if "split" in status else status
    missing = reading_note(test)
    if not missing:
        return ""
    return f"coverage {percent(_least_read(test).mean())}: {missing}: see results/{see}.csv"


def coverage_title(table: pd.DataFrame) -> str:
    """What a figure's title adds about the lowest `coverage` in a table: "" at 100 %."""
    coverage = table["coverage"].min()
    return f", coverage {percent(coverage)}" if coverage < 1 else ""


def percent(coverage: float) -> str:
    """A coverage in words; rounded down, so that only 1 is "100.0 %"."""
    return f"{math.floor(1000 * coverage + 1e-6) / 10:.1f} %"
