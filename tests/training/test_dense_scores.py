"""What f is shown: the clips that it learns from and scores are the file's pictures at those times."""

import numpy as np
import pandas as pd
import pytest
import torch

from scslib.datasets.manifest import write_dataset
from scslib.models.checkpoints import save_classifier
from scslib.models.classifiers import build_classifier
from scslib.models.views import ClassifierInput
from scslib.training.clips import read_training_clips
from scslib.training.dense_scores import classify, dense_scores
from tests.support.streams import FRAMES, RATE, every_frame


@pytest.fixture(scope="module")
def dataset(movie, tmp_path_factory):
    """One film, 40 frames, as both splits of a dataset; its action lasts from 0.6 s to 2.4 s."""
    folder = tmp_path_factory.mktemp("one")
    (folder / "v.mp4").write_bytes(movie.path.read_bytes())
    rows = [("a", "v.mp4", "pan", "train"), ("b", "v.mp4", "pan", "test")]
    return write_dataset(
        folder,
        name="one",
        classes=("pan",),
        videos=pd.DataFrame(rows, columns=["video_id", "path", "label", "split"]),
        segments=pd.DataFrame([("a", 0.6, 2.4)], columns=["video_id", "start_s", "end_s"]),
        licence="CC0-1.0",
        origin="this test",
    )


def pictures(dataset) -> np.ndarray:
    frames = every_frame(dataset.folder / "v.mp4")
    return np.stack([f.to_ndarray(format="rgb24") for f in frames]).astype(int)


@pytest.mark.parametrize("frame_rate, span", [(0.0, 8), (RATE / 2, 16), (2.0 * RATE, 4)])
def test_training_clips_are_the_pictures_at_their_times(dataset, tmp_path, frame_rate, span):
    view = ClassifierInput(8, 48, 32, frame_rate=frame_rate)
    options = {"per_video": 4, "segment_share": 0.0, "view": view, "seed": 0, "workers": 1}
    shards = read_training_clips(dataset, dataset.split("train"), tmp_path / "c", **options)
    clips, starts, frames = shards.get("a", "clips"), shards.get("a", "start_s"), pictures(dataset)
    assert clips.shape == (len(starts), 8, 48, 64, 3) and len(starts) >= 3
    for clip, start in zip(clips, starts, strict=True):
        first = round(start * RATE)
        seen = [first + int((i + 0.5) * span / 8) for i in range(8)]
        assert np.abs(clip.astype(int) - frames[seen]).mean() < 2  # colour conversion rounds
        other = frames[[(n + 5) % FRAMES for n in seen]]
        assert np.abs(clip.astype(int) - other).mean() > 4


def test_clips_inside_the_action_lie_inside_it(dataset, tmp_path):
    view = ClassifierInput(8, 48, 32)
    options = {"per_video": 3, "segment_share": 1.0, "view": view, "seed": 0, "workers": 1}
    shards = read_training_clips(dataset, dataset.split("train"), tmp_path / "c", **options)
    starts = shards.get("a", "start_s")
    assert len(starts) == 3 and len(set(starts)) == 3
    assert (starts >= 0.6 - 0.5 / RATE).all() and (starts + 8 / RATE <= 2.4 + 0.5 / RATE).all()


@pytest.mark.parametrize(("share", "outside"), [(1.0, 0), (0.9, 4)])
def test_where_the_action_has_too_few_clips_there_are_fewer(share, outside, dataset, tmp_path):
    """Others in their place would have the wrong label."""
    view = ClassifierInput(8, 48, 32)
    options = {"per_video": 40, "segment_share": share, "view": view, "seed": 0, "workers": 1}
    shards = read_training_clips(dataset, dataset.split("train"), tmp_path / "c", **options)
    starts = shards.get("a", "start_s")
    inside = (starts >= 0.6 - 0.5 / RATE) & (starts + 8 / RATE <= 2.4 + 0.5 / RATE)
    assert 3 <= inside.sum() < 30 and (~inside).sum() == outside


@pytest.mark.parametrize("crops", [1, 3])
def test_dense_scores_are_f_of_each_clip_on_its_own(dataset, tmp_path, crops):
    torch.manual_seed(0)
    network = build_classifier("mc3_18", 3, 4).eval()
    view, path = ClassifierInput(8, 48, 32, crops=crops), tmp_path / "f.safetensors"
    save_classifier(path, network, architecture="mc3_18", width=4, classes="abc", view=view)
    shards = dense_scores(dataset, dataset.split("test"), path, tmp_path / "d", workers=1)
    scores, features, frames = (
        shards.get("b", "probabilities"),
        shards.get("b", "features"),
        pictures(dataset),
    )
    assert scores.shape == (5, 3) and features.shape == (5, 32)
    for i in range(5):
        clip = frames[8 * i : 8 * i + 8].astype(np.uint8)
        cuts = [(8, 16)] if crops == 1 else [(8, x) for x in (0, 16, 32)]
        alone = [
            classify(network, ClassifierInput(8, 32, 32), clip[None, :, y : y + 32, x : x + 32])
            for y, x in cuts
        ]
        np.testing.assert_allclose(scores[i], np.mean(alone, axis=0)[0], atol=2e-3)


def test_scores_are_those_of_the_weights_wherever_they_lie(dataset, tmp_path):
    """A copy of f has been asked before; f with other weights, or shown something else, has not."""
    view, same, folders = ClassifierInput(8, 48, 32), {}, {}
    for name, seed, shown in (("f", 0, view), ("copy", 0, view), ("other", 1, view), ("small", 0, None)):
        torch.manual_seed(seed)
        network, path = build_classifier("mc3_18", 3, 4).eval(), tmp_path / name / "f.safetensors"
        shown = shown or ClassifierInput(8, 40, 32)
        save_classifier(path, network, architecture="mc3_18", width=4, classes="abc", view=shown)
        shards = dense_scores(dataset, dataset.split("test"), path, tmp_path / "d", workers=1)
        folders[name], same[name] = shards.folder, shards.get("b", "probabilities")
    assert folders["copy"] == folders["f"] and len(set(folders.values())) == 3
    assert len(list(tmp_path.glob("d-*"))) == 3
    np.testing.assert_array_equal(same["copy"], same["f"])
    assert np.abs(same["other"] - same["f"]).max() > 1e-4
