"""What is said of videos that could not be read, or only in part."""

import pytest

from scslib.evaluation.coverage import coverage_note, percent, reading_note, video_status
from tests.support.runs import statuses


@pytest.mark.parametrize(
    "rows, note",
    [
        ([], ""),
        ([("failed", 0)], "coverage 98.0 %: 1 of 50 test videos could not be read (1 failed)"),
        (
            [("failed", 0), ("timeout", 0), *[("partial", 2)] * 3],
            "coverage 93.0 %: 2 of 50 test videos could not be read (1 failed, 1 timeout), "
            "3 only in part",
        ),
        ([("partial", 1)] * 2, "coverage 97.0 %: 2 of 50 test videos could be read only in part"),
    ],
)
def test_the_line_of_a_run(rows, note):
    rows = [*rows, *[("ok", 4)] * (50 - len(rows))]
    status = statuses(*[(f"v{i}", *row) for i, row in enumerate(rows)], expected=4)
    assert coverage_note(status) == (note and note + ": see results/videos.csv")  # f alone: notebook 04
    features = statuses(*[(f"v{i}", "ok", 4) for i in range(50)], expected=4)
    whole = video_status(*(type("Shards", (), {"status": s}) for s in (status, features)))
    assert coverage_note(whole) == (note and note + ": see results/videos.csv")


def test_the_videos_that_samplers_learn_from_have_a_note_of_their_own():
    status = statuses(("h0", "failed", 0), ("h1", "partial", 2), ("h2", "ok", 4), expected=4)
    note = "1 of 3 training videos could not be read (1 failed), 1 only in part"
    assert reading_note(status, "training videos") == note
    assert reading_note(status[2:], "training videos") == ""


def test_a_coverage_just_below_all_is_not_called_all():
    assert percent(0.9999) == "99.9 %" and percent(1) == "100.0 %" and percent(0.945) == "94.5 %"
