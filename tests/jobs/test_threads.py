"""In every process of the kit libgomp is told, before it is loaded, how its threads wait."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from scslib.jobs.child import Child
from scslib.jobs.openmp import OURS, SPINS

ROOT = Path(__file__).resolve().parents[2]
LOADED = "import torch; torch.ones(9).sum()"
# what libgomp itself says on stderr when it is loaded
SAYS = {"OMP_DISPLAY_ENV": "VERBOSE"}


def without(**settings) -> dict[str, str]:
    """This process's environment as a user's shell has it: nobody has set how threads wait."""
    kept = {name: value for name, value in os.environ.items() if name not in OURS}
    return kept | {"PYTHONPATH": str(ROOT)} | settings


def said(code: str, environment: dict[str, str]) -> dict[str, str]:
    """libgomp's settings in a process that runs `code`, by libgomp's own account."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment | SAYS, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return settings_in(done.stderr)


def settings_in(text: str) -> dict[str, str]:
    lines = [line.split("] ")[-1] for line in text.splitlines() if " = '" in line]
    found = {}
    for line in lines:
        name, _, value = line.strip().partition(" = ")
        found.setdefault(name, set()).add(value.strip("'"))
    return {name: ", ".join(sorted(values)) for name, values in found.items()}


@pytest.mark.skipif(sys.platform != "linux", reason="PyTorch comes with libgomp on Linux only")
class TestWhatLibgompSays:
    def test_after_scslib_it_spins_for_a_moment(self):
        assert said(f"import scslib; {LOADED}", without())["GOMP_SPINCOUNT"] == SPINS

    def test_without_scslib_it_does_not(self):
        assert said(LOADED, without())["GOMP_SPINCOUNT"] != SPINS

    @pytest.mark.parametrize("module", ["training.classifier", "samplers.learned", "experiments.train"])
    def test_a_module_that_imports_torch_does_not_come_too_late(self, module):
        assert said(f"import scslib.{module}", without())["GOMP_SPINCOUNT"] == SPINS

    def test_a_users_count_wins(self):
        assert said(f"import scslib; {LOADED}", without(GOMP_SPINCOUNT="77"))["GOMP_SPINCOUNT"] == "77"

    def test_a_users_policy_wins(self):
        own = said(LOADED, without(OMP_WAIT_POLICY="PASSIVE"))
        ours = said(f"import scslib; {LOADED}", without(OMP_WAIT_POLICY="PASSIVE"))
        assert ours["OMP_WAIT_POLICY"] == own["OMP_WAIT_POLICY"] == "PASSIVE"
        assert ours["GOMP_SPINCOUNT"] == own["GOMP_SPINCOUNT"] != SPINS


PROBE = """
import json, os, sys
seen = []
class Probe:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            seen.append(os.environ.get("GOMP_SPINCOUNT"))
sys.meta_path.insert(0, Probe())
"""


def at_torch(code: str) -> list[str | None]:
    """GOMP_SPINCOUNT whenever `code` begins to import torch."""
    code = f"{PROBE}\n{code}\nprint(json.dumps(seen))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=without(), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    "notebook", sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")), ids=lambda path: path.stem
)
def test_a_kernel_that_somebody_else_started_is_told_in_time(notebook):
    """JupyterLab's, VS Code's, plain papermill's: the imports of the notebook, in their order."""
    cells = [cell.source for cell in nbformat.read(notebook, 4).cells if cell.cell_type == "code"]
    lines = [
        line
        for line in "\n".join(cells).splitlines()
        if line.startswith(("import torch", "from torch", "import scslib", "from scslib"))
    ]
    names = [line.split()[1].split(".")[0] for line in lines]
    assert names and names[0] == "scslib"


def test_an_import_cell_as_it_runs():
    cells = nbformat.read(ROOT / "notebooks/05_training_the_samplers.ipynb", 4).cells
    imports = next(cell.source for cell in cells if "import torch" in cell.source)
    assert at_torch(imports) == [SPINS]


def test_scs_and_what_it_starts_is_told():
    """`scs run` starts kernels, sweeps start `scs`: both inherit the environment."""
    start = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import os; print(os.environ"
    code = f'import scslib.cli.main; {start}["GOMP_SPINCOUNT"])\'])'
    done = subprocess.run(
        [sys.executable, "-c", code], env=without(), capture_output=True, text=True, timeout=300
    )
    assert done.stdout.split() == [SPINS]


def test_children_are_told():
    child = Child()
    try:
        assert child.call(os.getenv, "GOMP_SPINCOUNT") == os.environ["GOMP_SPINCOUNT"]
    finally:
        child.close()


def test_torchrun_is_told_late_but_its_processes_in_time(tmp_path):
    script = tmp_path / "one.py"
    script.write_text(f"{PROBE}\nimport scslib.experiments.train\nprint(json.dumps(seen))\n")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "1"]
    done = subprocess.run(
        [*command, str(script)], env=without(), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [SPINS]


def test_pytest_is_told_before_its_conftest(tmp_path):
    """As `make test` runs it, whatever a conftest.py or a test module imports first."""
    (tmp_path / "conftest.py").write_text(f"{PROBE}\nimport torch\nprint(json.dumps(seen))\n")
    (tmp_path / "test_it.py").write_text("def test_it():\n    pass\n")
    options = ["-q", "-s", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml")]
    command = [sys.executable, "-m", "pytest", *options, "--rootdir", str(tmp_path), str(tmp_path)]
    done = subprocess.run(command, env=without(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.dumps([SPINS]) in done.stdout
