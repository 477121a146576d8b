"""Two processes train what one does, and a training that was killed goes on to the same numbers.

Run by torchrun, this file is one of the two processes: see `main`.
"""

from __future__ import annotations

import json
import os
import pickle
import random
import socket
import subprocess
import sys
import time
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from scslib.experiments import train as command
from scslib.experiments.material import Material
from scslib.jobs.run_folder import Run
from scslib.models.checkpoints import load_sampler
from scslib.models.reading import CheckpointError
from scslib.models.samplers import MODALITIES, SamplerNetwork
from scslib.samplers.features import FeatureSpec, VideoFeatures
from scslib.training import batches as training
from scslib.training import distributed
from scslib.training.recipe import Recipe
from scslib.training.sampler import Lessons, train_ac, train_rank
from scslib.training.schedule import Schedule

CLIPS, CLASSES, WIDTH, STEPS, MANY, LOOK_EVERY = 6, 3, 4, 4, 16, 2
# name: (modalities, backbone, clips a step); a ranking has 4 clips, so the parts of "odd" are unequal
CASES = {
    "ac": (("motion",), "resnet18", 8),
    "ac-odd": (MODALITIES, "resnet18", 7),
    "rank": (("motion",), "resnet18", 8),
    "rank-odd": (("residual", "audio"), "shufflenet", 12),
}
PARAMETERS = {"seeds": [0], "ac_steps": 2, "rank_steps": 2, "sampler_batch": 8, "clips_per_ranking": 4}
PARAMETERS |= {"look_every": 1, "patience": 1}
PARAMETERS |= {"sampler_width": 4, "sound_width": 4, "data": "unread"}


class Videos:
    """Videos in memory with the interface of `Shards`; their first clips have no P-frame at all."""

    def __init__(self, folder: str = "videos-0123456789"):
        rng, self.folder, self.videos, self.asked = np.random.default_rng(0), Path(folder), {}, set()
        for number in range(6):
            arrays = {
                "iframes": rng.integers(0, 255, (2 * CLIPS, 32, 32, 3), dtype=np.uint8),
                "iframe_start": 2 * np.arange(CLIPS + 1),
                "motion": rng.normal(number % 3, 4, (CLIPS, 5, 6, 6, 2)).astype(np.float16),
                "residual": rng.normal(number % 3, 9, (CLIPS, 5, 6, 6, 3)).astype(np.float16),
                "audio": rng.normal(-6, 3, (CLIPS, 200, 40)).astype(np.float16),
                "predicted": np.arange(CLIPS)[:, None] * np.ones(5) > 0,
                "times": np.zeros((CLIPS, 2)),
            }
            self.videos[f"v{number}"] = VideoFeatures(arrays)

    def __contains__(self, video_id):
        return video_id in self.videos

    def has(self, video_id, name):
        return self.videos[video_id].has(video_id, name)

    def get(self, video_id, name, rows=None):
        if rows is not None and name != "iframes":  # whose rows are no clips
            self.asked.add((video_id, rows.start))
        return self.videos[video_id].get(video_id, name, rows)


LABELS = {f"v{number}": number % CLASSES for number in range(6)}
TARGETS = {video_id: np.random.default_rng(label).random(CLIPS) for video_id, label in LABELS.items()}
LESSONS = Lessons(LABELS, TARGETS, LABELS, TARGETS)


class Double(SamplerNetwork):
    """In float64, where rounding cannot hide a mistake."""

    def forward(self, inputs):
        return super().forward(
            {n: t.double() if t.is_floating_point() else t for n, t in inputs.items()}
        )


def train(
    case: str, steps: int = STEPS, *, features=None, lr=1e-3, first=1, look_every=0, **options
) -> dict:
    """Losses and weights of one of the CASES; `first` is the seed of the weights at the beginning."""
    modalities, backbone, batch = CASES[case]
    ranks, features = case.startswith("rank"), features or Videos()
    torch.manual_seed(first)
    network = Double(modalities, 1 if ranks else CLASSES, WIDTH, WIDTH, backbone).double()
    schedule = Schedule(steps, batch=batch, lr=lr, look_every=look_every, patience=50)
    options = {"seed": 1} | options
    if ranks:
        options |= {"clips_per_video": 4}
        curve = train_rank(network, features, TARGETS, schedule, validation=TARGETS, **options)
    else:
        curve = train_ac(network, features, LABELS, schedule, validation=LABELS, **options)
    losses = [*curve.losses.tolist(), *curve.looks[:, 1].tolist()]
    return {"losses": losses, "weights": network.state_dict()}


def same(one: dict, other: dict, tolerance: float = 0.0) -> bool:
    pairs = [(torch.tensor(one["losses"]), torch.tensor(other["losses"]))]
    pairs += [(tensor, other["weights"][name]) for name, tensor in one["weights"].items()]
    return all(torch.allclose(a.double(), b.double(), rtol=0, atol=tolerance) for a, b in pairs)


def material(folder: Path) -> Material:
    """Stands for `read_material`; whoever comes first writes down that it has read."""
    if not (folder / "read").exists():
        time.sleep(0.5)  # in which the other would come, too
        with (folder / "read").open("a") as file:
            file.write(f"by {distributed.rank()}")
    return Material(tuple("abc"), (), FeatureSpec(clip_len=5), Videos(), [], LESSONS)


def fake_material(monkeypatch) -> None:
    monkeypatch.setattr(command, "load_dataset", lambda folder: None)
    monkeypatch.setattr(command, "read_material", read_material)


def read_material(run, dataset, *, accumulate, iframe_size, kept_pictures, device, workers):
    return material(run.folder)


def main(out: Path) -> None:
    """One of torchrun's processes: trains `CASES`, and then as the command does."""
    torch.set_num_threads(1)
    with distributed.group_joined():
        for case in CASES:
            torch.save(train(case, look_every=LOOK_EVERY), out / f"{case}-{distributed.rank()}.pt")
        with pytest.MonkeyPatch.context() as monkeypatch:
            fake_material(monkeypatch)
            command.train_command([str(out / "run")], standalone_mode=False)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What two processes leave, started by torchrun."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("two")
    (out / "run").mkdir()
    (out / "run" / "params.json").write_text(json.dumps(PARAMETERS))
    line = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*line, __file__, str(out)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return out, done.stdout


@pytest.mark.parametrize("case", CASES)
def test_two_processes_train_what_one_does(case, two):
    """Within 1e-10 in float64: losses, weights, and what the batch norms have seen."""
    alone = train(case, look_every=LOOK_EVERY)
    for number in (0, 1):
        assert same(torch.load(two[0] / f"{case}-{number}.pt"), alone, 1e-10), number


def test_the_command_trains_a_run_and_nothing_is_left_to_train(two, monkeypatch):
    out, stdout = two
    run = Run(out / "run")
    assert stdout.count("seed 0: 5 networks") == 1 and (run.folder / "read").read_text() == "by 0"
    fake_material(monkeypatch)
    monkeypatch.setattr(training, "_own_inputs", None)  # no batch can be drawn
    before = {p: p.read_bytes() for p in (run.folder / "checkpoints").iterdir()}
    assert len(before) == 2 * 2 * 5 + 1  # and the recipe
    done = CliRunner().invoke(command.train_command, [str(run.folder)], catch_exceptions=False)
    assert done.exit_code == 0 and before == {p: p.read_bytes() for p in before}
    network, about = load_sampler(run.checkpoint("joint-rank-seed0"))
    assert about["features"]["clip_len"] == 5 and network.modalities == MODALITIES


def test_side_by_side_they_are_trained_as_one_after_the_other(tmp_path, monkeypatch):
    """In two processes, to the same bytes; and this one draws no batch for them."""
    torch.set_num_threads(1)
    kept, steps = {}, Schedule(2, batch=8, look_every=1)
    recipe = Recipe(steps, steps, width=4, sound_width=4, clips_per_video=4)
    for workers in (1, 2):
        run = Run(tmp_path / str(workers))
        run.folder.mkdir()
        if workers == 2:
            monkeypatch.setattr(training, "_own_inputs", None)
        curves = command.train_samplers(run, material(run.folder), recipe, seeds=[0, 1], workers=workers)
        kept[workers] = {p.name: p.read_bytes() for p in (run.folder / "checkpoints").iterdir()}
    assert [len(of_seed) for of_seed in curves.values()] == [10, 10]
    assert len(kept[1]) == 2 * 2 * 2 * 5 and kept[1] == kept[2]


def test_the_command_says_what_is_missing(tmp_path):
    done = CliRunner().invoke(command.train_command, [str(tmp_path / "none")])
    assert done.exit_code == 1 and "params.json: no such file" in done.output


def test_the_parts_are_the_batch_and_nothing_else_is_read():
    features, picks = Videos(), [(v, c) for v in ("v0", "v3") for c in range(4)]

    def inputs(unit, share=(0, 1)):
        rng = np.random.default_rng(5)
        batches = SimpleNamespace(features=features, modalities=MODALITIES, pictures=3, share=share)
        return training._own_inputs(batches, picks, rng, unit)

    whole = inputs(1)
    for unit, expected in ((1, [2, 3, 3]), (4, [4, 4])):
        parts = []
        for number in range(len(expected)):
            features.asked.clear()
            parts.append(inputs(unit, (number, len(expected))))
            assert features.asked == set(parts[-1][0])
        assert [len(own) for own, _ in parts] == expected
        for name, tensor in whole[1].items():
            assert torch.equal(torch.cat([part[name] for _, part in parts]), tensor), name
    with pytest.raises(ValueError, match=r"batch \(8 clips\) must have 8 or more for each of the 2"):
        inputs(8, (0, 2))


def one_of_two(number: int, port: int, path: Path) -> None:
    """A process as torchrun starts it, on a training that is kept at `path`."""
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(number), "LOCAL_RANK": str(number), "WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    with distributed.group_joined():
        result = train("rank", MANY, resume=path, every=1, look_every=LOOK_EVERY)
    torch.save(result, path.with_name(f"result-{number}.pt"))


def start_two(path: Path) -> list:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = get_context("forkserver")  # which imports once, and forks in no time
    context.set_forkserver_preload(["scslib.experiments.train", "pytest"])
    processes = [context.Process(target=one_of_two, args=(n, port, path)) for n in (0, 1)]
    for process in processes:
        process.start()
    return processes


def test_killed_at_any_moment_it_goes_on_to_the_same_numbers(tmp_path):
    paths = [tmp_path / name / "kept.pt" for name in ("undisturbed", "killed")]
    rng, stopped = random.Random(time.time_ns()), []
    for _ in range(3):
        processes = start_two(paths[1])
        writes, seen = rng.randint(1, 3), None
        while writes:
            assert all(p.is_alive() for p in processes)
            now = paths[1].stat().st_mtime_ns if paths[1].exists() else None
            writes, seen = writes - (now is not None and now != seen), now
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.05))
        for process in processes:
            process.kill()
            process.join()
        stopped.append(len(torch.load(paths[1])["losses"]))
    for path in paths:
        for process in start_two(path):
            process.join(120)
            assert process.exitcode == 0
    assert 0 < stopped[0] and stopped == sorted(stopped) and stopped[-1] < MANY, stopped
    for name in ("result-0.pt", "result-1.pt"):
        assert same(*(torch.load(path.with_name(name)) for path in paths))
    assert paths[0].read_bytes() == paths[1].read_bytes()


def stop_at(step: int, monkeypatch) -> None:
    real, drawn = training._own_inputs, SimpleNamespace(count=0)

    def inputs(*arguments, **options):
        drawn.count += 1
        if drawn.count > step:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(training, "_own_inputs", inputs)


@pytest.mark.parametrize("step", [1, 3, 4, 7])
def test_one_process_goes_on_from_where_it_wrote_itself_down(step, tmp_path, monkeypatch):
    path = tmp_path / "kept.pt"
    with monkeypatch.context() as stopping, pytest.raises(KeyboardInterrupt):
        stop_at(step, stopping)
        train("ac", 8, resume=path, every=3)
    assert path.exists() == (step >= 3)
    with monkeypatch.context() as stopping:
        stop_at(8 - step // 3 * 3, stopping)  # it draws no batch twice that was written down
        again = train("ac", 8, resume=path, every=3)
    assert same(again, train("ac", 8))
    assert set(torch.load(path)) == {
        "key",
        "losses",
        "looks",
        "plateau",
        "over",
        "network",
    }  # no optimizer any more


OTHERS = {
    "seed": {"seed": 2},
    "schedule": {"lr": 2e-3},
    "weights": {"first": 2},
    "pictures": {"pictures": 2},
    "features": {"features": Videos("videos-9876543210")},
}


@pytest.mark.parametrize("other", OTHERS)
def test_what_belongs_to_another_training_is_not_taken(other, tmp_path):
    train("ac", 2, resume=tmp_path / "kept.pt")
    assert same(
        train("ac", 2, resume=tmp_path / "kept.pt", **OTHERS[other]), train("ac", 2, **OTHERS[other])
    )
    again = json.loads((tmp_path / "kept.key.json").read_text())["again"]
    words = {"weights": "its starting weights changed", "features": "its features changed"}
    assert again == words.get(other, "its settings changed")


class Harmful:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("form", ["torch", "pickle"])
def test_a_file_that_would_run_code_is_refused_and_runs_none(form, tmp_path):
    content = {"key": "", "losses": Harmful(tmp_path / "harmed")}
    path = tmp_path / "kept.pt"
    torch.save(content, path) if form == "torch" else path.write_bytes(pickle.dumps(content, 2))
    with pytest.raises(CheckpointError, match=r"kept.pt: .*") as refused:
        train("ac", 2, resume=path)
    assert "\n" not in str(refused.value) and not (tmp_path / "harmed").exists()


def test_a_file_that_is_no_training_is_refused(tmp_path):
    path = tmp_path / "kept.pt"
    torch.save({"weights": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="not the state of a training; remove it"):
        train("ac", 2, resume=path)
    train("ac", 2, resume=tmp_path / "whole.pt")
    path.write_bytes((tmp_path / "whole.pt").read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match="kept.pt: cannot be read"):
        train("ac", 2, resume=path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
