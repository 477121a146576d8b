"""`scs doctor` names what is broken and survives it: broken packages are put in the way on purpose."""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from scslib.cli import doctor
from scslib.cli.doctor import examine, judge_triple

FITTING = {"torch": "2.11.0", "torchvision": "0.26.0", "torchaudio": "2.11.0"}


def put_in_the_way(monkeypatch, folder, **modules):
    """Child processes import these modules, given as source text, instead of the installed ones."""
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(folder))


def test_this_installation_is_well():
    findings = examine()
    names = [finding.name for finding in findings]
    expected = ["python", "packages", "torch", "gpu", "video", "kernel", "papermill", "cores", "memory"]
    assert names == [*expected, "disk"]
    assert [finding for finding in findings if finding.level == "bad"] == []
    for finding in findings:
        assert finding.level in ("ok", "warn", "bad") and finding.found
        assert bool(finding.mend) == (finding.level != "ok")
        assert "\n" not in finding.found + finding.mend
    assert "libx264, mpeg4, aac and motion vectors" in findings[4].found


def test_a_mixed_build_of_torch_is_recognised(monkeypatch, tmp_path):
    put_in_the_way(
        monkeypatch,
        tmp_path,
        torch="class cuda:\n    is_available = lambda: False",
        torchvision="raise RuntimeError('operator torchvision::nms does not exist')",
        torchaudio="",
    )
    torch = doctor._torch()[0]
    assert torch.level == "bad" and "builds for different machines" in torch.found
    assert "pip uninstall -y torch torchvision torchaudio" in torch.mend


@pytest.mark.parametrize(
    "changes, errors, crash, level, found",
    [
        ({}, {}, "", "ok", "torch 2.11.0 / torchvision 0.26.0 / torchaudio 2.11.0"),
        ({"torch": "2.15.0", "torchvision": "0.30.0"}, {}, "", "bad", "torchaudio must be 2.15"),
        ({"torchvision": "0.25.1"}, {}, "", "bad", "torchvision must be 0.26"),
        ({"torchaudio": None}, {}, "", "bad", "torchaudio missing"),
        ({"torch": "2.11.0+cpu"}, {}, "", "warn", "different builds"),
        ({}, {"torchaudio": "OSError: undefined symbol"}, "", "bad", "undefined symbol"),
        ({}, {}, "the process crashed (signal 11)", "bad", "signal 11"),
    ],
)
def test_versions_that_do_not_fit(changes, errors, crash, level, found):
    finding = judge_triple(FITTING | changes, errors, crash)
    assert finding.level == level and found in finding.found
    assert bool(finding.mend) == (level != "ok")


def test_an_import_that_kills_the_process_is_a_finding(monkeypatch, tmp_path):
    put_in_the_way(monkeypatch, tmp_path, av="import os; os.abort()", torch="import os; os.abort()")
    video, (torch, *rest) = doctor._video(), doctor._torch()
    assert video.level == torch.level == "bad" and rest == []
    assert "crashed (signal 6)" in video.found and "crashed (signal 6)" in torch.found


def test_a_codec_that_is_missing_is_named(monkeypatch):
    seen = {"codecs": {"libx264": False, "mpeg4": True, "aac": True}, "vectors": True}
    monkeypatch.setattr(doctor, "_in_child", lambda function: (seen, ""))
    assert doctor._video().level == "bad" and "no libx264" in doctor._video().found


def test_a_check_that_fails_does_not_end_the_others(monkeypatch):
    def _broken():
        raise ImportError("no such thing")

    monkeypatch.setattr(doctor, "_torch", _broken)
    monkeypatch.setattr(doctor, "_video", _broken)
    findings = examine()
    assert [f.level for f in findings if f.name == "broken"] == ["warn", "warn"]
    assert findings[-1].name == "disk" and "ImportError: no such thing" in findings[2].found


def test_missing_and_unfitting_packages_are_named(monkeypatch):
    wanted = ["av<1", "no-such-thing>=1", "numpy", "nothing>=3; extra == 'test'"]
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: wanted)
    finding = doctor._packages()
    assert finding.level == "bad" and "no-such-thing is missing" in finding.found
    assert finding.found.startswith("av ") and "numpy" not in finding.found
    assert "nothing" not in finding.found


def test_old_python_and_few_cores(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 1))
    assert doctor._python().level == "bad"
    monkeypatch.setattr(doctor.os, "sched_getaffinity", lambda pid: {0}, raising=False)
    assert doctor._cores().level == "warn"


@pytest.mark.parametrize("where", ["JUPYTER_PATH", "home", "home first", "environment"])
@pytest.mark.parametrize("program", ["another", "none"])
def test_another_kernel_named_python3_is_found_and_the_mend_mends(tmp_path, where, program):
    """In an environment of its own, whose Jupyter folders may be spoilt; the mend runs in a shell."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    here, home = venv / "bin" / "python", tmp_path / "home"
    tops = {"JUPYTER_PATH": tmp_path / "path", "environment": venv / "share" / "jupyter"}
    spec = tops.get(where, home / ".local" / "share" / "jupyter") / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    argv = [{"another": "/bin/sh", "none": "/no/such/python"}[program], "-f", "{connection_file}"]
    spec.write_text(json.dumps({"argv": argv, "display_name": "another", "language": "python"}))
    code = "import json; from scslib.cli import doctor; print(json.dumps(vars(doctor._kernel())))"
    paths = os.pathsep.join([str(Path(doctor.__file__).parents[2]), sysconfig.get_path("purelib")])
    env = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "XDG", "VIRTUAL"))}
    env |= {"PYTHONPATH": paths, "HOME": str(home)}
    env |= {"JUPYTER_PATH": str(tops["JUPYTER_PATH"])} if where == "JUPYTER_PATH" else {}
    env |= {"JUPYTER_PREFER_ENV_PATH": "0" if where == "home first" else "1"}

    def look(before: str = "true") -> dict:
        words = ["sh", "-c", f"{before} && {here} -c '{code}'"]
        done = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
        return json.loads(done.stdout.splitlines()[-1])

    finding = look()
    assert finding["level"] == "warn" and argv[0] in finding["found"]
    assert str(spec.parent) in finding["found"]
    mended = look(finding["mend"])
    assert (mended["level"], mended["found"]) == ("ok", f"python3: {here}")
