"""`scs regress`: figures as they were pass; a broken loss, choice of clips or ear does not.

The world is made up: f is right in a few clips of each video. Samplers are linear, learn with the
library's own RANK loss, and go through `evaluate` and `summarise` as in notebook 06.
"""

import json
import math

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from scipy import stats

from scslib.cli.sweep import regress as command
from scslib.datasets.manifest import Dataset
from scslib.evaluation.table import evaluate, summarise
from scslib.experiments import regress
from scslib.experiments.notebooks import RunError
from scslib.samplers import policies
from scslib.training import losses

CLASSES = ("a", "b", "c", "d")
VIDEOS, CLIPS, SALIENT, K, SEEDS = 48, 40, 5, 5, (0, 1, 2)


class Scores(dict):
    """The part of `Shards` that `evaluate` uses: probabilities by video, all of them read whole."""

    @property
    def status(self):
        about = {"status": "ok", "clips_expected": CLIPS, "clips": CLIPS}
        return pd.DataFrame({"video_id": list(self)} | about)

    def has(self, video_id, name):
        return video_id in self and name in ("probabilities", "times")

    def get(self, video_id, name):
        if name == "times":
            return np.arange(len(self[video_id]))[:, None] + [0.0, 1.0]
        return self[video_id]


@pytest.fixture(scope="module")
def world():
    """(dataset, f's scores, what is seen and heard of each clip: (CLIPS, 3) by video)."""
    rng = np.random.default_rng(0)
    rows, spans, scores, seen, heard = [], [], Scores(), {}, {}
    for number in range(VIDEOS):
        video_id, label = f"v{number}", number % len(CLASSES)
        rows.append((video_id, f"{video_id}.mp4", CLASSES[label], "test"))
        p = rng.dirichlet(np.ones(4), CLIPS)
        p[:, rng.integers(len(CLASSES))] += 0.8
        inside = rng.choice(CLIPS, SALIENT, replace=False)
        spans += [(video_id, float(clip), clip + 1.0) for clip in inside]
        p[inside] = 0.05
        p[inside, label] = 0.85
        scores[video_id] = p / p.sum(1, keepdims=True)
        for sense, noise in ((seen, 0.25), (heard, 0.4)):
            sense[video_id] = rng.normal(0, noise, (CLIPS, 3))
            sense[video_id][inside, 0] += 1
    videos = pd.DataFrame(rows, columns=["video_id", "path", "label", "split"])
    segments = pd.DataFrame(spans, columns=["video_id", "start_s", "end_s"])
    return Dataset(None, "toy", CLASSES, videos, segments), scores, seen, heard


def learn(senses, targets, seed):
    """Weights of a linear sampler, by RANK on pairs of clips of a video."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.zeros(senses[0].shape[1], requires_grad=True)
    optimiser = torch.optim.SGD([weights], lr=0.3)
    for step in range(40):
        x, f = (torch.tensor(v[step % len(senses)], dtype=torch.float32) for v in (senses, targets))
        i, j = torch.randint(CLIPS, (2, 64), generator=generator)
        loss = losses.rank_loss(x[i] @ weights, x[j] @ weights, losses.pair_targets(f[i], f[j]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return weights.detach().numpy()


def methods_of(world, *, deaf=False):
    """results/methods.csv of this world; `deaf`: judged with the sounds of other clips."""
    dataset, scores, seen, heard = world
    both = {v: np.hstack([seen[v], heard[v]]) for v in seen}
    labels = dataset.label_index(dataset.videos)
    targets = [scores[v][:, label] for v, label in zip(seen, labels, strict=True)]
    rng, tables = np.random.default_rng(7), []
    played = {v: rng.permutation(sound) if deaf else sound for v, sound in heard.items()}
    judged = {"visual": seen, "audio": played}
    judged["audio-visual"] = {v: np.hstack([seen[v], played[v]]) for v in seen}
    for seed in SEEDS:
        for name, learnt in (("audio", heard), ("visual", seen), ("audio-visual", both)):
            weights = learn(list(learnt.values()), targets, seed)
            for video_id, sense in judged[name].items():
                rows = {"seed": seed, "method": name, "video_id": video_id, "clip": range(CLIPS)}
                rows |= {"start_s": np.arange(CLIPS) * 1.0, "end_s": np.arange(CLIPS) + 1.0}
                tables.append(pd.DataFrame(rows | {"saliency": sense @ weights}))
    saliency = pd.concat(tables, ignore_index=True)
    predictions = evaluate(dataset, dataset.videos, scores, scores, saliency, k=K, seeds=list(SEEDS))
    costs = pd.DataFrame({"method": predictions["method"].unique(), "seconds_per_video": 1.0})
    return summarise(predictions, costs, k=K, videos=VIDEOS)


@pytest.fixture(scope="module")
def methods(world):
    return methods_of(world)


@pytest.fixture(scope="module")
def expected(methods):
    return regress.expectation(methods)


def named(lines):
    return {line.split(":")[0] for line in lines}


def test_what_came_out_is_what_is_expected(methods, expected):
    assert regress.differences(methods, expected) == []
    rows = expected.set_index(["figure", "method"])
    mine, row = methods[methods["method"] == "visual"], rows.loc["accuracy", "visual"]
    assert row["value"] == pytest.approx(mine["accuracy"].mean())
    assert row["low"] < mine["accuracy_low"].min() <= row["value"]
    assert (row["seeds"], row["videos"], row["k"]) == (3, VIDEOS, K)
    assert rows.loc["in_segments", "dense"]["value"] == pytest.approx(SALIENT / CLIPS)


def test_ranks_sign_turned_is_caught(world, expected, monkeypatch):
    right = losses.rank_loss
    monkeypatch.setattr(losses, "rank_loss", lambda s_i, s_j, z: right(s_i, s_j, -z))
    lines = regress.differences(methods_of(world), expected)
    assert {"audio", "visual", "audio-visual"} <= named(lines)
    assert not {"uniform", "dense", "oracle"} & named(lines)


def test_the_lowest_k_instead_of_the_highest_is_caught(world, expected, monkeypatch):
    right = policies.top_k
    monkeypatch.setattr(policies, "top_k", lambda saliency, k: right(-saliency, k))
    lines = regress.differences(methods_of(world), expected)
    assert {"audio", "visual", "audio-visual", "oracle"} <= named(lines)
    oracle = next(line for line in lines if line.startswith("oracle:"))
    assert "changed places with" in oracle and "uniform" in oracle.split("places with")[1]


def test_sound_of_other_clips_is_caught(world, expected):
    lines = regress.differences(methods_of(world, deaf=True), expected)
    assert "audio" in named(lines) and "visual" not in named(lines)


def table(**accuracies):
    """results/methods.csv of 20 videos without segments; an accuracy, or one for each seed."""
    rows = []
    for method, values in accuracies.items():
        for seed, value in enumerate(np.atleast_1d(values)):
            rows.append({"method": method, "seed": seed, "k": 4, "videos": 20, "accuracy": value})
    return pd.DataFrame(rows).assign(in_segments=np.nan)


def newcombe_holds_zero(a, b, n):
    """By SciPy's Wilson intervals and the formula of the paper (Newcombe 1998, method 10)."""
    one, two = (stats.binomtest(round(p * n), n).proportion_ci(method="wilson") for p in (a, b))
    return (
        a - b - math.hypot(a - one.low, two.high - b)
        <= 0
        <= a - b + math.hypot(one.high - a, b - two.low)
    )


@pytest.mark.parametrize("value", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_two_runs_agree_where_the_interval_of_their_difference_holds_zero(value):
    expected = regress.expectation(table(m=[value, value]))
    for right in range(21):
        lines = regress.differences(table(m=[right / 20, right / 20]), expected)
        assert (lines == []) == newcombe_holds_zero(value, right / 20, 20), right
    assert len(regress.differences(table(m=[np.nan, np.nan]), expected)) == 1


def test_order_matters_only_where_the_intervals_are_apart():
    expected = regress.expectation(table(low=0.3, middle=0.45, high=0.6))
    wide = expected.assign(low=expected["low"], high=expected["high"])
    wide.loc[:, ["low", "high"]] = [[0.2, 0.4], [0.35, 0.55], [0.5, 0.7]]
    assert regress.differences(table(low=0.4, middle=0.36, high=0.6), wide) == []
    lines = regress.differences(table(low=0.51, middle=0.45, high=0.5), wide)
    said = "low: accuracy 0.510 is outside 0.200 to 0.400 (was 0.300); changed places with high"
    assert lines == [said]
    lines = regress.differences(table(low=0.3, middle=0.45, high=0.29), wide)
    assert lines[0].startswith("high:") and lines[0].endswith("changed places with low")


def test_a_method_that_is_gone_is_named_and_a_new_one_is_welcome():
    expected = regress.expectation(table(old=0.5, kept=0.5))
    assert regress.differences(table(kept=0.5, new=0.1), expected) == ["old: no accuracy in the run"]


def test_clips_that_lie_elsewhere_are_caught_though_the_answers_are_the_same():
    expected = regress.expectation(table(m=0.5, n=0.5).assign(in_segments=[0.4, 0.9]))
    there = table(m=0.5, n=0.5).assign(in_segments=[0.6, 0.9])
    assert regress.differences(there, expected) == []
    said = "m: in_segments 0.100 is outside 0.126 to 0.705 (was 0.400)"
    assert regress.differences(there.assign(in_segments=[0.1, 0.9]), expected) == [said]
    assert regress.differences(table(m=0.5, n=0.5), expected) == [
        "m: no in_segments in the run",
        "n: no in_segments in the run",
    ]


def test_what_cannot_be_compared_is_refused():
    expected = regress.expectation(table(m=0.5))
    with pytest.raises(RunError, match=r"k \(8 for m\) .* \(4\)"):
        regress.differences(table(m=0.5).assign(k=8), expected)
    with pytest.raises(RunError, match=r"seeds \(2 for m\)"):
        regress.differences(table(m=[0.5, 0.5]), expected)
    with pytest.raises(RunError, match="no column figure, value: --update"):
        regress.differences(table(m=0.5), expected.drop(columns=["figure", "value"]))
    with pytest.raises(RunError, match="huge"):
        regress.expected_path("huge")


@pytest.fixture
def kit(tmp_path, monkeypatch):
    """A kit whose only notebook writes results/methods.csv with the accuracy in the file `accuracy`."""
    root = tmp_path / "kit"
    (root / "notebooks" / "presets").mkdir(parents=True)
    (root / "notebooks" / "presets" / "smoke.yaml").write_text("{}")
    cells = [
        nbformat.v4.new_code_cell(
            "k: int = 4  # clips\nrun: str = 'r'  # it", metadata={"tags": ["parameters"]}
        ),
        nbformat.v4.new_code_cell(
            "from pathlib import Path\n"
            "(Path(run) / 'results').mkdir(exist_ok=True)\n"
            "head = 'method,seed,k,videos,accuracy,in_segments'\n"
            "(Path(run) / 'results' / 'methods.csv').write_text(head + '\\nm,0,4,20,0.5,0.25\\n')"
        ),
    ]
    about = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=about)
    nbformat.write(notebook, root / "notebooks" / "06_judge.ipynb")
    monkeypatch.setenv("SCS_ROOT", str(root))
    monkeypatch.delenv("SCS_WORK", raising=False)
    return root


def test_the_command_runs_the_preset_updates_and_fails_by_name(kit):
    def scs(*arguments):
        return CliRunner().invoke(command, list(arguments))

    assert "--update" in str(scs().exception)
    assert scs("--update").exit_code == 0
    path = kit / "benchmarks" / "expected" / "smoke.csv"
    assert path.read_text().splitlines() == [
        "method,figure,value,low,high,seeds,videos,k",
        "m,accuracy,0.5,0.205,0.795,1,20,4",
        "m,in_segments,0.25,0.027,0.551,1,20,4",
    ]
    assert "1 methods are as" in scs().output
    assert json.loads((kit / "runs" / "regress-smoke" / "env.json").read_text())["cores"]
    results = kit / "runs" / "regress-smoke" / "results" / "methods.csv"
    results.write_text(results.read_text().replace("0.5,", "0.1,"))
    done = scs("regress-smoke")
    assert done.exit_code != 0 and "m: accuracy 0.100 is outside" in done.output
    assert "1 differences" in str(done.exception)
