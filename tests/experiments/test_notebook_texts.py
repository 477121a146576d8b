"""What every committed notebook must be, and that nbval can fail."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import papermill
import pytest
import yaml

from scslib.experiments.notebooks import PRESETS, plan, preset
from scslib.experiments.parameters import known_parameters

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


def code_cells(path):
    cells = nbformat.read(path, 4).cells
    return [c for c in cells if c.cell_type == "code" and c.source.strip()]


def test_they_are_numbered_without_a_gap():
    assert [p.name[:2] for p in NOTEBOOKS] == [f"{i:02d}" for i in range(len(NOTEBOOKS))]


@every_notebook
def test_committed_as_it_ran(path):
    """nbval compares nothing in a cell without an execution count."""
    assert all(c.execution_count for c in code_cells(path))
    assert not [o for c in code_cells(path) for o in c.outputs if o.output_type == "error"]


@every_notebook
def test_small_clean_and_for_everyone(path):
    text = path.read_text(encoding="utf-8")
    assert len(text) < 600_000
    notebook = json.loads(text)
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert not {"widgets", "papermill"} & set(notebook["metadata"])
    words = re.sub(r'"image/png": "[^"]*"', "", text)
    assert not re.search(r"/(home|root|Users|work|tmp)/", words), "a path of one machine"
    assert all(cell.get("id") for cell in notebook["cells"])


@every_notebook
def test_cells_are_short_and_prose_is_there(path):
    assert max(c.source.count("\n") + 1 for c in code_cells(path)) <= 27
    prose = " ".join(c.source for c in nbformat.read(path, 4).cells if c.cell_type == "markdown")
    assert len(prose.split()) > 350
    for word in ("**Goal.**", "**Time:**", "## Summary", "## Exercises"):
        assert word in prose, word


@every_notebook
def test_exactly_one_parameters_cell_that_papermill_can_document(path):
    tagged = [c for c in code_cells(path) if "parameters" in c.metadata.get("tags", [])]
    assert len(tagged) == 1
    lines = tagged[0].source.splitlines()
    for line in lines:
        assert re.fullmatch(r"\w+: \w+ = .+  # .+", line), line
    assert len(papermill.inspect_notebook(str(path))) == len(lines)


@every_notebook
def test_exercises_have_a_place_to_write_and_folded_solutions_that_run(path):
    cells = code_cells(path)
    solutions = [n for n, c in enumerate(cells) if "solution" in c.metadata.get("tags", [])]
    assert len(solutions) >= 2
    for number in solutions:
        assert cells[number].execution_count and cells[number].metadata["jupyter"]["source_hidden"]
        assert "exercise" in cells[number - 1].metadata["tags"]


@every_notebook
def test_it_says_in_one_line_what_makes_what_it_needs(path):
    if path.name[:2] in ("00", "01"):
        return
    before = re.search(
        r"`scs run --preset smoke --notebooks ([\d,-]+)`", nbformat.read(path, 4).cells[0].source
    )
    assert before and before[1][-2:] < path.name[:2]


@pytest.mark.parametrize("name", PRESETS)
def test_presets_name_only_parameters_that_exist(name):
    given = {n for _, parameters in plan(preset(name)) for n in parameters}
    assert given == set(preset(name))


def test_every_preset_can_be_named():
    assert {path.stem for path in (FOLDER / "presets").glob("*.yaml")} == set(PRESETS)


def test_yaml_numbers_are_numbers():
    for name in PRESETS:
        for key, value in preset(name).items():
            assert not (isinstance(value, str) and re.fullmatch(r"[\d.e+-]+", value)), (key, value)


def test_shared_parameters_have_one_default():
    seen = {}
    for path in NOTEBOOKS:
        for name, value in known_parameters(path).items():
            assert seen.setdefault(name, value) == value or name == "k", (path.name, name)


def test_nbval_fails_when_a_checked_figure_is_changed_by_hand(tmp_path):
    """Notebook 00 as committed passes; with one digit of one checked output changed it does not."""
    shutil.copy(FOLDER / "conftest.py", tmp_path)
    for name, change in (("same.ipynb", False), ("changed.ipynb", True)):
        notebook = nbformat.read(NOTEBOOKS[0], 4)
        if change:
            assert _change_a_digit(notebook)
        nbformat.write(notebook, tmp_path / name)
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "-q", "-c", "/dev/null"]
    results = {}
    for name in ("same.ipynb", "changed.ipynb"):
        done = subprocess.run(
            [*command, f"--rootdir={tmp_path}", name],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=600,
        )
        results[name] = done.returncode, done.stdout[-2000:]
    assert results["same.ipynb"][0] == 0, results["same.ipynb"][1]
    assert results["changed.ipynb"][0] == 1, results["changed.ipynb"][1]


def _change_a_digit(notebook) -> bool:
    for cell in notebook.cells:
        if cell.cell_type == "code" and "nbval-ignore-output" not in cell.metadata.get("tags", []):
            for output in cell.outputs:
                if output.output_type == "stream" and re.search(r"\d", output.text):
                    digit = re.search(r"\d", output.text).group()
                    output.text = output.text.replace(digit, str((int(digit) + 1) % 10), 1)
                    return True
    return False


def test_presets_are_plain_yaml():
    for name in PRESETS:
        text = (FOLDER / "presets" / f"{name}.yaml").read_text()
        assert isinstance(yaml.safe_load(text), dict)
