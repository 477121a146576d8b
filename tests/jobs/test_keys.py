"""What is made anew after a change of the library, what is not, and why, in words."""

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from scslib.jobs import fingerprint
from scslib.jobs.fingerprint import Code, code_of, code_of_text
from scslib.jobs.keys import Key, made_again
from scslib.samplers import features
from scslib.training import classifier, clip_choice, dense_scores, loop, sampler
from scslib.training.loop import fit
from scslib.training.schedule import Schedule

KIT = Path(fingerprint.__file__).resolve().parents[2]
# what each step may stand on besides what all share: the question is whether a module takes part
COMPUTE = {
    "residual": "scslib.video.residual",
    "plots": "scslib.report.plots",
    "report": "scslib.report.page",
}


@pytest.mark.parametrize(
    ("step", "residual"),
    [
        (features.read_features, True),
        (clip_choice.drawn_clips, False),
        (dense_scores._dense_scores, False),
        (classifier.train_classifier, False),
        (sampler.train_rank, False),  # it stands on the features, by their folder's name
    ],
)
def test_a_step_knows_the_modules_that_compute_it(step, residual):
    modules = code_of(step).modules
    assert ("scslib.video.residual" in modules) == residual
    assert not [name for name in modules if name.startswith(("scslib.report.", "scslib.cli."))]


def test_what_is_reached_by_import_is_what_python_imports():
    """The independent count: what a fresh process has in memory after importing the module."""
    script = "import sys, json, scslib.samplers.features; print(json.dumps([m for m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = {name for name in json.loads(done.stdout) if name.startswith("scslib.")}
    packages = {name for name in loaded if (KIT / name.replace(".", "/")).is_dir()}
    for name in packages:  # nothing to follow: none imports anything when it is imported
        body = ast.parse((KIT / name.replace(".", "/") / "__init__.py").read_text()).body
        assert not [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert loaded - packages - {"scslib.jobs.openmp"} <= set(code_of(features.read_features).modules)
    assert set(code_of(features.read_features).libraries) == {"av", "numba", "numpy", "scipy"}


def test_imports_in_functions_count_and_those_for_types_do_not():
    text = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import scslib.report.page
def draw():
    from scslib.report import plots
    import torch
"""
    found = code_of_text(text, "own")
    assert "scslib.report.plots" in found.modules and "scslib.report.page" not in found.modules
    assert "torch" in found.libraries and "own" in found.modules


def test_a_change_is_said_in_words():
    before = Code({"a": "1", "b": "1"}, {"torch": "2.10.0"})
    after = Code({"a": "2", "c": "1"}, {"torch": "2.11.0"})
    words = after.since(before)
    assert words == "a changed, b takes part no longer, c takes part now and 1 more"
    assert Code({"a": "1"}, {"torch": "2.11.0"}).since(Code({"a": "1"}, {"torch": "2.10.0"})) == (
        "torch 2.10.0 is 2.11.0 now"
    )
    assert after.since(after) == ""


def test_a_key_says_why_a_result_is_made_again(tmp_path):
    code = Code({"a": "1"}, {})
    old = Key("reading", ["x"], code, {"weights": "w"})
    old.write(tmp_path / "key.json", again="")
    assert old.is_at(tmp_path / "key.json") and old.why_again([tmp_path / "key.json"]) == ""
    other_code = Key("reading", ["x"], Code({"a": "2"}, {}), {"weights": "v"})
    assert other_code.why_again([tmp_path / "key.json"]) == "a changed; its weights changed"
    assert not other_code.is_at(tmp_path / "key.json")
    another = Key("reading", ["y"], code, {"weights": "w"})  # other videos: nothing is made again
    assert another.why_again([tmp_path / "key.json"]) == ""
    other_code.write(tmp_path / "new" / "key.json", again="a changed")
    assert list(made_again(tmp_path.rglob("*key.json"), since=0)) == ["reading: made again, a changed"]
    (tmp_path / "key.json").write_text("not JSON")
    assert not old.is_at(tmp_path / "key.json") and list(
        made_again(tmp_path.rglob("*key.json"), since=0)
    )


class Numbers:
    def __call__(self, step):
        x = torch.from_numpy(np.random.default_rng(step).normal(size=(8, 3))).float()
        return {"x": x, "y": x.sum(1)}


def squares(network, batch):
    return F.mse_loss(network(batch["x"])[:, 0], batch["y"])


def trained(path, **stands_on):
    torch.manual_seed(0)
    network = nn.Linear(3, 1)
    curve = fit(
        network,
        Numbers(),
        squares,
        Schedule(3),
        title="sums",
        about={"seed": 0},
        stands_on=stands_on,
        resume=path,
    )
    return curve.losses, json.loads(path.with_suffix(".key.json").read_text())["again"]


def test_a_training_is_done_again_for_its_code_and_what_it_stands_on_only(tmp_path, monkeypatch):
    path = tmp_path / "sums.pt"
    first, again = trained(path, features=np.arange(3))
    assert again == ""
    done = path.stat().st_mtime_ns
    same, _ = trained(path, features=np.arange(3))
    assert path.stat().st_mtime_ns == done and np.array_equal(first, same)
    _, again = trained(path, features=np.arange(4))
    assert again == "its features changed"
    monkeypatch.setitem(fingerprint._SOURCES, "scslib.report.plots", b"# another plot")
    fingerprint._reached_from.cache_clear()
    done = path.stat().st_mtime_ns
    trained(path, features=np.arange(4))
    assert path.stat().st_mtime_ns == done
    changed = fingerprint._SOURCES["scslib.training.loop"] + b"\n# a line"
    monkeypatch.setitem(fingerprint._SOURCES, "scslib.training.loop", changed)
    fingerprint._reached_from.cache_clear()
    _, again = trained(path, features=np.arange(4))
    assert again == "scslib.training.loop changed"
    monkeypatch.undo()
    fingerprint._reached_from.cache_clear()


def test_batches_made_by_other_processes_are_the_same():
    steps = range(2, 9)
    here = list(loop._batches(Numbers(), steps, torch.device("cpu")))
    there = list(loop._batches(Numbers(), steps, torch.device("cpu"), readers=1))
    assert len(here) == len(there) == 7
    assert all(torch.equal(a["x"], b["x"]) for a, b in zip(here, there, strict=True))


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    """A copy of the kit, so that its library can be changed, with a smoke run up to notebook 06."""
    folder = tmp_path_factory.mktemp("kit") / "kit"
    ignored = shutil.ignore_patterns(".git", ".venv", "runs", "__pycache__", "data")
    shutil.copytree(KIT, folder, ignore=ignored)
    scs(folder)
    return folder


def scs(kit: Path) -> str:
    few = {"train_videos": 6, "test_videos": 3, "duration_s": 10, "clips_per_video": 4}
    few |= dict.fromkeys(("trimmed_steps", "mixed_steps", "ac_steps", "rank_steps"), 2)
    options = [part for name, value in few.items() for part in ("-p", name, str(value))]
    code = "from scslib.cli.main import main; main()"
    own = {"PYTHONPATH": str(kit), "SCS_ROOT": str(kit), "PATH": "/usr/bin:/bin", "HOME": str(kit)}
    done = subprocess.run(
        [sys.executable, "-c", code, "run", "--notebooks", "01,03-06", *options],
        capture_output=True,
        text=True,
        cwd=kit,
        env=own | {"OMP_NUM_THREADS": "1"},
        timeout=1200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def made(kit: Path) -> dict[str, int]:
    """When each kept result was made, by name."""
    cache = kit / "runs/smoke/cache"
    paths = [*cache.glob("*/*.safetensors"), *cache.rglob("*.pt")]
    return {str(path.relative_to(cache)): path.stat().st_mtime_ns for path in paths}


def test_a_line_more_in_the_residuals_makes_features_anew_and_what_stands_on_them(kit):
    before = made(kit)
    (kit / "scslib/video/residual.py").open("a").write("\n# a line\n")
    said = scs(kit)
    after = made(kit)
    new = {name for name in after if after[name] != before.get(name)}
    kinds = {name.split("/")[0].rsplit("-", 1)[0] for name in new}
    assert kinds == {"features", "samplers", "saliency"}
    assert "reading: made again, scslib.video.residual changed" in said
    assert "AC motion: made again, its features changed" in said


@pytest.mark.slow
def test_a_line_more_in_a_plot_makes_nothing_anew(kit):
    before = made(kit)
    (kit / "scslib/report/plots.py").open("a").write("\n# a line\n")
    said = scs(kit)
    assert made(kit) == before
    assert "01_data ... (again: scslib.report.plots changed" in said
    assert "made again" not in said


@pytest.mark.slow
def test_a_run_of_an_older_kit_is_done_again_and_says_why(kit):
    for path in (kit / "runs/smoke").rglob("*key.json"):
        path.unlink()
    for path in (kit / "runs/smoke/notebooks").glob(".*.done"):
        path.write_text("0123456789abcdef")
    for path in (kit / "runs/smoke/cache").glob("features-*"):
        path.rename(path.with_name("features-0123456789"))
        break
    said = scs(kit)
    assert "(again: an older version of the kit made it)" in said
    assert "reading: made again, an older version of the kit made it" in said
