"""The synthetic videos are what their plan says, and nothing but movement and sound tells the class.

The last part holds controls: classifiers that see only the file, only the plan or only single pictures
must stay near chance. Were one of them better, a sampler or f could win without seeing any action.
"""

import itertools
from dataclasses import replace

import av
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from scslib.datasets.synthetic import drawing, make, sound
from scslib.datasets.synthetic.drawing import draw_video
from scslib.datasets.synthetic.make import make_synthetic
from scslib.datasets.synthetic.plan import FILLERS, MOVES, OTHER, SOUNDS, Shot, Synthetic, plan_video
from scslib.datasets.synthetic.sound import sound_of
from scslib.evaluation.segments import overlap
from scslib.samplers.base import Setting
from scslib.samplers.extraction import extract_features
from scslib.samplers.features import FeatureSpec
from scslib.samplers.policies import top_k
from scslib.samplers.registry import make_sampler, sampler_names
from scslib.video.audio import SAMPLE_RATE
from scslib.video.clips import index_clips
from scslib.video.probe import probe
from scslib.video.write import Encoding
from tests.support.streams import every_frame, in_this_process

CONTROL_VIDEOS = 96
SMALL = Encoding(width=64, height=48, frame_rate=8, gop=8)


def tiny(**changes):
    spec = Synthetic(classes=2, train_videos=2, test_videos=2, duration_s=10, encoding=SMALL)
    return replace(spec, **changes)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A tiny dataset: (folder, its bytes by file name)."""
    folder = tmp_path_factory.mktemp("synthetic")
    make_synthetic(folder, tiny())
    return folder, content(folder)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """The videos of the controls: short and small, else made with the default parameters."""
    spec = Synthetic(
        train_videos=CONTROL_VIDEOS - 24,
        test_videos=24,
        duration_s=10,
        action_share=0.3,
        seed=5,
        encoding=Encoding(width=96, height=80, frame_rate=8, gop=8),
    )
    return make_synthetic(tmp_path_factory.mktemp("controls"), spec)


def content(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


# ------------------------------------------------------------------------------------- determinism


def test_the_same_seed_gives_the_same_bytes(made, tmp_path):
    make_synthetic(tmp_path, tiny())
    assert content(tmp_path) == made[1]


def test_another_seed_gives_other_videos(made, tmp_path):
    make_synthetic(tmp_path, tiny(seed=1))
    other = content(tmp_path)
    assert other.keys() == made[1].keys()
    same = [name for name in other if name.endswith(".mp4") and other[name] == made[1][name]]
    assert same == []


def test_the_seed_reaches_plan_picture_and_sound():
    shots = [Shot("action", 0.0, 1.0, "sway", "sway", True)]
    a, b = tiny(seed=0), tiny(seed=1)
    assert plan_video(a, 0, "sway") != plan_video(b, 0, "sway")
    assert (next(draw_video(a, 0, shots)) != next(draw_video(b, 0, shots))).mean() > 0.5
    assert (sound_of(a, 0, shots) != sound_of(b, 0, shots)).mean() > 0.5


def test_an_interrupted_run_goes_on(made, tmp_path, monkeypatch):
    make_synthetic(tmp_path, tiny())
    for name in ("dataset.json", "videos/v0001.mp4"):
        (tmp_path / name).unlink()
    written = []
    write = make.write_video
    monkeypatch.setattr(make, "map_processes", in_this_process)
    monkeypatch.setattr(make, "write_video", lambda p, *a: (written.append(p.name), write(p, *a)))
    make_synthetic(tmp_path, tiny())
    assert written == ["v0001.part.mp4"] and content(tmp_path) == made[1]


def test_a_folder_with_another_dataset_is_refused(made):
    with pytest.raises(ValueError, match="holds a dataset made with other parameters"):
        make_synthetic(made[0], tiny(seed=2))
    assert content(made[0]) == made[1]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"classes": 1}, r"classes \(1\) must be in 2\.\."),
        ({"classes": 99}, r"classes \(99\)"),
        ({"train_videos": 1}, r"train_videos \(1\) must be >= classes \(2\)"),
        ({"test_videos": 0}, r"test_videos \(0\)"),
        ({"duration_s": 2}, r"duration_s \(2\)"),
        ({"action_share": 1.5}, r"action_share \(1.5\) must be in 0\.\.1"),
        ({"decoy_bias": -0.1}, r"decoy_bias \(-0.1\)"),
    ],
)
def test_wrong_parameters_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        tiny(**change)


# ---------------------------------------------------------------------------- what was planned is there


def test_shots_fill_the_video_and_action_its_share():
    spec = Synthetic(seed=3)
    for number in range(40):
        label = spec.names[number % spec.classes]
        shots = plan_video(spec, number, label)
        assert shots[0].start_s == 0
        assert all(a.end_s == b.start_s for a, b in itertools.pairwise(shots))
        duration = shots[-1].end_s
        assert 0.99 * spec.duration_s <= duration <= 1.11 * spec.duration_s
        spent = {kind: 0.0 for kind in ("action", "decoy")}
        for shot in shots:
            spent[shot.kind] = spent.get(shot.kind, 0.0) + shot.end_s - shot.start_s
            assert (shot.movement == label) == (shot.kind == "action")
            assert (shot.movement is not None) == (shot.kind in ("action", "decoy"))
            assert shot.sound in (
                (None, label) if shot.kind == "action" else (None, shot.movement, OTHER)
            )
            assert shot.together or shot.kind != "action"
        assert spent["action"] / duration == pytest.approx(spec.action_share, rel=0.02)
        assert spent["decoy"] / duration == pytest.approx(spec.decoy_share, rel=0.3)


def test_segments_are_where_the_action_is_seen(tmp_path, monkeypatch):
    """Pictures are painted white while the action lasts; read back, the segments must be white."""

    def paint(scene, t):
        return np.full((*scene.shape, 3), 230 if scene.is_action else 20, np.uint8)

    start = drawing._Scene.__init__

    def remember(scene, rng, spec, shot):
        start(scene, rng, spec, shot)
        scene.is_action = shot.kind == "action"

    monkeypatch.setattr(drawing._Scene, "__init__", remember)
    monkeypatch.setattr(drawing._Scene, "draw", paint)
    monkeypatch.setattr(make, "map_processes", in_this_process)
    data = make_synthetic(tmp_path, tiny(action_share=0.3))
    for video_id in data.videos["video_id"]:
        frames = every_frame(data.path(video_id))
        seen = np.array([frame.to_ndarray(format="gray").mean() > 125 for frame in frames])
        times = np.array([frame.time for frame in frames])
        spans = data.segments_of(video_id)
        said = np.any([(times >= start) & (times < end) for start, end in spans], axis=0)
        assert seen.any() and (seen == said).mean() > 0.97  # rounded to 1 ms at the borders
        duration = probe(data.path(video_id)).duration_s
        assert np.diff(spans).sum() / duration == pytest.approx(0.3, abs=0.02)


def test_sound_is_where_the_plan_says():
    """The class's voice is in the shots that have it, and in no other; what else sounds is elsewhere."""
    spec = Synthetic(
        duration_s=30, action_share=0.2, seed=4, sound_in_action=1, sound_in_decoy=0, sound_elsewhere=0.4
    )
    for number, label in enumerate(spec.names):
        shots = plan_video(spec, number, label)
        sound = sound_of(spec, number, shots)
        assert sound.dtype == np.float32 and abs(sound).max() <= 1
        assert len(sound) == round(shots[-1].end_s * SAMPLE_RATE)
        loud = {label: [], OTHER: [], None: []}
        pitch, _, drift = SOUNDS[label]
        low, high = (pitch * 0.95 ** (1 + abs(drift)) * 2 ** (s * abs(drift) / 2) for s in (-1, 1))
        high *= 1.1
        for shot in shots:
            part = sound[round(shot.start_s * SAMPLE_RATE) : round(shot.end_s * SAMPLE_RATE)]
            power = abs(np.fft.rfft(part)) ** 2 / len(part)
            hertz = np.fft.rfftfreq(len(part), 1 / SAMPLE_RATE)
            loud[shot.sound].append(power[(hertz > low) & (hertz < high)].mean())
        assert min(loud[label]) > 1.5 * max(loud[None]), label
        assert np.median(loud[label]) > 5 * np.median(loud[OTHER] or [0]), label


def test_a_part_of_the_videos_is_silent(tmp_path):
    """So many have no audio track; their pictures are those of the video that can be heard."""
    spec = Synthetic(2, 4, 4, 10.0, encoding=Encoding(32, 32, 2))
    heard, half = (
        make_synthetic(tmp_path / name, replace(spec, silent_share=share))
        for name, share in (("heard", 0.0), ("half", 0.5))
    )
    silent = {v for v in half.videos["video_id"] if not probe(half.path(v)).has_audio}
    assert 2 <= len(silent) <= 6
    assert all(probe(heard.path(v)).has_audio for v in heard.videos["video_id"])
    for video_id in silent:
        with av.open(str(heard.path(video_id))) as a, av.open(str(half.path(video_id))) as b:
            packets = [[bytes(p) for p in c.demux(c.streams.video[0])] for c in (a, b)]
        assert packets[0] == packets[1]


def places(monkeypatch, spec, number, shot) -> np.ndarray:
    """Where the two actors of a shot are pasted: (frames, 2, 2), x and y."""
    centres = []
    with monkeypatch.context() as patch:
        patch.setattr(drawing, "_paste", lambda picture, sprite, centre: centres.append(centre))
        list(draw_video(spec, number, [shot]))
    return np.array(centres).reshape(-1, 2, 2)


def test_two_actors_perform_the_movement_against_each_other(monkeypatch):
    """Their centres follow the class's curve; in step, where they do not act together."""
    spec = Synthetic(seed=6)
    for number, label in enumerate(spec.names):
        for together, sign in ((True, -1), (False, 1)):
            shot = Shot("action", 0.0, 4.0, label, together=together)
            first, second = places(monkeypatch, spec, number, shot).swapaxes(0, 1)
            assert len(first) == 4 * spec.encoding.frame_rate
            curve = np.array([MOVES[label](t) for t in np.arange(0, 4, 0.01)])
            assert (np.ptp(first, axis=0) > 5).tolist() == (np.ptp(curve, axis=0) > 0).tolist(), label
            moved = [path - path.mean(0) for path in (first, second)]
            np.testing.assert_allclose(moved[1], sign * moved[0], atol=1e-6)


def seen_of(monkeypatch, spec, shots: int) -> dict[str, np.ndarray]:
    """For each kind of shot with movement: its actors' size, width and speed, a row each."""
    found, sizes = {}, []
    sprite = drawing._sprite
    with monkeypatch.context() as patch:
        patch.setattr(drawing, "_sprite", lambda rng, size: (sizes.append(size), sprite(rng, size))[1])
        for number in range(shots):
            for kind in ("action", "decoy", "stroll"):
                movement = None if kind == "stroll" else spec.names[number % spec.classes]
                shot = Shot(kind, 0.0, 20.0, movement, together=kind == "action")
                sizes.clear()
                path = places(monkeypatch, spec, number, shot)
                steps = np.diff(path, axis=0) * spec.encoding.frame_rate
                speed = np.sqrt((steps**2).sum(2).mean(0))
                apart = np.linalg.norm(path[:, 0] - path[:, 1], axis=1).mean()
                found.setdefault(kind, []).append([np.mean(sizes), speed.mean(), apart])
    return {kind: np.array(rows) for kind, rows in found.items()}


def unlike(found: dict[str, np.ndarray]) -> list[str]:
    """What differs between the kinds: two-sample tests of size, speed and distance."""
    what = ("size", "speed", "distance")
    return [
        f"{name} of {kind}"
        for kind in ("decoy", "stroll")
        for column, name in enumerate(what)
        if stats.ks_2samp(found["action"][:, column], found[kind][:, column]).pvalue < 0.001
    ]


def test_size_speed_and_distance_do_not_tell_an_action(monkeypatch):
    spec = Synthetic(seed=11, encoding=Encoding(width=160, height=128, frame_rate=24))
    found = seen_of(monkeypatch, spec, 60)
    assert unlike(found) == []
    for column in range(3):  # and it is not the test that is blind: a quarter more would be seen
        larger = found | {"action": found["action"].copy()}
        larger["action"][:, column] *= 1.25
        assert unlike(larger)


def test_loudness_does_not_tell_an_action():
    """What is heard of a voice of a class and of any other: their energies, over many shots."""
    rng, energies = np.random.default_rng(3), {}
    for name in ("class", OTHER):
        for number in range(200):
            own = list(SOUNDS)[number % 6] if name == "class" else OTHER
            beats = sound._beats(rng, sound._voice(rng, own), 2 * SAMPLE_RATE)
            energies.setdefault(name, []).append(float((beats**2).mean()))
    assert stats.ks_2samp(*energies.values()).pvalue > 0.01


def test_no_rule_without_training_finds_the_action(tmp_path):
    """None picks half as many clips of the action as there are; were its actors larger, one would."""
    spec = Synthetic(train_videos=6, test_videos=6, duration_s=60, seed=12)
    shares = {name: rule_shares(spec, tmp_path / name) for name in ("alike",)}
    worst = max(shares["alike"], key=shares["alike"].get)
    assert shares["alike"][worst] < 0.35, shares
    with pytest.MonkeyPatch.context() as patch:
        start = drawing._Scene.__init__

        def old(scene, rng, spec, shot):
            wide = (38, 50) if shot.kind == "action" else (9, 17)
            with pytest.MonkeyPatch.context() as inner:
                inner.setattr(drawing, "SIZES", wide)
                start(scene, rng, spec, shot)

        patch.setattr(drawing._Scene, "__init__", old)
        patch.setattr(make, "map_processes", in_this_process)
        assert max(rule_shares(spec, tmp_path / "old").values()) > 0.5


def rule_shares(spec, folder) -> dict[str, float]:
    """For each rule the share of its six highest clips that lie in the action, over the test videos."""
    data = make_synthetic(folder / "data", spec)
    test = data.split("test")
    features = extract_features(data, test, folder / "features", FeatureSpec(iframe_size=48), workers=1)
    shares = {}
    for rule in [make_sampler(name, Setting()) for name in sampler_names("")]:
        of_videos = []
        for video_id in test["video_id"]:
            start, end = features.get(video_id, "times").T
            inside = overlap(start, end, data.segments_of(video_id)) / (end - start)
            of_videos.append(inside[top_k(rule.saliency(features, video_id), 6)].mean())
        shares[rule.name] = float(np.mean(of_videos))
    return shares


# --------------------------------------------------------------------------------------- the controls


def accuracy(features, labels, model, groups=None):
    """Cross-validated accuracy; rows of one group are one video and vote together."""
    labels = np.asarray(labels)
    groups = np.arange(len(labels)) if groups is None else np.asarray(groups)
    first = np.unique(groups, return_index=True)[1]
    votes = np.zeros((len(first), len(set(labels))))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    for train, test in folds.split(first, labels[first]):
        inside, outside = np.isin(groups, groups[first][train]), np.isin(groups, groups[first][test])
        model.fit(features[inside], labels[inside])
        voices = model.predict_proba(features[outside])
        for vote, group in zip(voices, groups[outside], strict=True):
            votes[np.flatnonzero(groups[first] == group)[0]] += vote
    return float((model.classes_[votes.argmax(1)] == labels[first]).mean())


def models():
    yield make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300))
    yield ExtraTreesClassifier(100, min_samples_leaf=2, random_state=0)


def near_chance(labels):
    """Chance and three standard deviations of a guesser's accuracy."""
    chance = 1 / len(set(labels))
    return chance + 3 * np.sqrt(chance * (1 - chance) / len(labels))


def assert_near_chance(features, labels, groups=None):
    names = labels if groups is None else pd.Series(labels).groupby(np.asarray(groups)).first()
    for model in models():
        found = accuracy(features, labels, model, groups)
        assert found < near_chance(list(names)), f"{model}: {found:.2f}"


def file_features(path):
    """What a file tells without a look at its pictures: sizes, rates, keyframes, packets."""
    info, index = probe(path), index_clips(path)
    keys, deltas = index.size[index.key], index.size[~index.key]
    with av.open(str(path)) as container:
        audio = sum(p.size for p in container.demux(audio=0))
    return [
        info.size_bytes,
        8 * info.size_bytes / info.duration_s,
        info.duration_s,
        info.frame_rate,
        len(index.pts),
        index.key.sum(),
        np.diff(np.flatnonzero(index.key)).mean(),
        keys.mean(),
        keys.std(),
        deltas.mean(),
        deltas.std(),
        audio,
    ]


def picture_features(picture):
    """A picture in 28 numbers: its grey at 4 x 4, mean and spread of each colour, strength of edges."""
    height, width = (side // 4 * 4 for side in picture.shape[:2])
    grey = picture.mean(2)
    small = grey[:height, :width].reshape(4, height // 4, 4, width // 4).mean((1, 3))
    colours = [*picture.mean((0, 1)), *picture.std((0, 1))]
    edges = [abs(np.diff(grey, axis=axis)).reshape(-1) for axis in (0, 1)]
    texture = [value for e in edges for value in (e.mean(), e.std(), np.percentile(e, 95))]
    return np.array([*small.ravel(), *colours, *texture])


def test_the_file_does_not_tell_the_class(many):
    features = np.array([file_features(many.path(v)) for v in many.videos["video_id"]])
    assert len(features) == CONTROL_VIDEOS
    assert np.ptp(features[:, 6]) == 0  # one GOP length for all
    assert_near_chance(features, list(many.videos["label"]))


def test_pictures_of_the_action_do_not_tell_the_class(many):
    """Four pictures out of the annotated segments of each encoded video."""
    rows, labels, groups = [], [], []
    for video in many.videos.itertuples():
        spans = many.segments_of(video.video_id)
        frames = every_frame(many.path(video.video_id))
        inside = [f for f in frames if np.any((f.time >= spans[:, 0]) & (f.time < spans[:, 1]))]
        for frame in inside[:: max(1, len(inside) // 4)][:4]:
            rows.append(picture_features(frame.to_ndarray(format="rgb24")))
            labels.append(video.label)
            groups.append(video.video_id)
    assert len(set(groups)) == CONTROL_VIDEOS
    assert_near_chance(np.array(rows), labels, groups)


def test_single_drawn_pictures_do_not_tell_the_class():
    """Nothing but action, before encoding: more pictures, so that a smaller leak would be seen."""
    spec, rows, labels = Synthetic(seed=8), [], []
    for number in range(600):
        label = spec.names[number % spec.classes]
        pictures = draw_video(spec, number, [Shot("action", 0.0, 2.0, label, together=True)])
        rows.append(picture_features(next(itertools.islice(pictures, number % 4, None))))
        labels.append(label)
    assert_near_chance(np.array(rows), labels)


def test_plans_do_not_tell_the_class():
    """Lengths, counts and places of the shots, for many more videos than could be encoded here."""
    spec, rows, labels = Synthetic(seed=9), [], []
    for number in range(900):
        label = spec.names[number % spec.classes]
        shots = plan_video(spec, number, label)
        action = [s for s in shots if s.kind == "action"]
        lengths = [s.end_s - s.start_s for s in action]
        kinds = [sum(s.kind == kind for s in shots) for kind in FILLERS]
        spans = [len(action), min(lengths), max(lengths), action[0].start_s, action[-1].end_s]
        heard = [sum(s.sound is not None for s in shots), len(shots), shots[-1].end_s]
        rows.append(kinds + spans + heard)
        labels.append(label)
    assert_near_chance(np.array(rows, float), labels)


def test_the_controls_would_find_a_leak():
    """The same pictures, one class with 30 of 255 levels more red: the control must see it."""
    spec, rows, labels = Synthetic(seed=8, classes=2), [], []
    for number in range(120):
        label = spec.names[number % 2]
        picture = next(
            draw_video(spec, number, [Shot("action", 0.0, 1.0, label, together=True)])
        ).astype(int)
        picture[..., 0] += 30 * (number % 2)
        rows.append(picture_features(np.clip(picture, 0, 255)))
        labels.append(label)
    found = [accuracy(np.array(rows), labels, model) for model in models()]
    assert max(found) > near_chance(labels), found
