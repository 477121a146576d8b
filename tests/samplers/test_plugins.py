"""Plugins: only named files run, once, and again when they have changed."""

import os
import subprocess
import sys
from importlib.metadata import Distribution

import numpy as np
import pandas as pd
import pytest

from scslib.datasets.manifest import Dataset
from scslib.samplers import register_reader
from scslib.samplers.base import SAMPLERS, Setting
from scslib.samplers.extraction import extract_features
from scslib.samplers.features import FeatureSpec, VideoFeatures
from scslib.samplers.names import OF_THE_KIT
from scslib.samplers.plugins import PluginError, load_plugins, unload_plugin
from scslib.samplers.readers import READERS
from scslib.samplers.registry import make_sampler, sampler_names
from scslib.samplers.set_policies import POLICIES
from tests.support.streams import panning, write

VIDEO = VideoFeatures({"times": np.zeros((3, 2)), "bytes": np.array([5, 9, 7])})
CODE = """
from scslib.samplers import register_sampler

@register_sampler("mine")
def mine(clips):
    return clips.bytes * FACTOR
"""


@pytest.fixture
def plugin(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(CODE.replace("FACTOR", "1"))
    yield path
    unload_plugin(path)


def test_a_named_file_registers_its_sampler(plugin):
    assert "mine" not in sampler_names()
    (path, digest), *_ = load_plugins([plugin]).items()
    assert make_sampler("mine", Setting()).saliency(VIDEO, "").tolist() == [5, 9, 7]
    assert SAMPLERS.origin("mine") == (path, digest) and SAMPLERS.origin("visual") == OF_THE_KIT


def test_a_changed_file_takes_the_place_of_the_old_one(plugin):
    load_plugins([plugin])
    plugin.write_text(CODE.replace("FACTOR", "-1"))
    load_plugins([plugin])
    assert make_sampler("mine", Setting()).saliency(VIDEO, "").tolist() == [-5, -9, -7]
    plugin.write_text(CODE.replace('"mine"', '"other"').replace("FACTOR", "1"))
    load_plugins([plugin])
    assert "mine" not in sampler_names() and "other" in sampler_names()


def test_a_file_that_changed_since_the_parent_saw_it_is_refused(plugin):
    seen = load_plugins([plugin])
    plugin.write_text(CODE.replace("FACTOR", "2"))
    with pytest.raises(PluginError, match=r"mine\.py: was changed while the command ran"):
        load_plugins(seen)


@pytest.mark.parametrize(
    "text, message",
    [
        ("1 / 0", r"mine\.py: ZeroDivisionError"),
        ("def", r"mine\.py: SyntaxError"),
        (CODE.replace('"mine"', '"visual"'), "name .'visual'. is another sampler's"),
        (CODE.replace('"mine"', '"a+b"'), r"name \('a\+b'\) must have letters"),
        (CODE.replace('"mine"', '"mine", reads=("flow",)'), r"reads \('flow'\) must be one of"),
        (CODE.replace("FACTOR", "1") + "\nraise OSError('late')", r"mine\.py: OSError: late"),
    ],
)
def test_a_broken_file_says_why_and_leaves_nothing(plugin, text, message):
    plugin.write_text(text)
    with pytest.raises(PluginError, match=message):
        load_plugins([plugin])
    assert "mine" not in sampler_names()


def test_what_is_no_file_of_code_is_named(tmp_path):
    for path in (tmp_path / "none.py", tmp_path):
        with pytest.raises(PluginError, match="must be a file that ends in .py"):
            load_plugins([path])


def test_an_installed_package_registers_by_an_entry_point(tmp_path):
    (tmp_path / "their_samplers.py").write_text(CODE.replace("FACTOR", "3").replace("mine", "theirs"))
    about = tmp_path / "theirs-1.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.2\n")
    (about / "entry_points.txt").write_text("[scslib.samplers]\ntheirs = their_samplers\n")
    assert Distribution.at(about).version == "1.2"
    code = f"""
import sys; sys.path.insert(0, {str(tmp_path)!r})
from scslib.samplers.plugins import load_plugins
from scslib.samplers.base import SAMPLERS
load_plugins()
print(SAMPLERS.origin("theirs"))
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Origin(place='their_samplers', version='theirs 1.2')" in found.stdout


def test_a_policy_of_a_plugin_goes_with_every_sampler(tmp_path):
    path = tmp_path / "policy.py"
    path.write_text(
        "from scslib.samplers import register_policy\n"
        "@register_policy('last')\n"
        "def last(saliency, embeddings, times, k, rng):\n"
        "    return list(range(len(saliency)))[-k:]\n"
    )
    load_plugins([path])
    assert POLICIES["last"].pick(np.ones(5), None, np.zeros((5, 2)), 2, None).tolist() == [3, 4]
    unload_plugin(path)


def test_what_was_read_is_what_runs_and_nothing_is_written_beside_it(plugin, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    load_plugins([plugin])
    changed = plugin.stat()
    plugin.write_text(CODE.replace("FACTOR", "2"))  # as long as before, and at the same time:
    os.utime(plugin, ns=(changed.st_atime_ns, changed.st_mtime_ns))  # bytecode would look current
    load_plugins([plugin])
    assert make_sampler("mine", Setting()).saliency(VIDEO, "").tolist() == [10, 18, 14]
    assert [path.name for path in plugin.parent.iterdir()] == ["mine.py"]


def test_a_reader_that_is_in_no_file_is_refused_before_other_processes_look_for_it(tmp_path):
    register_reader("here-only")(lambda video, clips: np.zeros(len(clips)))
    write(tmp_path / "v.mp4", panning(96, 64, 16), "mpeg4", {})
    video = pd.DataFrame([{"video_id": "v", "path": "v.mp4", "label": "a", "split": "test"}])
    dataset = Dataset(tmp_path, "toy", ("a",), video, pd.DataFrame())
    try:
        with pytest.raises(ValueError, match="reader .'here-only'. must be in a file of plugins"):
            extract_features(
                dataset, video, tmp_path / "f", FeatureSpec(8), readers=["here-only"], workers=1
            )
    finally:
        READERS.forget("")
