"""Paths that stay in their folder, and files that are there all or not at all."""

import os

import numpy as np
import pytest
from safetensors.numpy import save_file

from scslib.jobs.files import lies_in, replacing


def test_a_path_lies_in_a_folder_wherever_links_lead(tmp_path):
    inner, outer = tmp_path / "inner", tmp_path / "outer"
    inner.mkdir()
    outer.mkdir()
    (inner / "out").symlink_to(outer)
    (inner / "round").symlink_to(inner / "round")
    (tmp_path / "link").symlink_to(inner)
    assert lies_in(inner, inner / "a" / "b") and lies_in(tmp_path / "link", inner / "a")
    assert lies_in(inner, inner / "a" / ".." / "b")
    for path in (outer, inner / ".." / "a", inner / "out" / "a", inner / "round", inner / "a\0b"):
        assert not lies_in(inner, path), path


def test_a_file_is_replaced_when_all_is_written(tmp_path):
    path = tmp_path / "new" / "a.csv"
    for text in ("one", "two"):
        with replacing(path) as part:
            part.write_text(text)
            assert path.is_file() == (text == "two")
        assert path.read_text() == text and os.listdir(path.parent) == ["a.csv"]
    with pytest.raises(ZeroDivisionError), replacing(path, own=True) as part:
        part.write_text("three")
        _ = 1 / 0
    assert path.read_text() == "two" and os.listdir(path.parent) == ["a.csv"]


def test_others_may_read_what_they_might_read_of_any_new_file(tmp_path):
    """safetensors writes for the owner alone. A link to another's file leaves its rights as they are."""
    theirs, mine, weights = (tmp_path / name for name in ("theirs", "mine", "w.safetensors"))
    theirs.write_text("x")
    theirs.chmod(0o600)
    with replacing(weights) as part:
        save_file({"a": np.zeros(2)}, part)
    with replacing(mine) as part:
        os.link(theirs, part)
    (tmp_path / "new").touch()
    assert weights.stat().st_mode == (tmp_path / "new").stat().st_mode
    assert mine.stat().st_mode == theirs.stat().st_mode == 0o100600


def test_two_who_write_the_same_file_do_not_take_each_others(tmp_path):
    path = tmp_path / "a.csv"
    with replacing(path, own=True) as one:
        one.write_text("one")
        with replacing(path, own=True) as two:
            two.write_text("two")
        assert path.read_text() == "two"
    assert path.read_text() == "one" and os.listdir(tmp_path) == ["a.csv"]


def test_a_link_in_the_way_is_not_written_through(tmp_path):
    (tmp_path / "secret").write_text("secret")
    with replacing(tmp_path / "a.csv") as part:
        pass_through = part
        part.write_text("first")
    pass_through.symlink_to(tmp_path / "secret")
    with replacing(tmp_path / "a.csv") as part:
        part.write_text("second")
    assert (tmp_path / "secret").read_text() == "secret"
    assert (tmp_path / "a.csv").read_text() == "second"
