"""The contestants of `python benchmarks extract`, each in a process of its own on one core:

    python -m scs_bench.readers CONTESTANT VIDEO

prints {"frames", "wall_s", "cpu_s", "peak_mb"} as JSON: how many frames were read, and in how many
seconds. Or {"problem": why it cannot be measured}.

Before the clock starts a contestant reads the first frames of the video, so that imports and compiled
code that is loaded from numba's cache do not count. The imports stand inside the functions: no
contestant carries another's.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from scs_bench.process import peak_mb, stopwatch, use_one_core


@dataclass(frozen=True)
class Contestant:
    """`read` gives, over and over, how many frames it has read since.

    packages: what may have installed it; the first that is there tells the version. wants: what pip is
    to be asked for.
    """

    what: str
    read: Callable[[str], Iterator[int]]
    packages: tuple[str, ...]
    wants: str = ""


def _floor(path: str) -> Iterator[int]:
    import av

    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        stream.codec_context.options = {"flags2": "+export_mvs"}
        for _ in container.decode(stream):
            yield 1


def _compressed(**options) -> Callable[[str], Iterator[int]]:
    def read(path: str) -> Iterator[int]:
        from scslib.video.clips import index_clips
        from scslib.video.compressed import iter_compressed

        index = index_clips(path)
        for clip in iter_compressed(index, **options):
            yield len(index.frames(clip.index))

    return read


def _mvextractor(*, frames: bool) -> Callable[[str], Iterator[int]]:
    def read(path: str) -> Iterator[int]:
        from mvextractor.videocap import VideoCap

        capture = VideoCap()
        if not capture.open(path):
            raise RuntimeError("cannot open the video")
        capture.set_decode_frames(frames)  # after opening, which sets it to True
        while capture.read()[0]:
            yield 1
        capture.release()

    return read


def _opencv(path: str) -> Iterator[int]:
    import cv2

    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise RuntimeError("cannot open the video")
    while capture.read()[0]:
        yield 1
    capture.release()


def _torchcodec(path: str) -> Iterator[int]:
    from torchcodec.decoders import VideoDecoder

    for _ in VideoDecoder(path, num_ffmpeg_threads=1, dimension_order="NHWC"):
        yield 1


MV = {"packages": ("motion-vector-extractor",), "wants": "motion-vector-extractor>=2,<3"}
CV = {"packages": ("opencv-python", "opencv-python-headless"), "wants": "opencv-python>=4.12"}
TC = {"packages": ("torchcodec",), "wants": "torchcodec>=0.11,<0.12"}
OWN = {"packages": ("scslib",)}

# what the preset `full` has its samplers see
FULL = {"pictures": 2, "early": True, "iframe_size": (64, 86)}

CONTESTANTS = {
    "floor": Contestant("PyAV decodes and exports vectors; nobody reads them", _floor, ("av",)),
    "MD": Contestant("this reader: vectors, full-size I-frames", _compressed(residuals=False), **OWN),
    "IF+MD+RGB-R": Contestant("this reader: all that samplers see", _compressed(), **OWN),
    "IF": Contestant("this reader: full-size I-frames", _compressed(motion=False), **OWN),
    "MD, as full": Contestant("... of 2 P-frames a clip", _compressed(residuals=False, **FULL), **OWN),
    "IF+MD+RGB-R, as full": Contestant("all, as the preset `full` reads", _compressed(**FULL), **OWN),
    "mv-extractor": Contestant("vectors", _mvextractor(frames=False), **MV),
    "mv-extractor+BGR": Contestant("vectors, every frame to BGR", _mvextractor(frames=True), **MV),
    "OpenCV": Contestant("every frame to BGR", _opencv, **CV),
    "torchcodec": Contestant("every frame to RGB", _torchcodec, **TC),
}


def measure(contestant: Contestant, path: str) -> dict:
    try:
        next(contestant.read(path))
    except ModuleNotFoundError:
        return {"problem": f"not installed: pip install '{contestant.wants}'"}
    except (ImportError, OSError, RuntimeError) as error:
        return {"problem": f"does not run: {str(error).strip().splitlines()[0]}"}
    with stopwatch() as report:
        frames = sum(contestant.read(path))
    return {"frames": frames, **report, "peak_mb": peak_mb()}


if __name__ == "__main__":
    use_one_core()
    print(json.dumps(measure(CONTESTANTS[sys.argv[1]], sys.argv[2])))
