"""Where steps are done does not change a byte: processes here, a Ray cluster, one whose nodes die."""

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import pytest
from streams import panning, tone, write

from scslib.cli_sample import sample
from scslib.engines import SETTINGS, Engine, EngineError
from scslib.features import FeatureSpec, read_features
from scslib.isolation import Limits
from scslib.shards import Video, run_shards

PLAIN = {"x264-params": "crf=16:keyint=12:min-keyint=12:scenecut=0:bframes=0"}
SPEC = asdict(FeatureSpec(clip_len=4))


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Good ones, one that breaks off, one that is no video, and one that is not there; 20 rows."""
    folder = tmp_path_factory.mktemp("videos")
    write(folder / "sound.mp4", panning(96, 64), "libx264", PLAIN, sounds=[(tone(), 0.0)])
    write(folder / "silent.mkv", panning(96, 64), "libx264", PLAIN)
    whole = (folder / "silent.mkv").read_bytes()
    (folder / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    (folder / "text.mp4").write_text("no video")
    names = ("sound.mp4", "silent.mkv", "cut.mkv", "text.mp4", "gone.mp4")
    return [Video(f"v{n:02d}", folder / names[n % 5]) for n in range(20)]


@pytest.fixture(scope="module")
def cluster():
    """Three nodes on this machine, and those of them that can be lost."""
    os.environ |= SETTINGS
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    soon = {"health_check_initial_delay_ms": 1000, "health_check_period_ms": 500}
    head = {"num_cpus": 1, "include_dashboard": False, "_system_config": soon}
    made = Cluster(initialize_head=True, head_node_args=head)
    nodes = [made.add_node(num_cpus=1) for _ in range(2)]
    made.wait_for_nodes()
    yield made, nodes
    ray.shutdown()
    made.shutdown()


def read(videos, folder, engine):
    return run_shards(
        read_features, videos, folder / "step", params=SPEC, workers=2, title="x", engine=engine
    )


def content(result) -> dict:
    """The bytes of all arrays, and the reports but for seconds."""
    found = {path.name: path.read_bytes() for path in result.folder.glob("*.safetensors")}
    for path in result.folder.glob("*.json"):
        report = json.loads(path.read_text())
        rows = [{k: v for k, v in row.items() if k != "seconds"} for row in report["videos"]]
        found[path.name] = report | {"videos": rows, "seconds": 0}
    return found


@pytest.fixture(scope="module")
def local(videos, tmp_path_factory):
    return read(videos, tmp_path_factory.mktemp("local"), Engine())


def test_every_video_has_one_status(videos, local):
    status = local.status.set_index("video_id")["status"]
    assert status.tolist() == ["ok", "ok", "partial", "failed", "failed"] * 4
    assert "of 40 frames" in local.status["reason"][2] and "gone.mp4" in local.status["reason"][4]


def lose_one(made, nodes, folder, over) -> int:
    """Lose a node as soon as there are results; returns how many there were then."""
    import ray

    while not list(folder.rglob("*.json")) and not over.wait(0.05):
        pass
    ours = ray.get_runtime_context().get_node_id()  # any of those of this machine
    made.remove_node(next(n for n in nodes if n.node_id != ours), allow_graceful=False)
    return len(list(folder.rglob("*.json")))


def test_ray_gives_the_same_bytes_when_a_node_is_lost(videos, local, cluster, tmp_path):
    made, nodes = cluster
    many = [v._replace(video_id=f"{v.video_id}-{n}") for n in range(4) for v in videos]
    over = threading.Event()
    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(lose_one, made, nodes, tmp_path, over)
        try:
            result = read(many, tmp_path / "many", Engine("ray", made.address))
        finally:
            over.set()
    assert 0 < done.result() < 10 and len(result.status) == 80  # it was lost on the way
    assert content(result) == content(read(many, tmp_path / "here", Engine()))
    same = read(videos, tmp_path / "few", Engine("ray", made.address))
    assert content(same) == content(local)
    assert content(read(videos, tmp_path / "few", Engine("ray", made.address))) == content(local)


def test_what_is_no_videos_fault_is_the_same_error(videos, cluster, tmp_path):
    for engine in (Engine(), Engine("ray", cluster[0].address)):
        with pytest.raises(TypeError, match="no_such_option"):
            run_shards(
                read_features,
                videos,
                tmp_path / "s",
                params=SPEC | {"no_such_option": 1},
                title="x",
                engine=engine,
            )


def test_an_engine_is_what_the_environment_says(monkeypatch):
    monkeypatch.delenv("SCS_ENGINE", raising=False)
    assert Engine.current() == Engine()
    engine = Engine("ray", "10.0.0.1:6379", Limits(60, 2), retry=True)
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
    ],
)
def test_options_that_cannot_be(options, message, monkeypatch):
    monkeypatch.setenv("SCS_ENGINE", "")
    with pytest.raises(ValueError) as error:
        sample.main(["video.mp4", "--run", "x", *options], standalone_mode=False)
    assert message in str(error.value)


def test_a_cluster_that_is_not_there(videos, tmp_path, monkeypatch):
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(EngineError, match=r"address \('10\.0\.0\.1:1'\): no Ray cluster answers there"):
        read(videos, tmp_path, Engine("ray", "10.0.0.1:1"))


def refuse(**options):
    """What `ray.init` does where nobody answers, after half a minute."""
    raise ConnectionError(options["address"])
