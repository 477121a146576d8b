"""Notebooks 03, 04, 05, 06 and 09 with each kind of classifier as f, at smoke size; minutes each."""

import pandas as pd
import pytest
import torch
import torchvision

from scslib.cli.main import main
from tests.models.test_specs import USERS, hub_folder

SMALL = {"classes": 2, "train_videos": 12, "test_videos": 4, "duration_s": 12.0, "folds": 0}
SMALL |= {"clips_per_video": 2, "trimmed_steps": 2, "mixed_steps": 0, "batch": 2, "k": 2}


def spec_of(kind: str, folder) -> str:
    if kind == "hf":
        hub_folder("VideoMAE", folder / "model")
        return f"hf:{folder / 'model'}?frame_rate=12"
    if kind == "torchvision":
        torch.save(torchvision.models.get_model("r3d_18", num_classes=3).state_dict(), folder / "w.pth")
        return f"torchvision:r3d_18/{folder / 'w.pth'}?frame_rate=12"
    if kind == "timm":
        return "timm:tf_efficientnet_lite0/pypi?frames=2&size=64"
    (folder / "my_f.py").write_text(
        USERS.replace("ClassifierInput(8, 40, 32)", "ClassifierInput(16, 40, 32)")
    )
    return "my_f.py:build"


@pytest.mark.slow
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("kind", ["timm", "hf", "torchvision", "code"])
def test_notebooks_run_with_any_classifier(kind, frozen, tmp_path, monkeypatch):
    from click.testing import CliRunner

    monkeypatch.setenv("SCS_WORK", str(tmp_path / "work"))
    monkeypatch.setenv("SCS_CODE", "")
    monkeypatch.chdir(tmp_path)
    spec = spec_of(kind, tmp_path)
    given = SMALL | {
        "checkpoint": spec,
        "frozen": frozen,
        "checkpoints": f"[{spec!r}]",
        "classifiers": "[]",
    }
    options = [text for name, value in given.items() for text in ("-p", name, str(value))]
    done = CliRunner().invoke(main, ["run", "--notebooks", "01,03-06,09", *options])
    assert done.exit_code == 0, done.output
    results = tmp_path / "work" / "runs" / "smoke" / "results"
    assert "audio-visual" in pd.read_csv(results / "methods.csv")["method"].tolist()
    assert pd.read_csv(results / "classifiers.csv")["classifier"].nunique() == 2
