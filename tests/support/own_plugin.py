"""A plugin with one of each: a function, a class that is trained, a policy, and an input."""

import numpy as np

from scslib.samplers import register_policy, register_reader, register_sampler
from scslib.video.frames import decode_clips


@register_sampler("loudest", reads=("audio",))
def loudest(clips):
    return clips.audio.mean((1, 2))


def energy(clips):
    return np.abs(clips.motion).mean((1, 2, 3, 4))


@register_sampler("probe", reads=("motion",))
class Probe:
    def fit(self, videos, labels, dense_scores):
        moved = np.concatenate([energy(clips) for clips in videos])
        worth = np.concatenate([s[:, label] for s, label in zip(dense_scores, labels, strict=True)])
        self.line = np.polyfit(moved, worth, 1)

    def saliency(self, clips):
        return np.polyval(self.line, energy(clips))


@register_policy("best-of-each")
def best_of_each(saliency, embeddings, times, k, rng):
    parts = np.array_split(np.arange(len(saliency)), min(k, len(saliency)))
    return np.array([part[saliency[part].argmax()] for part in parts])


@register_reader("brightness")
def brightness(video, clips):
    return decode_clips(video, clips, size=(36, 64), frames=1).mean((1, 2, 3, 4))


@register_sampler("brightest", reads=("brightness",))
def brightest(clips):
    return clips["brightness"]
