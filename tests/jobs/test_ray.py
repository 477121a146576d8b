"""Ray does not change a byte, not even when a node is lost, and it cannot hang us.

For `tests/support/ray_runs.py`, which ends them from outside; see the marker `ray`.
"""

import contextlib
import os
import signal
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import psutil
import pytest

from scslib.experiments.sweep_plan import load_sweep, plan_sweep
from scslib.experiments.sweep_ray import RaySteps
from scslib.experiments.sweep_run import run_sweep
from scslib.jobs import ray_driver
from scslib.jobs.engines import Engine, EngineError
from tests.support.small_kit import small_kit, write_sweep
from tests.support.twenty import content, read, twenty
from tests.support.watch import Server

pytest.importorskip("ray")
# from a thread, for a signal does not reach native code; ray_runs.py has a limit for all of them
pytestmark = [pytest.mark.ray, pytest.mark.timeout(600, method="thread")]
NODE = "SCS_TEST_NODE"  # the file for `connect_and_tell`
TESTS = str(Path(__file__).resolve().parents[2])
TRIES = 3  # of starting a node, which Ray gives up after half a minute


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    return twenty(tmp_path_factory.mktemp("videos"))


@pytest.fixture(scope="module")
def cluster():
    """Three nodes on this machine."""
    from ray.cluster_utils import Cluster

    os.environ |= ray_driver.SETTINGS
    soon = {"health_check_initial_delay_ms": 1000, "health_check_period_ms": 500}
    made = Cluster()
    add_node(made, include_dashboard=False, _system_config=soon)
    for _ in range(2):
        add_node(made)
    made.wait_for_nodes(120)
    yield made
    made.shutdown()


def add_node(made, **options):
    for tries in range(1, TRIES + 1):
        try:
            return made.add_node(num_cpus=1, **options)
        except Exception as error:  # Ray's is of this very type
            if tries == TRIES or "timed out" not in str(error):
                raise


def connect_and_tell(job):
    """Connect, and write down which node the driver is at, for without that it dies."""
    import ray

    ray_driver.connect(job)
    Path(os.environ[NODE]).write_text(ray.get_runtime_context().get_node_id())


def lose_one(made, folder, over) -> int:
    """Lose a node as soon as there are results; returns how many there were then."""
    while not list(folder.rglob("[0-9]*.json")) and not over.wait(0.05):
        pass
    ours = Path(os.environ[NODE]).read_text()
    made.remove_node(next(n for n in made.worker_nodes if n.node_id != ours), allow_graceful=False)
    return len(list(folder.rglob("[0-9]*.json")))


def test_ray_gives_the_same_bytes_when_a_node_is_lost(videos, cluster, tmp_path, monkeypatch):
    monkeypatch.setenv(NODE, str(tmp_path / "node"))
    monkeypatch.setattr(ray_driver, "connect", connect_and_tell)
    many = [v._replace(video_id=f"{v.video_id}-{n}") for n in range(4) for v in videos]
    over = threading.Event()
    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(lose_one, cluster, tmp_path, over)
        try:
            result = read(many, tmp_path / "many", Engine("ray", cluster.address))
        finally:
            over.set()
    assert 0 < done.result() < 10 and len(result.status) == 80  # it was lost on the way
    assert content(result) == content(read(many, tmp_path / "here", Engine()))


def test_what_is_no_videos_fault_is_the_same_error(videos, cluster, tmp_path):
    with pytest.raises(TypeError, match="no_such_option"):
        read(videos, tmp_path, Engine("ray", cluster.address), no_such_option=1)


def test_a_sweeps_steps_are_tasks_and_give_the_same_table(cluster, tmp_path, monkeypatch):
    kit = small_kit(tmp_path / "kit")
    monkeypatch.setenv("SCS_ROOT", str(kit))
    sweep = "# How many?\ngrid: {k: [1, 2, 13]}\nnotebooks: 01-06\nseeds: [0, 1]\n"
    tables = []
    for name, engine in (("here", None), ("there", Engine("ray", cluster.address))):
        plan = plan_sweep(load_sweep(write_sweep(kit, sweep)), tmp_path / name)
        if engine is None:
            about = run_sweep(plan, at_once=2, say=lambda line: None)
        else:
            with contextlib.closing(RaySteps(engine)) as steps:
                assert steps.cores == len(cluster.list_all_nodes())
                about = run_sweep(plan, at_once=2, start=steps.start, say=lambda line: None)
        assert [run["status"] for run in about["runs"]] == ["done", "done", "failed"]
        assert "AssertionError: thirteen" in about["runs"][2]["reason"]
        tables.append(
            pd.read_csv(tmp_path / name / "results.csv")[["run", "method", "seed", "accuracy"]]
        )
    pd.testing.assert_frame_equal(*tables)


@pytest.fixture
def left(monkeypatch):
    """Says which processes of Ray that were started in this test are still there."""
    word = uuid.uuid4().hex
    monkeypatch.setenv("SCS_TEST_WORD", word)

    def ours(process) -> bool:
        try:
            arguments = " ".join(process.cmdline())
            return process.environ().get("SCS_TEST_WORD") == word and "multiprocessing" not in arguments
        except (psutil.Error, OSError):  # another's, or it has ended since
            return False

    return lambda: [process.name() for process in psutil.process_iter() if ours(process)]


def soon_none(left) -> bool:
    """Whether they end, for a killed process may take a moment."""
    for _ in range(30):
        if not left():
            return True
        time.sleep(1)
    print("still there:", left())
    return False


def same(child, job):
    return job


def kill_the_node(child, job):
    os.kill(os.getppid(), signal.SIGKILL)  # the process of Ray that started this one
    time.sleep(3600)


@pytest.fixture
def here(monkeypatch):
    """Lets the workers of a cluster on this machine import the functions of this module."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([TESTS, os.environ.get("PYTHONPATH", "")]))
    return lambda do, count: Engine("ray").map(do, range(count), workers=0, title="x", unit="x")


def test_a_cluster_on_this_machine_ends_with_its_jobs(here, left):
    results = here(same, 20)
    some = [next(results), next(results)]
    assert "raylet" in left()
    assert sorted([*some, *results]) == [(n, n) for n in range(20)]
    assert soon_none(left)


def test_a_cluster_on_this_machine_ends_when_jobs_are_broken_off(here, left):
    results = here(same, 20)
    next(results)
    results.close()
    assert soon_none(left)


def kill_the_head(child, job):
    ours = psutil.Process(os.getppid()).parent().children()
    next(process for process in ours if process.name() == "gcs_server").kill()
    time.sleep(3600)


@pytest.mark.parametrize("kill", [kill_the_node, kill_the_head])
def test_what_dies_under_the_driver_is_an_error(here, left, monkeypatch, kill):
    monkeypatch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "5")  # instead of 60
    with pytest.raises(EngineError, match="^Ray on this machine: .*died.*; look at its logs in "):
        list(here(kill, 1))
    assert soon_none(left)


def test_a_connection_that_hangs_is_ended(here, left, monkeypatch):
    """Ray's own fault: its first workers take longer than it waits, and it waits for them for ever."""
    monkeypatch.setenv("RAY_prestart_worker_first_driver", "1")
    monkeypatch.setenv("RAY_worker_register_timeout_seconds", "0")
    engine = Engine("ray", connect_s=15)
    with pytest.raises(EngineError, match="^Ray on this machine: Ray did not answer for 15 s; look at"):
        list(engine.map(same, [0], workers=0, title="x", unit="x"))
    assert soon_none(left)


def test_somebody_else_at_the_address():
    server = Server()
    address = f"127.0.0.1:{server.port}"
    with pytest.raises(EngineError) as error:
        list(Engine("ray", address, connect_s=8).map(same, [0], workers=0, title="x", unit="x"))
    assert f"`ray status --address {address}`" in str(error.value)
