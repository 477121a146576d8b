"""The paper's table: which clips each method picks, how often the label is right, what it costs.

f has scored every clip once (dense scores), so that a method's prediction is the mean of the rows of
the clips that it picks: exactly what f would say, without asking it again. Costs are measured apart,
on real files, stage by stage: see `time_methods`.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from scslib import fusion, sampling
from scslib.aggregation import mean_of_clips
from scslib.baselines import Baseline
from scslib.datasets.manifest import Dataset
from scslib.features import FeatureSpec, read_video
from scslib.scoring import CLIPS_AT_ONCE, ClipSampler, classify, clips_for
from scslib.shards import Shards
from scslib.video.frames import decode_clips, iter_clips, short_side
from scslib.video.probe import probe

BASELINES = ("random", "uniform", "dense", "oracle")
STAGES = ("read_s", "decode_s", "sampler_s", "classifier_s")


def pick_clips(
    method: str, probabilities: np.ndarray, label: int, k: int, rng: np.random.Generator
) -> np.ndarray:
    """The clips that a method without a sampler picks of one video of N clips."""
    clips = len(probabilities)
    if method == "random":
        return sampling.random(clips, k, rng)
    if method == "uniform":
        return sampling.uniform(clips, k)
    if method == "dense":
        return sampling.dense(clips)
    if method == "oracle":
        return sampling.oracle(probabilities, label, k)
    raise ValueError(f"method ({method!r}) must be one of {BASELINES}")


def saliency_table(
    samplers: list[ClipSampler | Baseline], features: Shards, videos: list[str], seed: int
) -> pd.DataFrame:
    """The saliency of every clip: rows `seed, method, video_id, clip, start_s, end_s, saliency`.

    A method that needs sound has no rows for a video without it, unless it sees the pictures too.
    """
    tables = []
    for video_id in videos:
        times = features.get(video_id, "times")
        for sampler in samplers:
            if sampler.modalities == ("logmel",) and not features.has(video_id, "logmel"):
                continue
            columns = {"seed": seed, "method": sampler.name, "video_id": video_id}
            columns |= {"clip": np.arange(len(times)), "start_s": times[:, 0], "end_s": times[:, 1]}
            tables.append(pd.DataFrame(columns | {"saliency": sampler.saliency(features, video_id)}))
    return pd.concat(tables, ignore_index=True)


def fused_table(saliency: pd.DataFrame, rule: str, numbers: dict[int, float], *, k: int) -> pd.DataFrame:
    """The `saliency_table` of a late fusion: its `visual` and `audio` rows joined by a rule of `fusion`.

    numbers: the rule's number (alpha, or K'/K) for each seed. A video that the audio sampler could not
    hear keeps the visual sampler's order. The saliency's top `k` are the clips that the rule picks.
    """
    both = {
        name: dict(list(rows.groupby(["seed", "video_id"]))) for name, rows in saliency.groupby("method")
    }
    tables = []
    for key, seen in both["visual"].items():
        heard, visual = both["audio"].get(key), seen["saliency"].to_numpy()
        picks = sampling.top_k(visual, k)
        if heard is not None:
            picks = fusion.RULES[rule](visual, heard["saliency"].to_numpy(), k, numbers[key[0]])
        tables.append(seen.assign(method=rule, saliency=fusion.as_saliency(picks, len(seen))))
    return pd.concat(tables, ignore_index=True)


def evaluate(
    dataset: Dataset,
    videos: pd.DataFrame,
    dense: Shards,
    saliency: pd.DataFrame,
    *,
    k: int,
    seeds: list[int],
) -> pd.DataFrame:
    """One row per method, seed and video: `method, seed, video_id, label, predicted, correct, clips,
    of, in_segments`.

    `in_segments` is the share of the picked clips' time that lies in annotated segments (NaN where
    there are none). `shuffled` gives the last sampler's saliencies to the wrong clips: a control that
    must not beat random. Videos that f could not score are left out here and counted by `summarise`.
    """
    by_key = {key: group for key, group in saliency.groupby(["method", "seed", "video_id"])}
    samplers = list(dict.fromkeys(saliency["method"]))
    control = samplers[-1]
    rows = []
    for video_id, label in zip(videos["video_id"], dataset.label_index(videos), strict=True):
        if video_id not in dense:
            continue
        scores = dense.get(video_id, "probabilities")
        inside = _inside_segments(dataset, video_id, by_key, samplers, seeds)
        for seed in seeds:
            rng = np.random.default_rng([seed, len(rows)])
            for method in (*BASELINES, *samplers, "shuffled"):
                if method in BASELINES:
                    picks = pick_clips(method, scores, label, k, rng)
                else:
                    group = by_key.get((control if method == "shuffled" else method, seed, video_id))
                    if group is None:  # no sound: nothing better is known than uniform
                        picks = sampling.uniform(len(scores), k)
                    else:
                        values = group["saliency"].to_numpy()[: len(scores)]
                        values = rng.permutation(values) if method == "shuffled" else values
                        picks = sampling.top_k(values, k)
                predicted = int(mean_of_clips(scores[picks]).argmax())
                rows.append(
                    {
                        "method": method,
                        "seed": seed,
                        "video_id": video_id,
                        "label": dataset.classes[label],
                        "predicted": dataset.classes[predicted],
                        "correct": predicted == label,
                        "clips": len(picks),
                        "of": len(scores),
                        "in_segments": inside[picks].mean() if inside is not None else np.nan,
                    }
                )
    return pd.DataFrame(rows)


def _inside_segments(dataset, video_id, by_key, samplers, seeds) -> np.ndarray | None:
    """(N,) share of each clip's time inside the video's segments; None without annotation."""
    spans = dataset.segments_of(video_id)
    groups = [by_key.get((m, s, video_id)) for m in samplers for s in seeds]
    group = next((g for g in groups if g is not None), None)
    if not len(spans) or group is None:
        return None
    start, end = group["start_s"].to_numpy(), group["end_s"].to_numpy()
    return overlap(start, end, spans) / np.maximum(end - start, 1e-9)


def overlap(start: np.ndarray, end: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """(N,) seconds that the intervals [start, end) share with the disjoint `spans` (S, 2)."""
    shared = np.minimum(end[:, None], spans[:, 1]) - np.maximum(start[:, None], spans[:, 0])
    return np.clip(shared, 0, None).sum(1)


def wilson(correct: int, videos: int) -> tuple[float, float]:
    """95 % confidence interval of a share of `correct` among `videos` (Wilson, 1927)."""
    if videos == 0:
        return float("nan"), float("nan")
    z = 1.959964
    share = correct / videos
    middle = (share + z**2 / (2 * videos)) / (1 + z**2 / videos)
    half = z / (1 + z**2 / videos) * np.sqrt(share * (1 - share) / videos + z**2 / (4 * videos**2))
    return middle - half, middle + half


def summarise(predictions: pd.DataFrame, costs: pd.DataFrame, *, k: int, videos: int) -> pd.DataFrame:
    """`results/methods.csv`: one row per method and seed.

    `videos` is how many the test split has; those without a prediction are `videos_failed`. `covered`
    says how much of the way from uniform (0) to oracle (1) a method goes, `in_segments` how much of
    its picks' time lies in annotated segments. Costs are seconds per video (see `time_methods`).
    """
    rows = []
    accuracy = predictions.groupby(["method", "seed"])["correct"].mean()
    for (method, seed), group in predictions.groupby(["method", "seed"], sort=False):
        low, high = wilson(int(group["correct"].sum()), len(group))
        base, best = accuracy["uniform", seed], accuracy["oracle", seed]
        row = {"method": method, "seed": seed, "k": k, "clips": group["clips"].mean()}
        row |= {"clips_of": group["of"].mean(), "videos": len(group)}
        row |= {"videos_failed": videos - len(group)}
        row |= {"accuracy": accuracy[method, seed], "accuracy_low": low, "accuracy_high": high}
        row["covered"] = (row["accuracy"] - base) / (best - base) if best > base else np.nan
        row["in_segments"] = group["in_segments"].mean()
        rows.append(row)
    table = pd.DataFrame(rows).merge(costs, on="method", how="left")
    order = [*BASELINES[:3], *dict.fromkeys(m for m in table["method"] if m not in BASELINES), "oracle"]
    table["method"] = pd.Categorical(table["method"], order, ordered=True)
    return table.sort_values(["method", "seed"]).astype({"method": str}).reset_index(drop=True)


def intervals(predictions: pd.DataFrame, *, draws: int = 2000) -> pd.DataFrame:
    """One row per method, in order: accuracy, the mean over seeds, and a 95 % interval over videos.

    `accuracy_low` and `accuracy_high` come from videos drawn with replacement, the same ones for every
    method, so that the intervals can be compared. `spread_over_seeds` is the best seed less the worst.
    """
    right = predictions.pivot_table(index="video_id", columns="method", values="correct", aggfunc="mean")
    sets = np.random.default_rng(0).integers(len(right), size=(draws, len(right)))
    by_seed = predictions.groupby(["method", "seed"])["correct"].mean()
    rows = []
    for method in predictions["method"].unique():
        low, high = np.quantile(right[method].to_numpy()[sets].mean(1), [0.025, 0.975])
        of_seed = by_seed[method]
        row = {"method": method, "seeds": len(of_seed), "accuracy": of_seed.mean()}
        row |= {"accuracy_low": low, "accuracy_high": high, "spread_over_seeds": np.ptp(of_seed)}
        rows.append(row)
    return pd.DataFrame(rows)


def over_seeds(methods: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """One row per method of `methods` (see `summarise`): its `intervals`, and the means of the rest."""
    rest = ["clips", "covered", "in_segments", "seconds_per_video"]
    rest += ["speedup_vs_dense", "overhead_vs_uniform"]
    means = methods.groupby("method", sort=False)[rest].mean()
    return means.reset_index().merge(intervals(predictions), on="method", how="left")


@dataclass
class _Clock:
    """Seconds by stage, measured on one video."""

    seconds: dict[str, float]

    def measure(self, stage: str, function: Callable):
        begin = time.perf_counter()
        result = function()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - begin
        return result


def time_methods(
    paths: list[Path],
    classifier,
    samplers: list[ClipSampler | Baseline],
    spec: FeatureSpec,
    *,
    k: int,
):
    """What each method costs on these files: a table of `STAGES` and ratios, seconds per video.

    Every row is charged for all that it needs and for nothing else: reading (packets, vectors,
    residuals, I-frames, sound), decoding the clips that it shows to f, its own networks, and f. The
    oracle needs f's scores of all clips, so it costs as much as dense. Median over the files; the
    first one is also used to warm up.
    """
    network, view, _ = classifier
    tables: dict[str, list[dict]] = {}
    for path in (paths[0], *paths):
        tables_of_video = {}
        for sampler in (None, *samplers):
            clock = _Clock({})
            index = clock.measure("read_s", lambda p=path: clips_for(p, view))
            picks = sampling.uniform(len(index), k)
            if sampler is not None:
                features = clock.measure(
                    "read_s", lambda i=index, s=sampler: read_video(i, spec, s.modalities)
                )
                saliency = clock.measure(
                    "sampler_s", lambda f=features, s=sampler: s.saliency(f, "video")
                )
                picks = sampling.top_k(saliency, k)
            info = probe(path)
            size = short_side(info.width, info.height, view.short_side)
            pixels = clock.measure(
                "decode_s", lambda i=index, p=picks, s=size: decode_clips(i, sorted(p), size=s)
            )
            clock.measure("classifier_s", lambda p=pixels: classify(network, view, p))
            for name in (sampler.name,) if sampler else ("random", "uniform"):
                tables_of_video[name] = clock.seconds
        clock = _Clock({})
        clock.measure("read_s", lambda p=path: clips_for(p, view))
        stream = iter_clips(index, size=size)
        take = lambda s=stream: list(itertools.islice(s, CLIPS_AT_ONCE))  # noqa: E731
        while clips := clock.measure("decode_s", take):
            clock.measure("classifier_s", lambda c=clips: classify(network, view, np.stack(c)))
        tables_of_video["dense"] = tables_of_video["oracle"] = clock.seconds
        for name, seconds in tables_of_video.items():
            tables.setdefault(name, []).append(seconds)
    rows = []
    for name, measured in tables.items():
        measured = measured[1:]  # the first was the warm-up
        row = {s: float(np.median([m.get(s, 0.0) for m in measured])) for s in STAGES}
        rows.append({"method": name, "seconds_per_video": sum(row.values()), **row})
    table = pd.DataFrame(rows).set_index("method")
    total = table["seconds_per_video"]
    table.insert(1, "speedup_vs_dense", total["dense"] / total)
    table.insert(2, "overhead_vs_uniform", total / total["uniform"])
    return table.reset_index()
