"""Check a sampler or policy of yours: what must hold of any, tried on small drawn videos.

    from scslib.samplers import check, load_plugins

    load_plugins(["loudest.py"])
    check("loudest")

It is silent if all is well.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from scslib.datasets.synthetic.make import write_drawn
from scslib.models.modalities import MODALITIES
from scslib.samplers import policies
from scslib.samplers.base import SAMPLERS, Fitted, Sampler, Setting
from scslib.samplers.clips import Clips, NotReadError
from scslib.samplers.features import FeatureSpec, VideoFeatures, read_video
from scslib.samplers.fitted import FITTERS, fit_own
from scslib.samplers.readers import READERS, read_input
from scslib.samplers.registry import make_sampler
from scslib.samplers.set_policies import POLICIES, Policy, make_policy
from scslib.video.audio import SAMPLE_RATE
from scslib.video.clips import ClipIndex
from scslib.video.write import Encoding, write_video

DRAWN_AS = FeatureSpec(clip_len=8)
CLASSES = 3
SAME_TWICE = (
    "the same video twice gives other numbers: keep nothing between two calls, and draw, if at all, "
    "with a generator of a fixed seed"
)
# of each drawn video: clips, and whether there is sound
VIDEOS = {"with sound": (6, True), "silent": (5, False), "of one clip": (1, True), "short": (2, True)}
UNMOVED = "that stands still"  # one picture all the time, and a tone


class CheckError(ValueError):
    """A sampler or policy that breaks the contract; a line for each check that failed."""


@dataclass(frozen=True, eq=False)
class _Video:
    title: str
    index: ClipIndex
    features: VideoFeatures


def check(name: str, *, seed: int = 0) -> None:
    """Try the sampler or policy that is registered as `name`. Raises `CheckError` with what to mend.

    A sampler with `fit` is trained on the drawn videos first. Of every sampler:

        one number a clip    N finite numbers for N clips, also of one clip, and where nothing moves
        silent video         no error where there is no sound
        same again           the same for the same video, whatever was scored before or in between
        reads what it says   nothing but the inputs in `reads`
        changes nothing      the arrays stay as they were read
        file as features     of a file the same as of what was read of it

    Of every policy: min(K, N) different clip numbers for any N and K, also for equal, extreme and
    negative saliencies; the same for the same seed.
    """
    with np.errstate(all="ignore"):  # what comes of it is looked at
        if name in POLICIES or name.startswith("cdf"):
            found = list(_of_policy(make_policy(name)))
        elif name not in SAMPLERS:
            known = f"{list(SAMPLERS)} or policies {list(POLICIES)}"
            raise ValueError(f"name ({name!r}) must be one of the samplers {known}; load_plugins first?")
        else:
            found = list(_of_sampler(name, seed))
    if found:
        raise CheckError("\n".join(f"{name}: {line}" for line in found))


def _of_sampler(name: str, seed: int) -> Iterator[str]:
    """What is wrong, one line a check; those after one that breaks everything are left out."""
    try:
        make = _maker(name, seed)
        videos = _read(make().modalities)
    except Exception as error:
        yield f"runs: {_words(error)}"
        return
    with contextlib.suppress(Exception):  # for the other checks to say
        before = make().saliency(videos[0].features, "").copy()
    for title, one in (("reads what it says", _reads_more), ("changes nothing", _changes)):
        if wrong := one(make, videos[0]):
            yield f"{title}: {wrong}"
            return
    broken = False
    for video in videos:
        title = "silent video" if video.title == "silent" else "one number a clip"
        if wrong := _wrong_numbers(make, video):
            yield f"{title}: {wrong}"
            broken = True
            if video is videos[0]:  # the others would say the same
                break
    if broken:
        return
    if wrong := _differs(make, videos, before):
        yield f"same again: {wrong}"
        return
    for video in videos:
        of_file = make().score_file(video.index, DRAWN_AS)
        if not np.allclose(of_file.saliency, make().saliency(video.features, ""), rtol=1e-3, atol=1e-5):
            yield f"file as features: of the video {video.title} the saliencies of the file differ"


def _maker(name: str, seed: int) -> Callable[[], Sampler]:
    """Makes the sampler anew, fitted if it is one that is trained."""
    fitted: dict[str, Fitted] = {}
    if SAMPLERS[name].needs == "fitted":
        some = [v for v in _read(FITTERS[name].reads) for _ in range(2)]
        rng = np.random.default_rng(seed)
        scores = [rng.dirichlet(np.ones(CLASSES), len(v.features.get("", "clip"))) for v in some]
        labels = [n % CLASSES for n in range(len(some))]
        fitted[name] = fit_own(name, [Clips(v.features, "") for v in some], labels, scores, seed=seed)
    targets = [np.array([0.1, 0.7, 0.2])]
    return lambda: make_sampler(name, Setting(None, 2, targets, fitted))


def _wrong_numbers(make: Callable[[], Sampler], video: _Video) -> str:
    clips = len(video.features.get("", "clip"))
    try:
        found = np.asarray(make().saliency(video.features, ""), float)
    except Exception as error:
        return f"of the video {video.title} (N = {clips}): {_words(error)}"
    if found.shape != (clips,) or not np.isfinite(found).all():
        return (
            f"of the video {video.title} (N = {clips}): {clips} finite numbers are wanted, not {found}"
        )
    return ""


def _reads_more(make: Callable[[], Sampler], video: _Video) -> str:
    """Which input is looked at that `reads` does not name."""
    try:
        make().saliency(video.features, "")
    except NotReadError as error:
        return f"it looks at {error.args[0]}, which `reads` does not name"
    except KeyError as error:
        missing = str(error.args[0])
        return f"it looks at {missing}, which `reads` does not name" if missing in READERS else ""
    except Exception:
        pass  # another check's
    return ""


def _changes(make: Callable[[], Sampler], video: _Video) -> str:
    kept = {name: value.copy() for name, value in video.features.arrays.items()}
    try:
        make().saliency(video.features, "")
    except Exception:
        return ""  # another check's
    for name, value in kept.items():
        if not np.array_equal(value, video.features.arrays[name]):
            video.features.arrays[name] = value
            return f"it writes into clips.{name}: work on a copy"
    return ""


def _differs(make: Callable[[], Sampler], videos: list[_Video], before: np.ndarray) -> str:
    """Whether the first video's saliencies depend on anything but it; before: at the very beginning."""
    one, first = make(), videos[0]
    if not np.array_equal(one.saliency(first.features, ""), one.saliency(first.features, "")):
        return SAME_TWICE
    for video in videos[1:]:
        one.saliency(video.features, "")
    if not np.array_equal(before, one.saliency(first.features, "")):
        return "a video's numbers depend on those scored before: keep nothing between two videos"
    return ""


def _of_policy(policy: Policy) -> Iterator[str]:
    for clips in (1, 2, 3, 7, 40):
        rng = np.random.default_rng(clips)
        kinds = {
            "drawn": rng.normal(size=clips),
            "equal": np.zeros(clips),
            "negative": -np.arange(clips, dtype=float),
            "extreme": np.where(np.arange(clips) % 2, 1e300, -1e300),
        }
        times = np.stack([np.arange(clips), np.arange(clips) + 1.0], 1)
        embeddings = rng.normal(size=(clips, 4))
        for title, saliency in kinds.items():
            for k in (1, 2, 5, 100):
                case = f"N = {clips}, K = {k}, {title} saliencies"
                try:
                    some, again = (
                        np.asarray(policy.pick(saliency.copy(), embeddings, times, k, policies.draws(0)))
                        for _ in range(2)
                    )
                except Exception as error:
                    yield f"K different clips: {case}: {_words(error)}"
                    return
                if len(set(some.tolist())) != min(k, clips) or len(some) != min(k, clips):
                    yield f"K different clips: {case}: {some.tolist()}"
                    return
                if some.min() < 0 or some.max() >= clips:
                    yield f"K different clips: {case}: {some.tolist()} are not all in 0..{clips - 1}"
                    return
                if not np.array_equal(some, again):
                    yield f"same again: {case}: draw with the rng that is given, if at all"
                    return


def _read(reads: tuple[str, ...]) -> list[_Video]:
    """The drawn videos, and of each what is read for a sampler that names these inputs."""
    found = []
    for title, path in _drawn().items():
        index = DRAWN_AS.index(path)
        heard = index.info.has_audio
        features = read_video(
            index, DRAWN_AS, [n for n in reads if n in MODALITIES and (heard or n != "audio")]
        )
        for name in reads:
            if name not in MODALITIES:
                features.arrays[name] = read_input(name, index, features.get("", "clip").tolist())
        found.append(_Video(title, index, features))
    return found


_FOLDER = tempfile.TemporaryDirectory(prefix="scs-check-")  # goes when the process ends


@lru_cache(maxsize=1)
def _drawn() -> dict[str, Path]:
    folder = Path(_FOLDER.name)
    encoding, found = Encoding(width=96, height=64, frame_rate=16), {}
    for title, (clips, sound) in VIDEOS.items():
        found[title] = folder / f"{title.replace(' ', '-')}.mp4"
        write_drawn(found[title], encoding, clips * DRAWN_AS.clip_len, sound=sound)
    picture = np.full((64, 96, 3), 128, np.uint8)
    samples = np.sin(np.arange(3 * SAMPLE_RATE) / 5.0) / 4
    found[UNMOVED] = folder / "still.mp4"
    write_video(
        found[UNMOVED], [picture] * 3 * DRAWN_AS.clip_len, samples[: round(1.5 * SAMPLE_RATE)], encoding
    )
    return found


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
