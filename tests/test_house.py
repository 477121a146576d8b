"""The house: imports run one way, rooms and functions are small, and no name has two meanings."""

import ast
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

KIT = Path(__file__).resolve().parents[1]
PACKAGE = KIT / "scslib"
MODULES = sorted(PACKAGE.rglob("*.py"))
# the same thing of each public dataset, or of each module
EVERYWHERE = {"LICENCE", "ORIGIN", "log"}


def lint_imports(folder: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    found = os.environ | {"PYTHONPATH": str(folder)}
    return subprocess.run(
        [*command, "--config", str(KIT / "pyproject.toml"), "--no-cache"],
        cwd=folder,
        env=found,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_room_stands_above_all_that_it_imports():
    done = lint_imports(KIT)
    assert done.returncode == 0, done.stdout


def test_an_import_that_runs_up_breaks_the_contract(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "scslib", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "scslib" / "video" / "probe.py").open("a") as file:
        file.write(
            "\n\ndef upwards():\n    from scslib.samplers import policies\n\n    return policies\n"
        )
    done = lint_imports(tmp_path)
    assert done.returncode == 1
    assert "scslib.video is not allowed to import scslib.samplers" in " ".join(done.stdout.split())


def test_twelve_entries_at_most_stand_in_the_package():
    entries = {path.name for path in PACKAGE.iterdir()} - {"__pycache__", "py.typed"}
    assert len(entries) <= 12, sorted(entries)


def test_modules_and_functions_are_short():
    long = []
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        if text.count("\n") > 300:
            long.append(f"{path.name}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = node.end_lineno - node.lineno + 1
                if lines > 60:
                    long.append(f"{path.name}: {node.name} has {lines} lines")
    assert not long


def names_of(statement: ast.stmt) -> list[str]:
    """The names that a statement at the top of a module defines."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return [statement.name]
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    targets = [statement.target] if isinstance(statement, ast.AnnAssign) else targets
    return [n.id for t in targets for n in getattr(t, "elts", [t]) if isinstance(n, ast.Name)]


def test_no_public_name_has_two_meanings():
    places = defaultdict(list)
    for path in MODULES:
        for statement in ast.parse(path.read_text(encoding="utf-8")).body:
            for name in names_of(statement):
                places[name].append(str(path.relative_to(PACKAGE)))
    twice = {n: p for n, p in places.items() if len(p) > 1 and not n.startswith("_")}
    assert not {name: p for name, p in twice.items() if name not in EVERYWHERE}
