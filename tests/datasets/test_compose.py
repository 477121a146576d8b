"""Composed videos hold what they say; their files say nothing: one encoding, no source in both splits.

The made material is coloured: clips of class `jump` are red, of `sit` blue, distractors green. The two
classes differ in everything that a file can show (codec, size, frame rate, sound).
"""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest

from scslib.datasets import compose, plans
from scslib.datasets.compose import make_composed
from scslib.datasets.composition import Composition
from scslib.datasets.distractors import DistractorPool
from scslib.datasets.manifest import DatasetError, training_parts
from scslib.datasets.pieces import Piece, piece_pictures, piece_sound
from scslib.datasets.plans import choose_test_groups, deal_videos, plan_all_composed, plan_composed
from scslib.datasets.sources import Source
from scslib.video.audio import SAMPLE_RATE, iter_samples
from scslib.video.clips import index_clips
from scslib.video.probe import probe
from scslib.video.write import Encoding, write_video
from tests.support.streams import every_frame, in_this_process

SMALL = Encoding(width=64, height=48, frame_rate=8, gop=8)
RED, GREEN, BLUE = np.eye(3, dtype=np.uint8) * 200
SPEC = Composition(
    train_videos=4,
    test_videos=2,
    duration_s=12,
    action_share=0.25,
    hard_share=0,
    piece_s=(1, 2),
    encoding=SMALL,
)


def clip(path, colour, seconds, *, rate=8, size=(64, 48), codec="h264", sound=True, place=0):
    """A file of one colour; a dark patch at place number `place` makes its content its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    encoding = Encoding(*size, rate, 4, codec, 20 if codec == "h264" else 4)
    picture = np.tile(colour, (size[1], size[0], 1))
    picture[place // 8 * 6 :, place % 8 * 6 :][:6, :6] = 0
    hum = 0.3 * np.sin(np.arange(round(seconds * SAMPLE_RATE)) / 8).astype(np.float32)
    write_video(path, [picture] * round(seconds * rate), hum if sound else None, encoding)
    return path


def make_material(folder):
    for group in ("g01", "g02", "g03"):
        for c in (1, 2):
            place = int(group[-1]) * 4 + c
            name = f"{group}_c{c}"
            path = folder / f"clips/jump/v_{name}.avi"
            clip(path, RED, 1.6, rate=10, codec="mpeg4", sound=False, place=place)
            clip(folder / f"clips/sit/v_{name}.mp4", BLUE, 2.4, rate=15, size=(96, 48), place=place)
    for i in range(12):
        clip(folder / f"other/{'ab'[i % 2]}/d{i}.mp4", GREEN, 6.0, size=(48, 80), place=i)
    return folder


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    return make_material(tmp_path_factory.mktemp("material"))


@pytest.fixture
def own(tmp_path):
    """Material that a test may spoil."""
    return make_material(tmp_path)


@pytest.fixture(scope="module")
def made(material, tmp_path_factory):
    return composed(material, tmp_path_factory.mktemp("made"))


def composed(material, folder, **changes):
    spec = replace(SPEC, **changes)
    return make_composed(material / "clips", folder, spec, distractors=material / "other")


def content(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def heard(path):
    """The loudness of a file's sound: root mean square of its samples."""
    return float(np.sqrt(np.mean(np.concatenate([s for _, s in iter_samples(path)]) ** 2)))


# --------------------------------------------------------------------------------------- the whole


def test_all_files_are_alike(made):
    seen = set()
    for video_id in made.videos["video_id"]:
        path = made.path(video_id)
        info, index = probe(path), index_clips(path)
        keys = tuple(np.diff(np.flatnonzero(index.key)))
        seen.add((info.codec, info.width, info.height, info.frame_rate, info.audio_codec, keys[:8]))
        with av.open(str(path)) as container:
            assert set(container.metadata) <= {"major_brand", "minor_version", "compatible_brands"}
    assert seen == {("h264", 64, 48, 8.0, "aac", (8,) * 8)}


def test_tables_say_what_was_made(made):
    videos = made.videos
    assert made.classes == ("jump", "sit") and made.about["licence"] == "of the sources"
    assert videos.groupby(["split", "label"]).size().to_dict() == {
        ("train", "jump"): 2,
        ("train", "sit"): 2,
        ("test", "jump"): 1,
        ("test", "sit"): 1,
    }
    assert set(videos.loc[videos.split == "test", "group"]) == set(made.about["test_groups"])
    assert made.about["made_with"]["seed"] == 0
    told = " ".join(made.about["notes"])
    assert "codec gives the class away" in told and "sound gives the class away" in told
    assert str(made.folder.parent) not in json.dumps(made.about)


def test_segments_are_where_the_class_is_seen(made):
    pieces = pd.read_csv(made.folder / "pieces.csv")
    for video in made.videos.itertuples():
        frames = every_frame(made.path(video.video_id))
        colours = np.array([f.to_ndarray(format="rgb24").mean((0, 1)).argmax() for f in frames])
        times = np.array([f.time for f in frames]) + 1e-3
        spans = made.segments_of(video.video_id)
        said = np.any([(times >= start) & (times < end) for start, end in spans], axis=0)
        assert set(colours[said]) == {0 if video.label == "jump" else 2}
        assert set(colours[~said]) == {1}
        assert said.mean() == pytest.approx(SPEC.action_share, abs=0.01)
        assert (spans[1:, 0] > spans[:-1, 1]).all()  # pieces that touch are one segment
        end_s = pieces.loc[pieces.video_id == video.video_id, "end_s"].max()
        assert len(frames) / SMALL.frame_rate == pytest.approx(end_s, abs=1e-3)
        assert probe(made.path(video.video_id)).duration_s == pytest.approx(end_s, abs=1e-3)
        assert SPEC.duration_s <= end_s <= 1.1 * SPEC.duration_s + 0.1


def test_no_source_is_in_both_splits(made):
    pieces = pd.read_csv(made.folder / "pieces.csv").merge(made.videos, on="video_id")
    used = {s: set(rows["source"]) for s, rows in pieces.groupby("split")}
    assert used["train"] and used["test"] and not used["train"] & used["test"]
    groups = {s: set(rows["group"]) for s, rows in made.videos.groupby("split")}
    assert not groups["train"] & groups["test"]
    action = pieces[pieces["kind"] == "action"]
    assert (action["source"].str.split("/").str[0] == action["label"]).all()
    assert all(group in name for group, name in zip(action["group"], action["source"], strict=True))


def test_every_file_has_sound_or_none_has(made, material, tmp_path):
    """`keep`: distractors are heard in all; `silence`: every track is there, and empty."""
    assert min(heard(made.path(v)) for v in made.videos["video_id"]) > 0.05
    quiet = composed(material, tmp_path, sound="silence", train_videos=2)
    assert all(probe(quiet.path(v)).audio_codec == "aac" for v in quiet.videos["video_id"])
    assert max(heard(quiet.path(v)) for v in quiet.videos["video_id"]) < 1e-4


# ------------------------------------------------------------------------------------- determinism


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(made, material, tmp_path):
    composed(material, tmp_path / "again")
    assert content(tmp_path / "again") == content(made.folder)
    other = content(composed(material, tmp_path / "other", seed=1).folder)
    first = content(made.folder)
    assert not [n for n in other if n.endswith(".mp4") and other[n] == first.get(n)]


def test_an_interrupted_run_goes_on(made, material, tmp_path, monkeypatch):
    composed(material, tmp_path)
    for name in ("dataset.json", "videos.csv", "videos/v0002.mp4"):
        (tmp_path / name).unlink()
    written, write = [], compose.write_video
    monkeypatch.setattr(compose, "map_processes", in_this_process)
    monkeypatch.setattr(compose, "write_video", lambda p, *a: (written.append(p.name), write(p, *a)))
    composed(material, tmp_path)
    assert written == ["v0002.part.mp4"] and content(tmp_path) == content(made.folder)


def test_other_parameters_or_sources_never_mix(made, material, own):
    with pytest.raises(DatasetError, match="holds a dataset made with other parameters or sources"):
        composed(material, made.folder, seed=3)
    clip(own / "other/a/new.mp4", GREEN, 2.5, place=35)
    with pytest.raises(DatasetError, match="holds a dataset made with other parameters or sources"):
        composed(own, made.folder)


# ----------------------------------------------------------------------------------- plans and dealing


def fake(count, label="", seconds=3.0, group=""):
    return [Source(Path("x"), f"{label}{i}.mp4", label, group, seconds=seconds) for i in range(count)]


def lent(sources):
    """As for a single video, which may have all of them."""
    return DistractorPool(sources, 1.0, 1)


@pytest.mark.parametrize("seconds", [0.1, 0.9, 2.0, 3.3, 60.0])
def test_plans_fill_the_video_with_pieces_that_fit(seconds):
    spec = Composition(seed=2)
    for number in range(10):
        others = fake(round(100 / seconds) + 1, seconds=seconds)
        pieces = plan_composed(spec, number, fake(4, "a", seconds), lent([]), lent(others))
        rate = spec.encoding.frame_rate
        assert pieces[0].start_s == 0
        assert all(a.end_s == b.start_s for a, b in zip(pieces, pieces[1:], strict=False))
        for piece in pieces:
            length = piece.end_s - piece.start_s
            assert length == pytest.approx(piece.frames / rate) and piece.frames > 0
            assert piece.source_start_s >= 0
            assert piece.source_start_s + length <= seconds + 1 / rate
            assert length <= 1.5 * spec.piece_s[1]
            assert seconds < 2 or length >= spec.piece_s[0] / 2 - 1 / rate  # no flashes
        action = sum(p.end_s - p.start_s for p in pieces if p.is_action)
        assert action / pieces[-1].end_s == pytest.approx(spec.action_share, abs=0.01)


def test_plans_do_not_depend_on_the_class():
    """The same video number with clips of another class has the same pieces at the same times."""
    spec = Composition()
    clips = fake(4, "a") + fake(4, "b") + fake(4, "c")
    planned = [
        plan_composed(spec, 5, fake(4, label), lent(clips), lent(fake(40))) for label in ("a", "b")
    ]
    times = [[(p.start_s, p.end_s, p.kind) for p in plan] for plan in planned]
    assert times[0] == times[1]


def test_ids_do_not_tell_the_class():
    classes = [f"c{i}" for i in range(5)]
    clips = [s for name in classes for g in ("g1", "g2") for s in fake(1, name, group=g)]
    dealt = [label for label, _ in plans._deal(clips, classes, 100, Composition(), "train")]
    assert {dealt.count(name) for name in classes} == {20}
    same = [a == b for a, b in zip(dealt, dealt[5:], strict=False)]
    assert np.mean(same) < 0.5  # dealt out in turn it would be 1


def test_test_groups_are_the_same_for_all_classes_and_leave_each_some():
    rare = fake(1, "rare", group="g1") + fake(1, "rare", group="g2")
    clips = rare + [s for i in range(1, 9) for s in fake(1, "common", group=f"g{i}")]
    for seed in range(20):
        test = choose_test_groups(clips, Composition(seed=seed))
        assert len(test) == 2 and len(test & {"g1", "g2"}) == 1
        assert test == choose_test_groups(clips[::-1], Composition(seed=seed))
    assert choose_test_groups(clips, Composition(test_groups=("g1", "g8"))) == {"g1", "g8"}
    with pytest.raises(DatasetError, match="class 'rare' needs clips in train and in test groups"):
        choose_test_groups(clips, Composition(test_groups=("g3",)))
    with pytest.raises(DatasetError, match="test group 'g9' is none of"):
        choose_test_groups(clips, Composition(test_groups=("g9",)))


def many(classes=5, groups=8, distractors=400, seconds=4.0):
    """(actions, distractors): of each class two clips a group."""
    actions = [
        Source(Path("x"), f"c{c}/g{g}_{i}", f"c{c}", f"g{g}", seconds=4.0)
        for c in range(classes)
        for g in range(groups)
        for i in range(2)
    ]
    others = [Source(Path("other"), f"d{i}_{i // 3}.mp4", seconds=seconds) for i in range(distractors)]
    return actions, others


def planned(spec, actions, others):
    classes = sorted({s.label for s in actions})
    videos = deal_videos(actions, classes, choose_test_groups(actions, spec), spec)
    pieces = compose._piece_table(plan_all_composed(spec, videos, actions, others))
    return videos, pieces.merge(videos, on="video_id")


def test_no_distractor_is_in_two_parts_nor_in_more_videos_than_was_said():
    spec = Composition(duration_s=60, distractor_pattern=r"_(\d+)\.")
    videos, pieces = planned(spec, *many())
    assert set(videos["part"]) == {"classifier", "samplers", "validation", "test"}
    found = pieces[pieces["kind"] == "distractor"]
    assert (found.groupby("source")["part"].nunique() == 1).all()
    origin = found["source"].str.extract(r"_(\d+)\.")[0]
    assert (found.groupby(origin)["part"].nunique() == 1).all()
    videos_of = videos["part"].value_counts()
    for part, rows in pieces[pieces["kind"] != "action"].groupby("part"):
        most = rows.groupby("source")["video_id"].nunique().max()
        assert most <= max(1, 0.2 * videos_of[part]), part


def test_who_learns_from_a_composed_video_is_in_its_table():
    videos, _ = planned(Composition(duration_s=60), *many())
    parts = training_parts(videos[videos["split"] == "train"], held_out=0.9, validation=0.5)
    for name, rows in zip(parts._fields, parts, strict=True):
        assert set(rows["video_id"]) == set(videos.loc[videos["part"] == name, "video_id"])
    with pytest.raises(DatasetError, match=r"part \('mine'\) must be one of classifier, samplers"):
        training_parts(videos.assign(part="mine"), held_out=0.5)
    groups = [set(zip(rows["label"], rows["group"], strict=True)) for rows in parts]
    assert not groups[0] & groups[1] and not groups[1] & groups[2] and not groups[0] & groups[2]


def test_other_classes_are_hard_distractors_and_shorter_than_the_action():
    spec = Composition(duration_s=60)
    videos, pieces = planned(spec, *many())
    length = pieces["end_s"] - pieces["start_s"]
    shown = pieces["source"].str.split("/").str[0]
    hard = pieces["kind"] == "other action"
    assert (shown[hard] != pieces["label"][hard]).all()
    for video_id, rows in pieces[hard].groupby("video_id"):
        seconds = length[rows.index].groupby(shown[rows.index]).sum()
        action = length[(pieces["video_id"] == video_id) & (pieces["kind"] == "action")].sum()
        assert seconds.max() <= action / 2 + 0.1, video_id
    share = length[hard].sum() / length[pieces["kind"] != "action"].sum()
    assert 0.1 < share <= 0.21
    none, pieces = planned(replace(spec, hard_share=0.0), *many())
    assert "other action" not in set(pieces["kind"])


def test_each_source_of_the_test_videos_has_three_of_them():
    videos, _ = planned(Composition(duration_s=60, test_videos=30, test_share=0.6), *many())
    test = videos[videos["split"] == "test"]
    assert test.groupby(["label", "group"]).size().min() >= 3
    assert test.groupby("label")["group"].nunique().min() == 2


def test_too_few_distractors_are_refused_in_words_and_what_they_name_suffices():
    actions, others = many(distractors=90, seconds=2.2)
    spec = Composition()
    with pytest.raises(DatasetError, match="distractors of .* s together for .* videos; each") as caught:
        planned(spec, actions, others)
    said = str(caught.value)
    assert "none may be in more than" in said and "\n" not in said
    shorter = float(said.split("--duration-s ")[1].split(",")[0])
    assert shorter < spec.duration_s / 2
    _, pieces = planned(replace(spec, most_share=1.0), actions, [*others, *many(distractors=900)[1]])
    assert len(pieces)
    with pytest.raises(DatasetError, match="3 sources of distractors, at least 4 are needed, one each"):
        planned(spec, actions, others[:3])


def test_a_distractor_comes_as_often_in_a_video_as_was_said_and_fills_it():
    actions, others = many(distractors=90, seconds=2.2)
    videos, pieces = planned(Composition(most_share=0.8, most_times=3), actions, others)
    easy = pieces[pieces["kind"] == "distractor"]
    often = easy.groupby(["video_id", "source"]).size()
    assert 1 < often.max() <= 3
    for part, rows in videos.groupby("part"):
        shown = easy[easy["video_id"].isin(rows["video_id"])]
        used = shown.groupby("source")["video_id"].nunique()
        assert used.max() <= max(1, 0.8 * len(rows)), part


# ------------------------------------------------------------------------------------------ pieces


def grey_at(time):
    """The grey level that says what time it is: rising for 4 s, and again from the beginning."""
    return 20 + 50 * (np.asarray(time) % 4)


def timed(path, times, size=(64, 48)):
    """A file whose picture at `t` seconds is `grey_at(t)`; `times` are its pts."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=30, options={"g": "5", "qmin": "1", "qmax": "2"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for time in times:
            grey = np.full((size[1], size[0], 3), round(grey_at(time)), np.uint8)
            frame = av.VideoFrame.from_ndarray(grey, format="rgb24")
            frame.pts, frame.time_base = round(1000 * time), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


UNEVEN = np.cumsum(np.random.default_rng(0).uniform(0.02, 0.15, 60))


@pytest.mark.parametrize(
    "times, start_s",
    [
        (np.arange(0, 4, 1 / 10), 0.55),
        (np.arange(0, 4, 1 / 29.97), 1.0),
        (UNEVEN - UNEVEN[0], 0.7),
        (np.arange(5, 9, 1 / 25), 0.5),  # pictures that begin late
        (np.arange(0, 14, 1 / 10), 11.25),  # far enough to be sought
    ],
    ids=["10 a second", "29.97 a second", "uneven", "late", "sought"],
)
def test_a_second_stays_a_second(tmp_path, times, start_s):
    path = timed(tmp_path / "timed.mkv", times)
    source = Source(tmp_path, path.name, first_s=float(times[0]), seconds=float(np.ptp(times)))
    piece = Piece(source, start_s, 16, 0.0, 2.0)
    grey = np.array([picture.mean() for picture in piece_pictures(piece, SMALL)])
    moments = times[0] + start_s + np.arange(16) / SMALL.frame_rate
    shown = times[np.searchsorted(times, moments + 1e-3, side="right") - 1]
    assert len(grey) == 16
    assert abs(grey - grey_at(shown)).max() < 2.0  # of 50 levels a second: within 1/25 s


def test_pictures_are_cut_at_the_centre(tmp_path):
    """Red, green, blue side by side, three times as wide as high: only the middle is left."""
    picture = np.repeat(np.stack([RED, GREEN, BLUE]), 64, axis=0)[None].repeat(64, axis=0)
    write_video(tmp_path / "wide.mp4", [picture] * 8, None, Encoding(192, 64, 8, 8, quality=10))
    piece = Piece(Source(tmp_path, "wide.mp4", seconds=1.0), 0.0, 4, 0.0, 0.5)
    square = Encoding(48, 48, 8, 8)
    for cut in piece_pictures(piece, square):
        assert cut.shape == (48, 48, 3)
        assert cut[:, 4:-4, 1].min() > 150 and cut[:, 4:-4, [0, 2]].max() < 60


def test_the_sound_of_a_piece_is_that_of_its_time(tmp_path):
    time = np.arange(15 * SAMPLE_RATE) / SAMPLE_RATE
    beeps = (0.5 * np.sin(2 * np.pi * 500 * time) * (time % 1 < 0.2)).astype(np.float32)
    grey = np.full((48, 64, 3), 90, np.uint8)
    write_video(tmp_path / "beeps.mp4", [grey] * 120, beeps, SMALL)
    source = Source(tmp_path, "beeps.mp4", seconds=15.0, sound=True)
    for start_s in (0.0, 2.5, 12.5):  # the last is sought
        sound = piece_sound(Piece(source, start_s, 16, 3.0, 5.0))
        want = beeps[round(start_s * SAMPLE_RATE) :][: 2 * SAMPLE_RATE]
        assert len(sound) == 2 * SAMPLE_RATE
        loud = [abs(s.reshape(-1, 800)).max(1) > 0.1 for s in (sound, want)]
        assert (loud[0] == loud[1]).mean() > 0.9, start_s
        assert sound[0] == sound[-1] == 0  # no click
    past = piece_sound(Piece(source, 14.5, 16, 0.0, 2.0))
    assert not past[round(0.7 * SAMPLE_RATE) :].any()


# ------------------------------------------------------------------------------------- what is wrong


def test_files_that_cannot_be_used_are_named(own, tmp_path):
    clips = own / "clips"
    (clips / "jump/v_g01_c9.avi").write_text("no video at all")
    whole = clip(own / "whole.mkv", RED, 8.0, place=31)
    broken = clips / "sit/v_g02_c8, ж.mkv"
    broken.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    (clips / "sit/v_g03_c7.mp4").write_bytes((clips / "sit/v_g01_c1.mp4").read_bytes())
    (own / "other/a/copy.mp4").write_bytes((clips / "jump/v_g02_c1.avi").read_bytes())
    (clips / "loose.avi").write_text("about")
    (clips / "sit/.hidden").write_text("not looked at")
    data = composed(own, tmp_path / "out")
    left = pd.read_csv(data.folder / "left_out.csv").set_index("path")["problem"]
    assert set(left.index) == {
        "jump/v_g01_c9.avi",
        "sit/v_g02_c8, ж.mkv",
        "sit/v_g03_c7.mp4",
        "a/copy.mp4",
        "loose.avi",
    }
    assert left["sit/v_g02_c8, ж.mkv"].startswith("breaks off")
    assert left["sit/v_g03_c7.mp4"] == "the same content as sit/v_g01_c1.mp4"
    assert left["a/copy.mp4"] == "the same content as jump/v_g02_c1.avi"
    assert data.about["left_out"] == 5 and data.about["notes"][0].startswith("5 files left out")
    assert "jump/v_g01_c9.avi" in data.about["notes"][0]
    used = set(pd.read_csv(data.folder / "pieces.csv")["source"])
    assert not used & set(left.index)


def empty_class(own):
    (own / "clips/walk").mkdir()


def broken_class(own):
    (own / "clips/walk").mkdir()
    (own / "clips/walk/v_g01_c1.avi").write_text("no video")


def nameless_group(own):
    clip(own / "clips/sit/other name.mp4", BLUE, 1.0, place=30)


def one_class(own):
    for path in (own / "clips/sit").iterdir():
        path.unlink()
    (own / "clips/sit").rmdir()


def no_distractors(own):
    for path in (own / "other").rglob("*.mp4"):
        path.unlink()


def only_the_clips_as_distractors(own):
    no_distractors(own)
    for name in ("v_g01_c1.mp4", "v_g01_c2.mp4"):
        (own / "other" / name).write_bytes((own / "clips/sit" / name).read_bytes())


@pytest.mark.parametrize(
    "spoil, message",
    [
        (empty_class, "clips/walk: class 'walk' has no readable video"),
        (broken_class, "class 'walk' has no readable video (1 left out; walk/v_g01_c1.avi: not a"),
        (nameless_group, "other name.mp4: group pattern '_(g\\\\d+)_' finds no group in its name"),
        (one_class, "clips: has 1 class folder, at least 2 are needed: put the"),
        (no_distractors, "other: no videos"),
        (only_the_clips_as_distractors, "other: 0 usable distractors, at least 2 are needed"),
    ],
)
def test_what_cannot_be_composed_gives_one_line(own, tmp_path, spoil, message):
    spoil(own)
    with pytest.raises(DatasetError) as caught:
        composed(own, tmp_path / "out")
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_missing_folders_and_too_few_videos_are_named(material, tmp_path):
    with pytest.raises(DatasetError, match="nowhere: no such folder"):
        make_composed(tmp_path / "nowhere", tmp_path / "out", SPEC, distractors=material / "other")
    with pytest.raises(DatasetError, match="nowhere: no such folder"):
        make_composed(material / "clips", tmp_path / "out", SPEC, distractors=tmp_path / "nowhere")
    with pytest.raises(DatasetError, match=r"test_videos \(1\) must be >= classes \(2\)"):
        composed(material, tmp_path / "out", test_videos=1)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"train_videos": 0}, r"train_videos \(0\) must be > 0"),
        ({"duration_s": 3}, r"duration_s \(3\) must be >= 10"),
        ({"duration_s": float("inf")}, r"duration_s \(inf\)"),
        ({"action_share": 0}, r"action_share \(0\) must be between 0 and 1"),
        ({"test_share": 1}, r"test_share \(1\)"),
        ({"piece_s": (4, 2)}, r"piece_s \(4, 2\) must be ascending"),
        ({"piece_s": (0.1, 2)}, r"piece_s \(0.1, 2\)"),
        ({"sound": "loud"}, r"sound \(loud\) must be one of keep, silence"),
        ({"group_pattern": "g\\d+"}, r"must have 1 capture group, has 0"),
        ({"group_pattern": "(g"}, r"is not a regular expression"),
    ],
)
def test_wrong_parameters_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        Composition(**change)


# -------------------------------------------------------------------------------------- real videos


def test_real_clips_become_alike(real, tmp_path):
    """Two classes of UCF-101, one with sound and one without, among surveillance clips."""
    for name in ("BrushingTeeth", "JumpingJack"):
        (tmp_path / "clips" / name).mkdir(parents=True)
        for group in ("g08", "g09", "g10"):
            path = real / f"ucf/{name}/v_{name}_{group}_c01.avi"
            (tmp_path / "clips" / name / path.name).symlink_to(path)
    (tmp_path / "other").mkdir()
    for path in sorted((real / "distractors").rglob("*.mp4"))[::3]:
        (tmp_path / "other" / path.name).symlink_to(path)
    spec = Composition(
        train_videos=2, test_videos=2, duration_s=12, encoding=Encoding(96, 64, 8, 8), seed=1
    )
    data = make_composed(
        tmp_path / "clips", tmp_path / "out", spec, distractors=tmp_path / "other", workers=1
    )
    pieces = pd.read_csv(data.folder / "pieces.csv")
    seen = set()
    for video_id in data.videos["video_id"]:
        info = probe(data.path(video_id))
        seen.add((info.codec, info.width, info.height, info.frame_rate, info.audio_codec))
        end_s = pieces.loc[pieces.video_id == video_id, "end_s"].max()
        assert info.duration_s == pytest.approx(end_s, abs=1e-3)
        assert len(every_frame(data.path(video_id))) == round(end_s * 8)
        share = np.diff(data.segments_of(video_id)).sum() / end_s
        assert share == pytest.approx(spec.action_share, abs=0.02)
    assert seen == {("h264", 96, 64, 8.0, "aac")}
    used = pieces.merge(data.videos, on="video_id").groupby("split")["source"].agg(set)
    assert not used["train"] & used["test"]
    assert data.about["left_out"] == 0
