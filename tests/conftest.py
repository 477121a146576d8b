"""What several test modules share: the real material, and generated streams (see `streams`)."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from scslib.jobs.run_folder import Run
from scslib.models.checkpoints import save_sampler
from scslib.models.samplers import MODALITIES, VISUAL, SamplerNetwork
from tests.support.streams import Stream, pan_stream

NETWORKS = {name: (name,) for name in (*VISUAL, "audio")} | {"joint": MODALITIES}
REAL = Path(__file__).resolve().parents[2] / "shared/real"


@pytest.fixture(scope="session")
def real() -> Path:
    if not REAL.is_dir():
        pytest.skip("the real material (shared/real, beside the repository) is absent")
    return REAL


@pytest.fixture(scope="session", params=["h264", "mpeg4"])
def pan(request, tmp_path_factory) -> Stream:
    """160 x 128, in both codecs."""
    return pan_stream(tmp_path_factory.mktemp("pan"), request.param, 160, 128)


@pytest.fixture(scope="session", params=["h264", "mpeg4"])
def small(request, tmp_path_factory) -> Stream:
    """64 x 48 with changing light, for references that loop over every pixel."""
    return pan_stream(tmp_path_factory.mktemp("small"), request.param, 64, 48, flicker=True)


@pytest.fixture(scope="session")
def movie(tmp_path_factory) -> Stream:
    """One H.264 stream for tests that do not depend on the codec."""
    return pan_stream(tmp_path_factory.mktemp("movie"), "h264", 64, 48)


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory) -> Path:
    """A run with untrained samplers of width 4 for clips of 4 frames: RANK, seeds 0 and 1."""
    run = Run(tmp_path_factory.mktemp("work") / "runs" / "tiny")
    run.note(objective="rank")
    for seed in (0, 1):
        torch.manual_seed(seed)
        for name, modalities in NETWORKS.items():
            network = SamplerNetwork(modalities, 1, 4, 4)
            for module in network.modules():
                if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):  # as if trained
                    module.running_mean.normal_(0, 0.1)
                    module.running_var.uniform_(0.05, 0.2)
            path = run.checkpoint(f"{name}-rank-seed{seed}")
            save_sampler(path, network, objective="rank", classes=["a"], features={"clip_len": 4})
    return run.folder
