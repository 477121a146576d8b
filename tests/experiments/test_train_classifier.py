"""f of a run, its folds, and what happens when it only guesses."""

from dataclasses import replace

import pytest
import torch

from scslib.datasets.manifest import in_folds, training_parts
from scslib.datasets.synthetic.make import make_synthetic
from scslib.datasets.synthetic.plan import Synthetic
from scslib.experiments import train_classifier
from scslib.experiments.train_classifier import Beginning, ClassifierTraining
from scslib.jobs.run_folder import Run
from scslib.models.checkpoints import load_classifier, save_classifier
from scslib.models.classifiers import build_classifier
from scslib.models.views import ClassifierInput
from scslib.training.schedule import Schedule
from scslib.video.write import Encoding

SEEN = ClassifierInput(4, 20, 16, differences=True)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    small = Encoding(width=64, height=48, frame_rate=8, gop=8)
    spec = Synthetic(classes=2, train_videos=12, test_videos=2, duration_s=12.0, seed=3, encoding=small)
    return make_synthetic(tmp_path_factory.mktemp("drawn"), spec)


@pytest.fixture
def training(dataset, tmp_path):
    return ClassifierTraining(
        run=Run(tmp_path / "runs" / "one"),
        dataset=dataset,
        parts=training_parts(dataset.split("train"), 0.34),
        beginning=Beginning(dataset.classes, "", "mc3_18", 4, SEEN),
        stages=[(1.0, Schedule(2, batch=4)), (0.5, Schedule(1, batch=4))],
        frozen=False,
        clips_per_video=2,
        seed=5,
        attempts=3,
        device="cpu",
        workers=1,
    )


def assert_same(ours, theirs):
    for name, tensor in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], tensor, msg=name)


def test_one_that_guesses_is_trained_again_with_another_seed(training, monkeypatch):
    seeds, said = [], iter([0.5, 0.01, 0.0099, 0.0])
    trained = train_classifier.train_classifier
    monkeypatch.setattr(train_classifier, "p_of_guessing", lambda answers: next(said))
    monkeypatch.setattr(
        train_classifier,
        "train_classifier",
        lambda *args, seed, **more: seeds.append(seed) or trained(*args, seed=seed, **more),
    )
    f = training.train("f", training.parts.classifier, training.parts.held)
    assert f.trainings == 3 and f.guessing == 0.0099
    assert seeds == [5, 5, 1005, 1005, 2005, 2005]
    assert [len(losses) for losses in f.losses] == [2, 1]
    assert set(f.answers["video_id"]) == set(training.parts.held["video_id"])
    few = replace(training, attempts=2, run=Run(training.run.folder.with_name("few")))
    said = iter([0.5, 0.4])
    assert few.train("f", few.parts.classifier, few.parts.held).guessing == 0.4


def test_an_f_of_a_fold_has_not_seen_it_and_is_judged_by_it(training, monkeypatch):
    taught, trained = [], train_classifier.train_classifier
    monkeypatch.setattr(
        train_classifier,
        "train_classifier",
        lambda network, clips, labels, *args, **more: (
            taught.append(set(labels)) or trained(network, clips, labels, *args, **more)
        ),
    )
    found = replace(training, attempts=1).cross_fit(2)
    folds, mine = in_folds(training.parts.classifier, 2), set(training.parts.classifier["video_id"])
    assert len(found) == 2 and len(taught) == 4
    for number, fold in enumerate(folds):
        left_out = set(fold["video_id"])
        assert taught[2 * number] == taught[2 * number + 1] == mine - left_out and left_out < mine
        assert set(found[number].answers["video_id"]) == left_out
    pairs = zip(found[0].network.parameters(), found[1].network.parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in pairs)


def test_a_checkpoint_is_begun_with_and_written_as_what_it_is(dataset, tmp_path):
    torch.manual_seed(0)
    network, path = build_classifier("r2plus1d_18", 7, 4), tmp_path / "seven.safetensors"
    about = {"architecture": "r2plus1d_18", "width": 4, "classes": list("abcdefg"), "view": SEEN}
    save_classifier(path, network, **about)
    beginning = Beginning(dataset.classes, str(path), "mc3_18", 8, replace(SEEN, frames=9))
    assert beginning.view == SEEN  # the checkpoint's, and nothing of what was said of a new one
    ours = beginning.network(1)
    trunk = [name for name, _ in network.named_parameters() if not name.startswith("fc")]
    assert all(torch.equal(ours.get_parameter(n), network.get_parameter(n)) for n in trunk)
    beginning.save(tmp_path / "f.safetensors", ours)
    again, view, classes = load_classifier(tmp_path / "f.safetensors")
    assert view == SEEN and tuple(classes) == tuple(dataset.classes)
    assert_same(again, ours)
