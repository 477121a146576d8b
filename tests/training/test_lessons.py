"""What samplers learn from: every target comes from a classifier that has not seen the video."""

import json

import numpy as np
import pandas as pd
import pytest

from scslib.datasets.manifest import Dataset, Parts, in_folds
from scslib.experiments import material
from scslib.experiments.material import honest_scores, lessons_of
from scslib.jobs.run_folder import WorkspaceError, open_run
from scslib.jobs.shard_files import Shards

CLIPS = 3


def rows(*names):
    return pd.DataFrame({"video_id": list(names), "label": [name[0] for name in names], "path": ""})


PARTS = Parts(rows("a1", "a2", "b1", "b2"), rows("a3", "b3"), rows("a4"))


def dataset(tmp_path):
    none = pd.DataFrame(columns=["video_id", "start_s", "end_s"])
    return Dataset(tmp_path, "letters", ("a", "b"), pd.concat(PARTS), none, {})


class Stored(dict):
    """Arrays by video and name, as `Shards` gives them."""

    def get(self, video_id, name):
        return self[video_id][name]


def scored(videos, first):
    """Probabilities of two classes; those of the first class are `first`."""
    one = np.tile([first, 1 - first], (CLIPS, 1))
    return Stored({v: {"probabilities": one, "clip": np.arange(CLIPS)} for v in videos["video_id"]})


def test_every_video_is_scored_by_an_f_that_was_trained_without_it(tmp_path, monkeypatch):
    run, asked = open_run(tmp_path / "run"), []
    run.note(folds=2)
    for name in ("classifier", "classifier-fold0", "classifier-fold1"):
        run.checkpoint(name).parent.mkdir(parents=True, exist_ok=True)
        run.checkpoint(name).touch()
    kept = run.cache("dense-0")
    kept.mkdir(parents=True)
    status = [{"video_id": v, "shard": 0, "status": "ok"} for v in PARTS.held["video_id"]]
    (kept / "00000.json").write_text(json.dumps({"videos": status}))
    held = Shards(kept, pd.DataFrame(status))
    run.keep("dense-held", held, notebook="04", of=run.checkpoint("classifier"))
    monkeypatch.setattr(
        material, "dense_scores", lambda data, videos, path, *_, **__: asked.append((path.stem, videos))
    )
    found = honest_scores(run, dataset(tmp_path), PARTS, device="cpu", workers=1)
    scored_by = {name: set(videos["video_id"]) for name, videos in asked}
    assert set(found[0].status["video_id"]) == {"a3", "b3", "a4"}
    folds = [set(fold["video_id"]) for fold in in_folds(PARTS.classifier, 2)]
    assert scored_by == {"classifier-fold0": folds[0], "classifier-fold1": folds[1]}
    checkpoint = run.checkpoint("classifier")
    for suffix in (".json", ".safetensors"):  # another view with the same weights, and other weights
        checkpoint.with_suffix(suffix).write_bytes(b"another f")
        with pytest.raises(
            WorkspaceError, match="dense-held was made with another classifier; run notebook 04"
        ):
            honest_scores(run, dataset(tmp_path), PARTS, device="cpu", workers=1)
        checkpoint.with_suffix(".json").unlink(missing_ok=True)


def test_ac_learns_from_all_videos_and_rank_from_those_with_honest_scores(tmp_path):
    features = scored(pd.concat(PARTS), 0.0)
    folds = in_folds(PARTS.classifier, 2)
    dense = [scored(PARTS.held, 0.9), scored(folds[0], 0.6)]
    lessons = lessons_of(dataset(tmp_path), PARTS, features, dense)
    assert lessons.labels == {"a1": 0, "a2": 0, "b1": 1, "b2": 1, "a3": 0, "b3": 1}
    assert lessons.validation_labels == {"a4": 0}
    targets = {video_id: round(float(scores[0]), 3) for video_id, scores in lessons.targets.items()}
    assert targets == {"a3": 0.9, "b3": 0.1} | {
        v: {"a": 0.6, "b": 0.4}[v[0]] for v in folds[0]["video_id"]
    }
    assert set(lessons.validation_targets) == {"a4"}


def test_a_video_whose_clips_are_not_the_same_ones_teaches_rank_nothing(tmp_path):
    features, dense = scored(pd.concat(PARTS), 0.0), scored(PARTS.held, 0.9)
    dense["a3"]["clip"] = np.array([0, 2, 3])
    with pytest.warns(UserWarning, match=r"1 video.* teach no ranking: a3"):
        lessons = lessons_of(dataset(tmp_path), PARTS, features, [dense])
    assert set(lessons.targets) == {"b3"} and "a3" in lessons.labels
