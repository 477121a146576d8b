"""Every network and batch of the notebooks and of `scs sample` is on the device that was asked for.

The device is a stand-in that computes on the processor and refuses tensors that lie elsewhere: see
tests/standin.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

STANDIN = Path(__file__).resolve().parents[1] / "standin"
NETWORKS = {"VideoResNet", "Sampler", "LstmAverage", "ConvPooling", "SegmentConsensus"}


def scs(*arguments, work):
    paths = [str(STANDIN), os.environ.get("PYTHONPATH", "")]
    own = {"SCS_WORK": str(work), "STANDIN_LOG": str(work / "log"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "scslib.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=work,
        env=os.environ | own | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
        timeout=1200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def calls(work) -> pd.DataFrame:
    """The calls of networks since the last time that this was asked."""
    log = work / "log"
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    log.unlink()
    return pd.DataFrame(rows)


def elsewhere(found: pd.DataFrame) -> pd.DataFrame:
    """Calls of which weights or inputs are not on the stand-in; multiply-adds are counted on `meta`."""
    lie = found[["weights", "inputs"]].map(tuple)
    return found[~lie.isin([("standin:0",), ("meta",)]).all(axis=1)]


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    work = tmp_path_factory.mktemp("standin")
    few = {"train_videos": 6, "test_videos": 3, "duration_s": 10, "clips_per_video": 4}
    few |= dict.fromkeys(("trimmed_steps", "mixed_steps", "ac_steps", "rank_steps"), 2)
    few |= {"aggregator_steps": 2, "other_etas": "[]", "other_rankings": "[]"}
    options = [part for name, value in few.items() for part in ("-p", name, value)]
    scs("run", "--notebooks", "01,03-06,08-10", "--device", "standin", *options, work=work)
    return work


@pytest.mark.slow
def test_every_network_and_batch_of_the_notebooks_is_on_the_device(work):
    found = calls(work)
    assert elsewhere(found).empty, elsewhere(found)
    there = found[found["weights"].map(tuple) == ("standin:0",)]
    assert set(there["network"]) >= NETWORKS
    assert there.groupby("network")["process"].nunique()["VideoResNet"] > 1  # children, too
    places = json.loads((work / "runs/smoke/env.json").read_text())["devices"]
    assert set(places.values()) == {"standin"} and "training f" in places
    (work / "log").touch()
    scs("sample", work / "data/smoke/videos", "--run", "smoke", "-k", 2, "--device", "standin",
        "--csv", "picks.csv", work=work)  # fmt: skip
    found = calls(work)
    assert elsewhere(found).empty and set(found["network"]) == {"Sampler"}
