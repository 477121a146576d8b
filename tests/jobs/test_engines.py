"""Engines: what chooses them, and what a step says of its videos. See test_ray.py for clusters."""

import subprocess
import sys

import pytest

from scslib.cli.sample import sample_command
from scslib.jobs.child import Limits
from scslib.jobs.engines import Engine
from tests.support.twenty import read, twenty


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    return twenty(tmp_path_factory.mktemp("videos"))


def test_every_video_has_one_status(videos, tmp_path):
    found = read(videos, tmp_path, Engine()).status.set_index("video_id")
    assert found["status"].tolist() == ["ok", "ok", "partial", "failed", "failed"] * 4
    assert "of 40 frames" in found["reason"].iloc[2] and "gone.mp4" in found["reason"].iloc[4]


def test_what_is_no_videos_fault_is_an_error(videos, tmp_path):
    with pytest.raises(TypeError, match="no_such_option"):
        read(videos, tmp_path, Engine(), no_such_option=1)


def test_an_engine_is_what_the_environment_says(monkeypatch):
    monkeypatch.delenv("SCS_ENGINE", raising=False)
    assert Engine.current() == Engine()
    engine = Engine("ray", "10.0.0.1:6379", Limits(60, 2), retry=True, connect_s=5)
    monkeypatch.setenv("SCS_ENGINE", "")
    engine.use()
    assert Engine.current() == engine


@pytest.mark.parametrize(
    "options, message",
    [
        (["--engine", "spark"], "engine ('spark') must be one of"),
        (["--address", "here:1"], "address ('here:1') is for the engine ray"),
        (["--timeout", "0"], "seconds (0.0) must be > 0"),
        (["--memory", "-1"], "memory_gb (-1.0) must be > 0"),
        (["--connect-timeout", "0"], "connect_s (0.0) must be > 0"),
    ],
)
def test_options_that_cannot_be(options, message, monkeypatch):
    monkeypatch.setenv("SCS_ENGINE", "")
    with pytest.raises(ValueError) as error:
        sample_command.main(["video.mp4", "--run", "x", *options], standalone_mode=False)
    assert message in str(error.value)


def test_a_script_without_a_guard_is_run_once(tmp_path):
    """Processes start Python anew; the user's script, as it stands in README, is not run in each."""
    script = tmp_path / "mine.py"
    script.write_text(
        "from scslib.datasets.synthetic.make import make_synthetic\n"
        "from scslib.datasets.synthetic.plan import Synthetic\n"
        "from scslib.video.write import Encoding\n"
        "print('once')\n"
        "spec = Synthetic(2, 2, 2, 10.0, encoding=Encoding(32, 32, 2))\n"
        f"make_synthetic({str(tmp_path / 'made')!r}, spec, workers=2)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("once") == 1 and len(list((tmp_path / "made/videos").iterdir())) == 4
