"""Warnings about classes: too few videos, or names that are nearly the same."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

import click
import pandas as pd


def alone(labels: Iterable[str]) -> str:
    """A line that says that there is one class only; "" where there are several."""
    names = set(labels)
    if len(names) != 1:
        return ""
    why = "a classifier learns what tells them apart; add videos of another class"
    return f"has 1 class ({min(names)!r}), at least 2 are needed: {why}"


def alike(labels: Iterable[str]) -> str:
    """A line that names two classes that only look different; "" where there are none."""
    first: dict[str, str] = {}
    for name in sorted(set(labels)):
        other = first.setdefault(_plain(name), name)
        if other != name:
            shown = repr if name.isascii() and other.isascii() else ascii
            return (
                f"classes {shown(other)} and {shown(name)} differ in case, spaces or Unicode form only: "
                "write them alike if they are one class, else rename one"
            )
    return ""


def shortages(videos: pd.DataFrame) -> list[str]:
    """Lines for what a run would lack: a second class, a second training video (or group) of a class."""
    train = videos[videos["split"] == "train"]
    unit = "group" if "group" in train else "video_id"
    counts = train.groupby("label", sort=True)[unit].nunique()
    lines = [f"the dataset {words}"] if (words := alone(videos["label"])) else []
    if short := [repr(name) for name in counts.index[counts < 2]]:
        names = ", ".join(short[:5]) + (", ..." if len(short) > 5 else "")
        have = f"{len(short)} classes have 1 training {unit.removesuffix('_id')} and a run needs 2"
        why = "one for the classifier and one for the samplers"
        lines.append(f"{have}, {why}: {names}: add videos, or take these classes out")
    return lines


def say_shortages(videos: pd.DataFrame) -> None:
    """Say on stderr what `shortages` says, where making the videos takes long."""
    for line in shortages(videos):
        click.echo(line, err=True)


def _plain(name: str) -> str:
    """The same for names that only look different: case, spaces and Unicode form taken off."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
