"""Hostile files: what each tries, and what it gets.

    python -m tests.hostile > docs/hostile.md

An entry of `CORPUS` makes its files in a `Place` and gives what a user would then do with them. What is
in backquotes in `gets` has to be in what comes out, so that the table says what the tests have seen.
"""

from tests.hostile import (  # each enters its own into the corpus
    archives,
    datasets,
    runs,
    videos,
    weights,
)
from tests.hostile.corpus import CORPUS, Hostile, Place
from tests.hostile.table import page
from tests.hostile.watched import attempt

__all__ = [
    "CORPUS",
    "Hostile",
    "Place",
    "archives",
    "attempt",
    "datasets",
    "page",
    "runs",
    "videos",
    "weights",
]
