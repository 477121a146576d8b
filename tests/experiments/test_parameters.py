"""What is given for a parameter becomes what the notebook declares, or one line says why not."""

import ast
import json

import nbformat
import pytest
import yaml
from click.testing import CliRunner

from scslib.cli.main import main
from scslib.experiments.notebooks import RunError, notebooks, plan, preset, typed
from scslib.experiments.parameters import declared, from_command_line, known_parameters, texts
from scslib.experiments.sweep_plan import load_sweep

CELL = """
name: str = "smoke"  # a name
k: int = 4  # how many
lr: float = 3.0e-3  # a rate
again: bool = False  # or not
seeds: list = [0]  # whole numbers
etas: list[float] = [1]  # numbers
files: list = []  # names
bare = 7  # without a type
odd: list = [1, "a"]  # of both
made: int = 2 * 3  # no literal
"""


@pytest.fixture
def kit(tmp_path, monkeypatch):
    """A kit with one notebook that has these parameters."""
    cells = [nbformat.v4.new_code_cell(CELL.strip(), metadata={"tags": ["parameters"]})]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    (tmp_path / "notebooks").mkdir()
    book = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(book, tmp_path / "notebooks" / "00_it.ipynb")
    monkeypatch.setenv("SCS_ROOT", str(tmp_path))
    return tmp_path


def test_parameters_are_declared_by_annotation_or_default(kit):
    found = declared(notebooks()[0])
    kinds = {name: (p.kind, p.item) for name, p in found.items()}
    plain = {"name": "str", "k": "int", "lr": "float", "again": "bool", "bare": "int", "made": "int"}
    lists = {"seeds": "int", "etas": "float", "files": "str", "odd": "str"}
    expected = {n: (k, "") for n, k in plain.items()} | {n: ("list", i) for n, i in lists.items()}
    assert kinds == expected
    assert known_parameters(notebooks()[0]) == {
        line.split(":")[0].split(" =")[0]: value
        for line, value in zip(
            CELL.strip().splitlines(),
            ["smoke", 4, 3e-3, False, [0], [1], [], 7, [1, "a"], "2 * 3"],
            strict=True,
        )
    }


GOOD = [
    ("name", "007", "007"),
    ("name", "1e-3", "1e-3"),
    ("name", "12:30", "12:30"),
    ("name", "yes", "yes"),
    ("name", "1_000", "1_000"),
    ("name", "NA", "NA"),
    ("name", "null", "null"),
    ("name", '"0,1"', "0,1"),
    ("name", "a: b #c", "a: b #c"),
    ("name", "", ""),
    ("k", "12", 12),
    ("k", "-1", -1),
    ("k", "'12'", 12),
    ("k", "1_000", 1000),
    ("k", "1e3", 1000),
    ("k", "4.0", 4),
    ("k", " 4", 4),
    ("lr", "1e-3", 1e-3),
    ("lr", "1E3", 1000.0),
    ("lr", "1", 1.0),
    ("lr", ".5", 0.5),
    ("again", "yes", True),
    ("again", "False", False),
    ("again", "off", False),
    ("seeds", "[0, 1]", [0, 1]),
    ("seeds", "[]", []),
    ("etas", "[1, 1e-3]", [1.0, 1e-3]),
    ("files", "[007, NA, a b.pth]", ["007", "NA", "a b.pth"]),
    ("files", '["a, b"]', ["a, b"]),
    ("bare", "8", 8),
]


@pytest.mark.parametrize("name, given, wanted", GOOD)
def test_what_leaves_no_doubt_is_taken(kit, name, given, wanted):
    (value,) = typed(from_command_line([(name, given)])).values()
    assert value == wanted and type(value) is type(wanted)
    if isinstance(wanted, list):
        assert [type(item) for item in value] == [type(item) for item in wanted]


BAD = [
    ("k", "012", "a whole number, such as 4"),
    ("k", "12:30", "a whole number, such as 4"),
    ("k", "0,1", "a whole number, such as 4"),
    ("k", "1e-3", "a whole number, such as 4"),
    ("k", "4.5", "a whole number, such as 4"),
    ("k", "yes", "a whole number, such as 4"),
    ("k", "0x10", "a whole number, such as 4"),
    ("k", "1__0", "a whole number, such as 4"),
    ("k", "", "a whole number, such as 4"),
    ("k", "four", "a whole number, such as 4"),
    ("k", "1e400", "a whole number, such as 4"),
    ("k", "٣", "a whole number, such as 4"),
    ("lr", "0,1", "a number, such as 0.003"),
    ("lr", "012", "a number, such as 0.003"),
    ("lr", "12:30", "a number, such as 0.003"),
    ("lr", ".inf", "a number, such as 0.003"),
    ("lr", "nan", "a number, such as 0.003"),
    ("lr", "1e999", "a number, such as 0.003"),
    ("again", "1", "true or false"),
    ("again", "maybe", "true or false"),
    ("seeds", "0", "a list of whole numbers, such as [0]"),
    ("seeds", "0,1", "a list of whole numbers, such as [0]"),
    ("seeds", "[0, 012]", "a list of whole numbers, such as [0]"),
    ("seeds", "[0, [1]]", "a list of whole numbers, such as [0]"),
    ("seeds", "{0: 1}", "a list of whole numbers, such as [0]"),
    ("seeds", "[0", "a list of whole numbers, such as [0]"),
    ("files", "a.pth", "a list of names, such as [name]"),
    ("etas", "[yes]", "a list of numbers, such as [1]"),
]


@pytest.mark.parametrize("name, given, wanted", BAD)
def test_what_leaves_a_doubt_is_one_line_before_anything_runs(kit, name, given, wanted):
    done = CliRunner().invoke(main, ["run", "--preset", str(empty(kit)), "-p", name, given])
    line = f"Error: parameter {name!r} (value {given!r}) must be {wanted}\n"
    assert (done.exit_code, done.output) == (1, line)
    assert not (kit / "runs").exists()


def empty(kit):
    (kit / "empty.yaml").write_text("")
    return kit / "empty.yaml"


@pytest.mark.parametrize("name, given, wanted", [row for row in GOOD if row[1] and "'" not in row[1]])
def test_a_preset_and_a_sweep_take_the_same(kit, name, given, wanted):
    if name == "name":
        given = json.dumps(given.strip('"'))  # of the text itself quotes are no part
    (kit / "own.yaml").write_text(f"{name}: {given}\n")
    assert preset(str(kit / "own.yaml")) == {name: wanted}
    (kit / "sweep.yaml").write_text(
        f"# ?\npreset: {kit / 'own.yaml'}\nnotebooks: 00\ngrid: {{k: [1, 2]}}\n"
        if name != "k"
        else f"# ?\npreset: {empty(kit)}\nnotebooks: 00\ngrid: {{k: [{given}]}}\n"
    )
    sweep = load_sweep(str(kit / "sweep.yaml"))
    assert sweep.fixed == ({name: wanted} if name != "k" else {})
    assert name != "k" or list(sweep.runs.values()) == [{"k": wanted}]


@pytest.mark.parametrize("name, given, wanted", [row for row in BAD if row[1] and "[0" != row[1]])
def test_a_preset_and_a_sweep_refuse_the_same(kit, name, given, wanted):
    (kit / "own.yaml").write_text(f"{name}: {given}\n", encoding="utf-8")
    with pytest.raises(RunError) as caught:
        preset(str(kit / "own.yaml"))
    assert f"parameter {name!r}" in str(caught.value) and f"must be {wanted}" in str(caught.value)
    text = f"# ?\npreset: {empty(kit)}\ngrid: {{{name}: [{json.dumps(given)}]}}\n"
    (kit / "sweep.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(RunError):
        load_sweep(str(kit / "sweep.yaml"))


def test_numbers_of_a_caller_are_held_against_the_type_too(kit):
    good = {"k": 5.0, "lr": 1, "name": 7, "seeds": (1, 2), "again": True}
    (_, own), *_ = plan(good)
    assert own == {"k": 5, "lr": 1.0, "name": "7", "seeds": [1, 2], "again": True}
    assert (type(own["k"]), type(own["lr"])) == (int, float)
    for name, value in (("k", True), ("k", 0.5), ("lr", None), ("name", 1.5), ("again", 1)):
        with pytest.raises(RunError, match=rf"parameter '{name}' \(value {value}\) must be"):
            plan({name: value})


def test_yaml_alone_would_guess():
    """Why values stay text: what YAML makes of them."""
    for text, guess in {"012": 10, "12:30": 750, "yes": True, "1e-3": "1e-3", "1_0": 10}.items():
        assert yaml.safe_load(text) == guess and texts(text) == text
    assert texts("a: &x {b: 1}\nc: {<<: *x, d: 2}") == {"a": {"b": "1"}, "c": {"b": "1", "d": "2"}}


def test_the_kits_notebooks_declare_one_type_for_one_name():
    kinds = {}
    for notebook in notebooks():
        for name, parameter in declared(notebook).items():
            assert kinds.setdefault(name, parameter[1:3]) == parameter[1:3], (notebook.name, name)
            cells = nbformat.read(notebook, 4).cells
            cell = next(c for c in cells if "parameters" in c.metadata.get("tags", []))
            line = next(ln for ln in cell.source.splitlines() if ln.startswith(f"{name}:"))
            value = ast.literal_eval(line.split(" = ", 1)[1].split("  # ")[0])
            assert parameter.default == value and parameter.held(value) == value
