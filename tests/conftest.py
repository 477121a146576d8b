"""What several test modules share: the real material, and generated streams (see `streams`)."""

from __future__ import annotations

from pathlib import Path

import pytest
from streams import Stream, pan_stream

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
