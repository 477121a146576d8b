"""Processes that read, cut or make videos import no PyTorch, whatever came before, and stay small."""

import os
import subprocess
import sys
from dataclasses import asdict
from multiprocessing import forkserver

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from scslib.datasets import prepare
from scslib.datasets.composition import Composition
from scslib.datasets.pieces import Piece
from scslib.datasets.sources import Source
from scslib.datasets.synthetic.plan import Synthetic
from scslib.jobs import child as child_module
from scslib.jobs.child import Child
from scslib.jobs.fingerprint import code_of
from scslib.jobs.shards import run_shards
from scslib.samplers.features import FeatureSpec, _fit, read_features
from scslib.samplers.learned import _network_scores
from scslib.sampling.many_videos import _sample
from scslib.training.clip_choice import drawn_clips
from scslib.training.dense_scores import _dense_scores
from scslib.video.recode import Recoding
from scslib.video.write import Encoding
from tests.support import heavy, light

MOST_MB = 250
SPEC = asdict(FeatureSpec(clip_len=4, height=32, width=32))
VIEW = {"kind": "kit", "frames": 4, "clip_len": 0, "frame_rate": 6.0, "short_side": 40}
CLIPS = {"per_video": 2, "inside": 1, "view": VIEW, "seed": 0}
SMALL = Encoding(64, 48, 8, 8)


@pytest.fixture(scope="module", autouse=True)
def fresh_servers():
    """Children of processes that have not served the tests of other files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(child_module, "_servers", {n: forkserver.ForkServer() for n in (False, True)})
        yield


@pytest.fixture(scope="module")
def steps(movie, tmp_path_factory):
    """The shards of each step of one video, in one process: networks first, then what only reads."""
    folder, videos = tmp_path_factory.mktemp("steps"), [("v", movie.path)]
    (folder / "prepared").mkdir()
    works = {
        "compiled": (light.features, SPEC | {"clip_len": 8}),  # once on a machine, and takes more
        "networks": (heavy.scored, {}),
        "features": (light.features, SPEC),
        "training clips": (light.training_clips, CLIPS | {"video_id": "v", "segments": [[0.0, 2.0]]}),
        "prepared": (
            light.prepared,
            {"folder": str(folder / "prepared"), "setting": asdict(Recoding(short_side=32))}
            | {"path": "v.mp4", "name": "v.mp4"},
        ),
    }
    return {
        name: run_shards(work, videos, folder / "shards", params=params, workers=1, title=name)
        for name, (work, params) in works.items()
    }


@pytest.mark.parametrize("step", ["features", "training clips", "prepared"])
def test_a_step_that_reads_imports_no_torch_and_stays_small(step, steps):
    done = steps[step]
    assert done.status["status"].tolist() == ["ok"], done.status["reason"].tolist()
    memory_mb = done.get("v", "memory_mb")[0]
    print(f"{step}: {memory_mb:.0f} MB")
    assert done.get("v", "heavy")[0] == 0 and 20 < memory_mb < MOST_MB


def test_a_step_with_networks_has_torch_from_the_beginning(steps):
    assert steps["networks"].get("v", "heavy")[0] >= 2
    assert steps["networks"].get("v", "memory_mb")[0] > MOST_MB


def test_who_makes_and_cuts_videos_imports_no_torch_and_stays_small(movie, tmp_path):
    source = Source(movie.path.parent, movie.path.name, "a", seconds=3.0, sound=True)
    spec = Synthetic(duration_s=10.0, encoding=SMALL)
    composition = Composition(encoding=SMALL, duration_s=10)
    pieces = [Piece(source, 0.5, 16, 0.0, 2.0)]
    child = Child()
    try:
        heavy, memory_mb = child.call(light.made_and_cut, (tmp_path, source, spec, composition, pieces))
    finally:
        child.close()
    made = {path.name for path in tmp_path.iterdir()}
    assert made == {"synthetic.mp4", "composed.mp4", "recoded.mp4", "cut.mp4"}
    print(f"making and cutting: {memory_mb:.0f} MB")
    assert heavy == [] and 20 < memory_mb < MOST_MB


def test_a_child_that_had_networks_reads_in_a_process_without():
    """On a Ray cluster one child serves one step after the other."""
    child = Child()
    try:
        assert "torch" in child.call(heavy.scores, None, networks=True)
        assert child.call(light.reads, None) == []
    finally:
        child.close()


@pytest.mark.parametrize(
    "module",
    ["scslib", "scslib.cli.main", "scslib.samplers.features", "scslib.training.clip_choice"]
    + ["scs_bench.jobs"]
    + [f"scslib.datasets.{name}" for name in ("synthetic.make", "compose", "prepare", "folder")]
    + ["scslib.datasets.public.listing"],
)
def test_importing_it_imports_no_torch(module):
    code = f"import {module}, sys; print([n for n in {light.HEAVY} if n in sys.modules])"
    found = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=found, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("grid", [(5, 7), (3, 2), (1, 1), (4, 14), (11, 9), (10, 7)])
def test_grids_are_fitted_as_pytorchs_area_interpolation_does(grid):
    field = np.random.default_rng(0).normal(0, 20, (2, 3, 5, 7, 2)).astype(np.float32)
    flat = torch.from_numpy(field).flatten(0, 1).permute(0, 3, 1, 2)
    expected = F.interpolate(flat, size=grid, mode="area").permute(0, 2, 3, 1)
    expected = expected.reshape(2, 3, *grid, 2).numpy()
    got = _fit(field, grid, None)
    assert got.dtype == np.float16 and got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)
    scaled = _fit(field, grid, np.array([2.0, 0.5], np.float32))
    np.testing.assert_allclose(scaled, expected * [2.0, 0.5], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "work", [read_features, drawn_clips, prepare._prepare], ids=lambda work: work.__name__
)
def test_no_import_of_a_reading_step_leads_to_torch(work):
    """Those inside functions count: a step that reaches PyTorch is done by processes that have it."""
    assert not [name for name in code_of(work).libraries if name.startswith("torch")]


@pytest.mark.parametrize("work", [_dense_scores, _network_scores, _sample])
def test_steps_with_networks_are_known_as_such(work):
    assert "torch" in code_of(work).libraries
