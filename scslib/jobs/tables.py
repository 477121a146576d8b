"""Read CSV tables: names stay text, and only an empty cell is missing.

A CSV file does not say what its columns hold, and a guess turns a class 007 into a number and a class NA
into nothing. So the columns of text are declared here, for every table that the kit writes and reads.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import pandas as pd

NAME_COLUMNS = (  # of videos, classes, methods and runs
    *("video_id", "video", "path", "source", "label", "labels", "predicted", "split", "group"),
    *("method", "methods", "choice", "classifier", "aggregation", "figure", "sweep", "run"),
)
PARAMETERS = (  # of notebooks, whose values are text
    *("data", "codec", "checkpoint", "architecture", "objective", "backbone", "rank_form", "device"),
    *("iframe_trunk", "variant", "k_sweep", "objective_sweep"),
)
WORD_COLUMNS = (  # what the kit says itself, which may look like a number: version 2.10, commit 12e4567
    *("status", "reason", "features_status", "features_reason", "problem", "picture", "sound"),
    *("torch", "torchvision", "torchaudio", "av", "numpy", "pandas", "papermill", "python", "version"),
    *("system", "processor", "gpu", "devices", "hardware", "versions", "commit", "command"),
)
TEXT = frozenset(NAME_COLUMNS + PARAMETERS + WORD_COLUMNS)


class TableError(ValueError):
    """A file that is no table; the message names it."""


def read_table(path: str | Path) -> pd.DataFrame:
    """A table of results: columns of `TEXT` as text, the others as what they hold.

    Only an empty cell is missing (NaN); `NA` and `None` are names. Raises `TableError`.
    """
    return _read(path, dtype=dict.fromkeys(TEXT, str))


def read_texts(path: str | Path) -> pd.DataFrame:
    """A table whose cells are all text, an empty one too. Raises `TableError`."""
    return _read(path, dtype=str, na_filter=False)


def _read(path: str | Path, *, dtype: type | dict[str, type], na_filter: bool = True) -> pd.DataFrame:
    try:
        with warnings.catch_warnings():
            # lines with more cells than the header: pandas would take the first for an index
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                path,
                dtype=dtype,
                na_values=[""] if na_filter else None,
                na_filter=na_filter,
                keep_default_na=False,
                index_col=False,
                encoding="utf-8-sig",
            )
    except (OSError, ValueError, pd.errors.ParserWarning) as error:  # not there, not UTF-8, empty, ...
        raise TableError(f"{path}: not a CSV file ({' '.join(str(error).split())})") from error
