"""Notebooks run in this Python, whatever a kernel named python3 is; one that dies is one clear line."""

import json
import sys

import nbformat
import pytest

from scslib.experiments.notebooks import RunError, execute


@pytest.fixture
def foreign(tmp_path, monkeypatch):
    """Jupyter finds another Python as python3, before all others."""
    spec = tmp_path / "jupyter" / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    argv = ["/no/such/python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec.write_text(json.dumps({"argv": argv, "display_name": "another", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))


def notebook(folder, *cells):
    """A notebook of these cells, whose kernel is called python3."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    path = folder / "00_it.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


def ran(tmp_path, *cells, parameters=None):
    """The executed notebook."""
    (tmp_path / "out").mkdir(exist_ok=True)
    execute(notebook(tmp_path, *cells), tmp_path / "out", parameters or {})
    return nbformat.read(tmp_path / "out" / "00_it.ipynb", 4)


def test_the_kernel_is_this_python_wherever_python3_leads(tmp_path, foreign):
    done = ran(tmp_path, "import sys\nprint(sys.executable, sys.prefix, end='')")
    assert done.cells[0].outputs[0].text == f"{sys.executable} {sys.prefix}"


@pytest.mark.parametrize(
    "cell, words",
    [
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "said nothing; often memory"),
        ("import os\nos.write(2, b'first\\nout of luck\\n')\nos._exit(3)", "last said: out of luck"),
    ],
)
def test_a_kernel_that_dies_is_one_line(tmp_path, cell, words):
    with pytest.raises(RunError) as caught:
        ran(tmp_path, "print('before')", cell, "print('after')")
    line = str(caught.value)
    assert line.startswith("00_it: its kernel died (") and words in line and "\n" not in line
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["00_it.failed.ipynb", "kernels.log"]


def test_a_kernel_that_cannot_begin_says_why(tmp_path, monkeypatch):
    (tmp_path / "way").mkdir()
    (tmp_path / "way" / "ipykernel_launcher.py").write_text("raise ImportError('no such kernel')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "way"))
    with pytest.raises(RunError, match="kernel died .it last said: ImportError: no such kernel; see"):
        ran(tmp_path, "1")


def test_the_last_words_are_of_this_notebook(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "kernels.log").write_text("of another notebook\n")
    with pytest.raises(RunError, match="it said nothing"):
        ran(tmp_path, "import os\nos._exit(1)")


def test_an_error_in_a_cell_is_still_that_error(tmp_path):
    with pytest.raises(RunError, match="00_it, cell 1: RuntimeError: Kernel died, says the cell"):
        ran(tmp_path, "raise RuntimeError('Kernel died, says the cell')")
