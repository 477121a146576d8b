"""The table of methods: picks, accuracy and cost of each (`results/methods.csv`).

f has scored every clip once (dense scores), so that a method's prediction is the mean of the rows of
the clips that it picks: exactly what f would say, without asking it again. Costs are measured apart,
on real files, stage by stage: see `timing`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from scslib.datasets.manifest import Dataset, sources_of
from scslib.evaluation.aggregation import mean_of_clips
from scslib.evaluation.coverage import share_read
from scslib.evaluation.methods import REFERENCES, Method, Picks, Salient, ScoredVideo
from scslib.evaluation.resampling import units_of
from scslib.evaluation.segments import clip_numbers, inside_segments
from scslib.evaluation.statistics import intervals, wilson
from scslib.jobs.shard_files import Shards
from scslib.samplers import fusion, policies
from scslib.samplers.base import Sampler


def saliency_table(
    samplers: Sequence[Sampler],
    features: Shards,
    videos: list[str],
    seed: int,
) -> pd.DataFrame:
    """The saliency of every clip: rows `seed, method, video_id, clip, start_s, end_s, saliency`.

    A sampler has no rows for a video in which there is nothing of what it reads: no sound.
    """
    tables = []
    for video_id in videos:
        times = features.get(video_id, "times")
        for sampler in samplers:
            if sampler.modalities and not any(features.has(video_id, m) for m in sampler.modalities):
                continue
            columns = {"seed": seed, "method": sampler.name, "video_id": video_id}
            columns |= {
                "clip": clip_numbers(features, video_id, len(times)),
                "start_s": times[:, 0],
                "end_s": times[:, 1],
            }
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
        picks = policies.top_k(visual, k)
        if heard is not None:
            picks = fusion.RULES[rule](visual, heard["saliency"].to_numpy(), k, numbers[key[0]])
        tables.append(seen.assign(method=rule, saliency=fusion.as_saliency(picks, len(seen))))
    return pd.concat(tables, ignore_index=True)


def evaluate(
    dataset: Dataset,
    videos: pd.DataFrame,
    dense: Shards,
    features: Shards,
    saliency: pd.DataFrame,
    *,
    k: int,
    seeds: Sequence[int],
    also: Sequence[Method] = (),
    samplers: Mapping[int, Sequence[Sampler]] | None = None,
) -> pd.DataFrame:
    """One row per method, seed and video: `method, seed, video_id, source, label, predicted, correct,
    clips, of, in_segments, read, fell_back`.

    The methods are `methods.REFERENCES`, the samplers of the table `saliency`, and those of `also`.
    samplers: by seed; policies that want embeddings get them from these.

    `correct` is 0 or 1; of `random` and `uniform`, right or wrong by luck, the mean over many draws.
    `in_segments` is the share of the picked clips' time that lies in annotated segments (NaN where
    there are none). What is drawn for a row depends on its seed, video and method alone, so that no row
    changes with the others.

    `read` is the share of the video's clips that f, and where a method needs them `features`, could
    read. No method has a row for a video that f could not score, and none that needs features for a
    video that is not in `features`: `summarise` counts both. `fell_back` says that the method had
    nothing to go by in a video that was read, one without sound, and took uniform's clips.
    """
    other = set(saliency["video_id"]) - set(videos["video_id"])
    if other:  # else the videos that it should name would count as without sound
        raise ValueError(f"saliency: its video ({min(other)}) is none of the {len(videos)} videos")
    salient = map(Salient, dict.fromkeys(saliency["method"]))
    methods: list[Method] = [*REFERENCES, *salient, *also]
    tables = {key: table for key, table in saliency.groupby(["video_id", "seed"])}
    sources = dict(zip(videos["video_id"], sources_of(videos), strict=True))
    by_f, by_samplers = (
        dict(zip(shards.status["video_id"], share_read(shards.status), strict=True))
        for shards in (dense, features)
    )
    rows: list[dict] = []
    for video_id, label in zip(videos["video_id"], dataset.label_index(videos), strict=True):
        if video_id not in dense:
            continue
        scores = dense.get(video_id, "probabilities")
        numbers = clip_numbers(dense, video_id, len(scores))
        inside = inside_segments(dataset, video_id, features, numbers)
        times = _times(features, video_id, numbers)
        for seed in seeds:
            known = _by_method(tables.get((video_id, seed)), numbers) if video_id in features else None
            embeddings = _embeddings((samplers or {}).get(seed, ()), features, video_id, numbers)
            video = ScoredVideo(scores, int(label), known, times, embeddings)
            for method in methods:
                picked = method.pick(video, k, policies.draws(seed, video_id, method.name))
                if picked is None:
                    continue
                read = min(by_f[video_id], by_samplers[video_id] if method.needs_features else 1.0)
                row = {"method": method.name, "seed": seed, "video_id": video_id}
                row |= {"source": sources[video_id]} | _worth(picked, video, inside, dataset.classes)
                rows.append(row | {"read": read, "fell_back": picked.fell_back})
    return pd.DataFrame(rows)


def _worth(
    picked: Picks, video: ScoredVideo, inside: pd.Series | None, classes: Sequence[str]
) -> dict[str, object]:
    """The columns of `evaluate` about the picked clips of one video."""
    answers = np.array([mean_of_clips(video.probabilities[some]).argmax() for some in picked.clips])
    return {
        "label": classes[video.label],
        "predicted": classes[answers[0]],
        "correct": float((answers == video.label).mean()),
        "clips": picked.clips.shape[1],
        "of": len(video),
        "in_segments": np.nan if inside is None else inside[picked.clips.ravel()].mean(),
    }


def _by_method(table: pd.DataFrame | None, numbers: np.ndarray) -> dict[str, np.ndarray]:
    """(N,) saliency of f's clips `numbers` by each sampler; NaN for clips that it could not read."""
    found: dict[str, np.ndarray] = {}
    if table is not None:
        for method, rows in table.groupby("method"):
            by_clip = pd.Series(rows["saliency"].to_numpy(), rows["clip"])
            if not np.isfinite(by_clip).all():  # else the clip would count as one that was not read
                raise ValueError(f"saliency of {method} ({by_clip.min()}) must be finite")
            found[str(method)] = by_clip.reindex(numbers).to_numpy()
    return found


def _times(features: Shards, video_id: str, numbers: np.ndarray) -> np.ndarray:
    """(N, 2) seconds of f's clips `numbers`; NaN for those of which nothing was read."""
    if video_id not in features:
        return np.full((len(numbers), 2), np.nan)
    return _aligned(features.get(video_id, "times"), features, video_id, numbers)


def _aligned(rows: np.ndarray, features: Shards, video_id: str, numbers: np.ndarray) -> np.ndarray:
    """Rows of the clips that were read, as rows of f's clips `numbers`; NaN for the others."""
    place = pd.Index(clip_numbers(features, video_id, len(rows))).get_indexer(pd.Index(numbers))
    found = np.asarray(rows, float)[place]
    found[place < 0] = np.nan
    return found


def _embeddings(
    samplers: Sequence[Sampler], features: Shards, video_id: str, numbers: np.ndarray
) -> Callable[[str], np.ndarray | None]:
    """From a sampler's name to the embeddings of f's clips `numbers`, if it has any."""
    by_name = {sampler.name: sampler for sampler in samplers}

    def embeddings(name: str) -> np.ndarray | None:
        found = by_name[name].embeddings(features, video_id) if name in by_name else None
        return None if found is None else _aligned(found, features, video_id, numbers)

    return embeddings


def summarise(predictions: pd.DataFrame, costs: pd.DataFrame, *, k: int, videos: int) -> pd.DataFrame:
    """`results/methods.csv`: one row per method and seed.

    `videos` is how many the test split has. Of a row, `videos` have a prediction, `videos_failed` have
    none; of those that have one, `videos_partial` could be read only in part, and in `videos_uniform`
    the method fell back to uniform. `coverage` is the mean of `read` over the test split. `covered`
    says how much of the way from uniform (0) to oracle (1) a method goes on the same videos, and
    `in_segments` how much of its picks' time lies in annotated segments. Costs are seconds per video
    (see `timing.time_methods`). The interval is Wilson's, for as many looks as there are sources.
    """
    rows = []
    correct = predictions.pivot_table(index=["seed", "video_id"], columns="method", values="correct")
    for (method, seed), group in predictions.groupby(["method", "seed"], sort=False):
        looks = units_of(group, pd.Index(group["video_id"]))["source"].nunique()
        low, high = wilson(group["correct"].mean() * looks, looks)
        accuracy = correct.loc[seed].loc[group["video_id"]].mean()
        base, best = accuracy["uniform"], accuracy["oracle"]
        row = {"method": method, "seed": seed, "k": k, "clips": group["clips"].mean()}
        row |= {"clips_of": group["of"].mean(), "videos": len(group)}
        row |= {"videos_failed": videos - len(group), "videos_partial": int((group["read"] < 1).sum())}
        row |= {"videos_uniform": int(group["fell_back"].sum())}
        row |= {"coverage": group["read"].sum() / videos}
        row |= {"accuracy": accuracy[method], "accuracy_low": low, "accuracy_high": high}
        row["covered"] = (row["accuracy"] - base) / (best - base) if best > base else np.nan
        row["in_segments"] = group["in_segments"].mean()
        rows.append(row)
    table = pd.DataFrame(rows).merge(costs, on="method", how="left")
    first = [method.name for method in REFERENCES if method.name != "oracle"]
    others = [name for name in table["method"].unique() if name not in (*first, "oracle")]
    order = [*first, *others, "oracle"]
    table["method"] = pd.Categorical(table["method"], order, ordered=True)
    return table.sort_values(["method", "seed"]).astype({"method": str}).reset_index(drop=True)


def over_seeds(methods: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """One row per method of `methods` (see `summarise`): its `intervals`, and the means of the rest."""
    rest = ["clips", "videos", "videos_failed", "videos_partial", "videos_uniform", "covered"]
    rest += ["in_segments", "seconds_per_video", "speedup_vs_dense", "overhead_vs_uniform", "gmacs"]
    means = methods.groupby("method", sort=False)[rest].mean()
    videos = int(methods[["videos", "videos_failed"]].iloc[0].sum())
    return means.reset_index().merge(intervals(predictions, videos=videos), on="method", how="left")
