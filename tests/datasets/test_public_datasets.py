"""UCF101, HMDB51 and Kinetics, each on a small tree in the dataset's own layout."""

import pytest

from scslib.datasets.manifest import DatasetError
from scslib.datasets.public.hmdb51 import read_hmdb51
from scslib.datasets.public.kinetics import read_kinetics
from scslib.datasets.public.ucf101 import read_ucf101
from tests.support.layouts import add, left_out, splits, texts, videos, write

UCF = {"ApplyEyeMakeup": ("g08_c01", "g08_c02", "g01_c01"), "HandstandPushups": ("g09_c01", "g02_c01")}


@pytest.fixture
def ucf(tmp_path):
    """UCF-101/<Class>/*.avi and ucfTrainTestlist; one class is spelt otherwise in its files."""
    names = {
        "ApplyEyeMakeup": [f"v_ApplyEyeMakeup_{clip}.avi" for clip in UCF["ApplyEyeMakeup"]],
        "HandstandPushups": [f"v_HandStandPushups_{clip}.avi" for clip in UCF["HandstandPushups"]],
    }
    paths = [f"{label}/{name}" for label, own in names.items() for name in own]
    test = [path for path in paths if "_g01" in path or "_g02" in path]
    train = [f"{p} {1 + p.startswith('Hand')}" for p in paths if p not in test]
    texts(
        tmp_path / "lists/ucfTrainTestlist",
        classInd__txt="1 ApplyEyeMakeup\r\n2 HandstandPushups\r\n",
        trainlist01__txt="\n".join(train) + "\n",
        testlist01__txt="\r\n".join(test) + "\r\n\r\n",
    )
    videos(tmp_path / "videos", [f"UCF-101/{path}" for path in paths])
    return tmp_path


def test_ucf101_has_its_splits_and_groups(ucf):
    data = write(read_ucf101(ucf / "videos", ucf / "lists"), ucf)
    assert data.classes == ("ApplyEyeMakeup", "HandstandPushups") and data.name == "ucf101"
    assert splits(data) == {
        "v_ApplyEyeMakeup_g01_c01": ("ApplyEyeMakeup", "test"),
        "v_ApplyEyeMakeup_g08_c01": ("ApplyEyeMakeup", "train"),
        "v_ApplyEyeMakeup_g08_c02": ("ApplyEyeMakeup", "train"),
        "v_HandStandPushups_g02_c01": ("HandstandPushups", "test"),
        "v_HandStandPushups_g09_c01": ("HandstandPushups", "train"),
    }
    assert list(data.videos["group"]) == ["g01", "g08", "g08", "g02", "g09"]
    assert data.about["made_with"] == {"fold": 1} and data.about["left_out"] == 0
    (note,) = data.about["notes"]
    assert note.startswith("2 classes have 1 training group and") and "labels" not in data.videos


def test_ucf101_in_one_flat_folder(ucf):
    flat = videos(ucf / "flat", [path.name for path in (ucf / "videos").rglob("*.avi")])
    listing = read_ucf101(flat, ucf / "lists/ucfTrainTestlist")
    assert len(listing.rows) == 5 and all((flat / row.path).is_file() for row in listing.rows)


CLIP = "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi"


@pytest.mark.parametrize(
    "name, line, message",
    [
        ("trainlist01", "../../etc/passwd 1", "trainlist01.txt: line 4: leads out"),
        ("testlist01", "/etc/v_x_g01_c01.avi", "testlist01.txt: line 4: leads out"),
        ("testlist01", r"..\v_x_g01_c01.avi", "testlist01.txt: line 4: leads out"),
        ("trainlist01", "nonsense", "trainlist01.txt: line 4: is not <Class>/v_<Class>_g<group>"),
        ("testlist01", "Flying/v_Flying_g01_c01.avi", "testlist01.txt: line 4: is not <Class>/"),
        ("testlist01", "y" * 999, "'" + "y" * 80 + "...'"),
        ("trainlist01", "ApplyEyeMakeup/v_A_g30_c01.avi 2", "line 4: ApplyEyeMakeup is number 1, not"),
        ("classInd", "2 Twice", "classInd.txt: line 3: is not '<number> <Class>', each once: '2 Twice'"),
        ("testlist01", CLIP, "test), but (UCF-101/ApplyEyeMakeup/v_"),
    ],
)
def test_ucf101_lists_that_cannot_be_used(ucf, name, line, message):
    add(ucf / f"lists/ucfTrainTestlist/{name}.txt", line)
    with pytest.raises(DatasetError) as caught:
        read_ucf101(ucf / "videos", ucf / "lists")
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_line_twice_is_noted(ucf):
    add(ucf / "lists/ucfTrainTestlist/trainlist01.txt", CLIP + " 1")
    listing = read_ucf101(ucf / "videos", ucf / "lists")
    assert len(listing.rows) == 5
    assert listing.notes == ("listed twice, used once: v_ApplyEyeMakeup_g08_c01",)


def test_other_folds_and_lists_that_are_not_there(ucf):
    with pytest.raises(DatasetError, match="ucfTrainTestlist: has no trainlist02.txt"):
        read_ucf101(ucf / "videos", ucf / "lists", fold=2)
    with pytest.raises(ValueError, match=r"fold \(4\) must be 1, 2 or 3"):
        read_ucf101(ucf / "videos", ucf / "lists", fold=4)
    with pytest.raises(DatasetError, match="videos: has no classInd.txt or ucf"):
        read_ucf101(ucf / "videos", ucf / "videos")
    with pytest.raises(DatasetError, match="nowhere: no such folder"):
        read_ucf101(ucf / "nowhere", ucf / "lists")


def test_real_clips_of_ucf101(real, tmp_path):
    paths = [p for p in (real / "ucf").rglob("v_*.avi") if p.parent.name in ("Lunges", "WallPushups")]
    names = sorted(f"{path.parent.name}/{path.name}" for path in paths)
    groups = sorted({name[-11:-8] for name in names})
    test = [name for name in names if name[-11:-8] == groups[0]]
    texts(
        tmp_path / "lists",
        classInd__txt="1 Lunges\n2 WallPushups",
        trainlist01__txt="\n".join(f"{n} {1 + n.startswith('W')}" for n in names if n not in test),
        testlist01__txt="\n".join(test),
    )
    data = write(read_ucf101(real / "ucf", tmp_path / "lists"), tmp_path, link=False)
    assert len(data.videos) == len(names) and data.about["left_out"] == 0
    assert set(data.split("test")["group"]) == {groups[0]}


ODD = "#20_Rhythm_clap_u_nm_np1_fr_goo_0.avi"
HMDB = {
    "brush_hair": [(ODD, 1), ("Пить, (1)! a b_brush_hair_f_cm_np1_ba_goo_2.avi", 2)],
    "clap": [(ODD, 1), ("A & B_clap_u_cm_np1_fr_med_1.avi", 0)],
}


def test_hmdb51_with_its_odd_names(tmp_path):
    """The same name in two classes is two videos; 0 is no split."""
    lists = {
        f"{label}_test_split1__txt": "".join(f"{name} {use} \n" for name, use in rows)
        for label, rows in HMDB.items()
    }
    texts(tmp_path / "lists/testTrainMulti_7030_splits", **lists)
    names = [f"{label}/{name}" for label, rows in HMDB.items() for name, _ in rows]
    data = write(read_hmdb51(videos(tmp_path / "videos", names), tmp_path / "lists"), tmp_path)
    assert data.classes == ("brush_hair", "clap")
    assert data.videos["video_id"].is_unique and len(data.videos) == 3
    assert set(data.videos["source"]) == {n for n in names if "A & B" not in n}
    assert all(row.source.split("/")[0] == row.label for row in data.videos.itertuples())
    assert list(data.videos["split"]).count("test") == 1
    assert "1 videos belong to neither split of fold 1" in data.about["notes"]
    assert "1 classes have no test video: 'clap'" in data.about["notes"]
    (tmp_path / "videos/clap" / ODD).unlink()
    listing = read_hmdb51(tmp_path / "videos", tmp_path / "lists")
    assert [row.path for row in listing.rows if row.label == "clap"] == [
        f"clap/{ODD}"
    ]  # not the other's


@pytest.mark.parametrize(
    "line, message",
    [
        ("a.avi 3", "is not '<name>.avi <0, 1 or 2>'"),
        ("../x.avi 1", "leads out"),
        ("/x.avi 2", "leads out"),
    ],
)
def test_hmdb51_lists_that_cannot_be_used(tmp_path, line, message):
    texts(tmp_path / "lists", clap_test_split1__txt=line)
    videos(tmp_path / "videos", ["clap/a.avi"])
    with pytest.raises(DatasetError, match=message):
        read_hmdb51(tmp_path / "videos", tmp_path / "lists")
    with pytest.raises(DatasetError, match="has no <class>_test_split2.txt"):
        read_hmdb51(tmp_path / "videos", tmp_path / "lists", fold=2)


HEADER = "label,youtube_id,time_start,time_end,split,is_cc\n"
TRAIN = HEADER + (
    '"dancing, slowly",-3B32lodo2M,59,69,train,0\n"air drumming",_dbcJuKJQNs,40,50,train,1\n'
    "пить чай,0wR5jVB-WPk,1417,1427,train,0\nair drumming,gone5678901,0,10,train,0\n"
)
VAL = HEADER + "air drumming,3caPS4FHFF8,36,46,val,0\n"


def test_kinetics_in_both_layouts_with_replacements(tmp_path):
    texts(tmp_path / "k/annotations", train__csv=TRAIN, val__csv=VAL)
    names = [
        "train/dancing, slowly/-3B32lodo2M_000059_000069.mp4",
        "train/_dbcJuKJQNs_000040_000050.mp4",
        "train/0wR5jVB-WPk_001417_001427.mp4",
        "val/3caPS4FHFF8_000036_000046.mp4",
        "replacement/replacement_for_corrupted_k400/_dbcJuKJQNs_000040_000050.mp4",
        "replacement/replacement_for_corrupted_k400/0wR5jVB-WPk_001418_001428.mp4",
    ]
    videos(tmp_path / "k", names)
    (tmp_path / "k" / names[1]).write_bytes(b"broken")  # what the replacement is for
    data = write(read_kinetics(tmp_path / "k", tmp_path / "k"), tmp_path)
    sources = dict(zip(data.videos["video_id"], data.videos["source"], strict=True))
    assert sources == {
        "-3B32lodo2M_000059_000069": names[0],
        "_dbcJuKJQNs_000040_000050": names[4],
        "0wR5jVB-WPk_001417_001427": names[5],
        "3caPS4FHFF8_000036_000046": names[3],
    }
    assert data.classes == ("air drumming", "dancing, slowly", "пить чай")
    assert splits(data)["3caPS4FHFF8_000036_000046"] == ("air drumming", "test")
    assert left_out(data) == {"train/gone5678901_000000_000010.mp4": "no such file"}
    assert data.about["left_out"] == 1
    assert any("'test' is Kinetics' val" in line for line in data.about["notes"])


@pytest.mark.parametrize(
    "train, message",
    [
        ("label,youtube_id,time_start,split\nx,a,1,train\n", "column 'time_end' is missing"),
        (TRAIN + "x,a,1\n", "train.csv: line 6: has 3 cells, the header has 6: 'x,a,1'"),
        (TRAIN + "x,abc,one,2,train,0\n", "line 6: its times are not numbers: 'x,abc,one,2'"),
        (TRAIN + "x,../../e,1,2,train,0\n", "line 6: leads out of the videos' folder"),
        (TRAIN + ",abc,1,2,train,0\n", "line 6: label is empty"),
        (TRAIN + "clap,3caPS4FHFF8,36,46,train,0\n", "val.csv: line 2: '3caPS4FHFF8_000036_000046' is"),
    ],
)
def test_kinetics_lists_that_cannot_be_used(tmp_path, train, message):
    texts(tmp_path, train__csv=train, validate__csv=VAL if "3ca" not in train else "")
    if "3ca" in train:
        texts(tmp_path, val__csv=VAL)
    with pytest.raises(DatasetError) as caught:
        read_kinetics(tmp_path, tmp_path)
    assert message in str(caught.value)


def test_the_complete_lists_of_kinetics_600_go_first(tmp_path):
    texts(tmp_path, train__csv=HEADER, val__csv=VAL, train__txt=TRAIN)
    assert len(read_kinetics(tmp_path, tmp_path).rows) == 5
