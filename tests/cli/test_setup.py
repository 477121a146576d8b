"""One truth for versions: ranges in pyproject.toml, pins in requirements.lock, environment.yml last."""

import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements.lock").read_text()


def pins():
    found = {}
    for name, version in re.findall(r"^([\w.-]+)(?:\[[\w,]+\])?==([^\s;\\]+)", LOCK, re.M):
        found.setdefault(name.lower().replace("_", "-"), set()).add(version)
    return found


def test_every_requirement_is_locked_inside_its_range():
    wanted = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]
    for text in wanted:
        requirement = Requirement(text)
        versions = pins().get(requirement.name.lower().replace("_", "-"))
        assert versions, requirement.name
        assert all(v in requirement.specifier for v in versions), (text, versions)


def test_torch_triple_is_the_one_that_works():
    assert pins()["torch"] == {"2.11.0"} == pins()["torchaudio"]
    assert pins()["torchvision"] == {"0.26.0"}


def test_lock_works_with_any_mirror():
    assert "--hash=sha256:" in LOCK
    assert not re.search(r"index-url|find-links|https?://", LOCK)


def test_conda_takes_python_from_pyproject_and_packages_from_the_lock():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python = next(d for d in environment["dependencies"] if str(d).startswith("python "))
    assert python.split()[1] == PROJECT["requires-python"]
    pip = next(d["pip"] for d in environment["dependencies"] if isinstance(d, dict))
    assert "-r requirements.lock" in pip


def test_readme_names_only_targets_that_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"(?:`|^)make ([a-z-]+)", (ROOT / "README.md").read_text(), re.M)):
        assert re.search(rf"^{target}:", makefile, re.M), target
