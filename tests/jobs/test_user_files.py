"""Which parameters are code, and that a file's content is what counts."""

import pytest

from scslib.experiments.notebooks import RunError, notebooks, plan, step_key
from scslib.jobs.user_files import code_in, digest, whole_plugin


def test_files_of_code_are_found_among_parameters(tmp_path):
    values = ["my_f.py:build", ["own.py", "laptop"], 3, "torchvision:mc3_18", ["a.pyc"], "x.py.txt"]
    assert code_in(values) == ["my_f.py:build", "own.py"]


def test_a_plugin_has_its_whole_path_and_its_own_checksum(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=rf"plugins \(none.py\): no such file: {tmp_path / 'none.py'}"):
        whole_plugin("none.py")
    for name in ("folder", "text.txt"):
        with pytest.raises(ValueError, match=rf"plugins \({name}\): its name must end in .py"):
            whole_plugin(name)
    (tmp_path / "own.py").write_text("1")
    assert whole_plugin("own.py") == str(tmp_path / "own.py")
    before = digest(whole_plugin("own.py"))
    (tmp_path / "own.py").write_text("2")
    assert digest(str(tmp_path / "own.py")) != before


def test_a_changed_plugin_makes_the_notebooks_that_take_it_again(tmp_path):
    own = tmp_path / "own.py"
    own.write_text("x = 1")

    def keys():
        steps, before, found = plan({"plugins": [str(own)]}), "", {}
        for notebook, parameters in steps:
            before = step_key(before, notebook, parameters).digest
            found[notebook.name[:2]] = before
        return found

    before = keys()
    assert keys() == before
    own.write_text("x = 2")
    after = keys()
    changed = [name for name in before if before[name] != after[name]]
    assert changed == [notebook.name[:2] for notebook in notebooks() if notebook.name[:2] >= "05"]
    with pytest.raises(RunError, match="none.py"):
        plan({"plugins": ["none.py"]})
