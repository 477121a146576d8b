"""Add a sampler of your own: a function or a class with one line before it.

    from scslib.samplers import register_sampler

    @register_sampler("loudest", reads=("audio",))
    def loudest(clips):                        # what was read of one video's N clips: `Clips`
        return clips.audio.mean((1, 2))        # (N,): the higher, the more worth showing to f

Put that into a file, and name the file: `scs run -p plugins '["loudest.py"]'`. A class does the same
with its method `saliency(clips)`. With `fit(videos, labels, dense_scores)` it is trained, too (see
`fitted`). `embeddings(clips)`, (N, D), is for policies that look for clips unlike each other.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from scslib.jobs.clock import Clock
from scslib.samplers.base import Features, FileScores, Setting, register_maker
from scslib.samplers.clips import Clips
from scslib.samplers.features import FeatureSpec, VideoFeatures, read_video
from scslib.samplers.fitted import FITTERS, Fitter, restored
from scslib.samplers.readers import read_input, registered_readers
from scslib.video.clips import ClipIndex

Own = TypeVar("Own", bound=Callable[..., Any])


@dataclass(frozen=True, eq=False)
class Rule:
    """A sampler that is a function from `Clips` to a saliency (N,); embed: to embeddings (N, D)."""

    name: str
    modalities: tuple[str, ...]
    rule: Callable[[Clips], np.ndarray]
    embed: Callable[[Clips], np.ndarray] | None = None

    def saliency(self, features: Features, video_id: str) -> np.ndarray:
        """The saliency, (N,) float64; see `base.Sampler`.

        Raises `ValueError` for a function that gives anything but a finite number for each clip.
        """
        clips = Clips(features, video_id, self.modalities)
        found = np.asarray(self.rule(clips), float)
        if found.shape != (len(clips),):
            wanted = f"a number for each of {len(clips)} clips"
            raise ValueError(f"sampler ({self.name!r}) must give {wanted}, not {found.shape}")
        if not np.isfinite(found).all():
            at = int(np.flatnonzero(~np.isfinite(found))[0])
            given = f"sampler ({self.name!r}): saliency of clip {at} ({found[at]})"
            raise ValueError(f"{given} must be finite")
        return found

    def embeddings(self, features: Features, video_id: str) -> np.ndarray | None:
        """The embeddings, (N, D) float64, or None; see `base.Sampler`."""
        if self.embed is None:
            return None
        return np.asarray(self.embed(Clips(features, video_id, self.modalities)), float)

    def score_file(
        self,
        index: ClipIndex,
        spec: FeatureSpec,
        *,
        threads: int = 1,
        clock: Clock | None = None,
        embed: bool = False,
    ) -> FileScores:
        """The saliency of a file's clips; see `base.Sampler`."""
        clock = clock or Clock()
        features = clock("read_s", self._read, index, spec, threads)
        saliency = clock("sampler_s", self.saliency, features, "")
        embeddings = clock("sampler_s", self.embeddings, features, "") if embed else None
        return FileScores(features.get("", "clip"), saliency, embeddings)

    def _read(self, index: ClipIndex, spec: FeatureSpec, threads: int) -> VideoFeatures:
        heard = index.info.has_audio
        reads = [name for name in self.modalities if heard or name != "audio"]
        features = read_video(index, spec, reads, threads=threads)
        for name in registered_readers(self.modalities):
            features.arrays[name] = read_input(name, index, features.get("", "clip").tolist())
        return features


def register_sampler(name: str, *, reads: tuple[str, ...] = ()) -> Callable[[Own], Own]:
    """Make the function or class below the sampler `name`.

    reads: what it looks at: of `models.modalities.MODALITIES`, and inputs of `readers`; empty: times and
    bytes only. Raises `ValueError` for a name that is taken, and for an input that nothing reads.
    """
    if isinstance(reads, str):
        raise ValueError(f'reads ({reads!r}) must be a tuple, such as ("audio",)')
    reads = tuple(reads)
    registered_readers(reads)

    def keep(own: Own) -> Own:
        needs = ""
        if inspect.isclass(own) and hasattr(own, "fit"):
            needs = "fitted"
            FITTERS.add(name, Fitter(own, reads))

        def make(setting: Setting) -> Rule:
            if not inspect.isclass(own):
                return Rule(name, reads, own)
            one: Any = restored(name, setting.fitted[name]) if needs else own()
            return Rule(name, reads, one.saliency, getattr(one, "embeddings", None))

        register_maker(name, needs=needs)(make)
        return own

    return keep
