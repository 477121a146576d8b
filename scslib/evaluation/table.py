"""The paper's table: which clips each method picks, how often the label is right, what it costs.

f has scored every clip once (dense scores), so that a method's prediction is the mean of the rows of
the clips that it picks: exactly what f would say, without asking it again. Costs are measured apart,
on real files, stage by stage: see `timing`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from scslib.datasets.manifest import Dataset, sources_of
from scslib.evaluation.aggregation import mean_of_clips
from scslib.evaluation.coverage import share_read
from scslib.evaluation.resampling import DRAWS, draw_again, mean_interval, units_of
from scslib.jobs.shard_files import Shards
from scslib.samplers import fusion, policies
from scslib.samplers.cascade import Cascade
from scslib.samplers.learned import LearnedSampler, ScoredSampler
from scslib.samplers.untrained import Rule

BASELINES = ("random", "uniform", "dense", "oracle")
RANDOMLY, SHIFTED = 200, 60  # draws of `random`, and places of `uniform`, over which a mean is taken


def pick_clips(
    method: str, probabilities: np.ndarray, label: int, k: int, rng: np.random.Generator
) -> np.ndarray:
    """The clips that a method without a sampler picks of one video of N clips: (D, K).

    D = 1 but for those two that depend on luck: K clips drawn so many times, and K clips at equal
    distances from as many beginnings.
    """
    clips = len(probabilities)
    if method == "random":
        return np.stack([policies.random(clips, k, rng) for _ in range(RANDOMLY)])
    if method == "uniform":
        return np.stack([policies.uniform(clips, k, (n + 0.5) / SHIFTED) for n in range(SHIFTED)])
    if method == "dense":
        return policies.dense(clips)[None]
    if method == "oracle":
        return policies.oracle(probabilities, label, k)[None]
    raise ValueError(f"method ({method!r}) must be one of {BASELINES}")


def saliency_table(
    samplers: Sequence[LearnedSampler | ScoredSampler | Rule | Cascade],
    features: Shards,
    videos: list[str],
    seed: int,
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
    seeds: list[int],
    control: str = "",
    adaptive: str = "",
) -> pd.DataFrame:
    """One row per method, seed and video: `method, seed, video_id, source, label, predicted, correct,
    clips, of, in_segments, read, fell_back`.

    `correct` is 0 or 1; of `random` and `uniform`, right or wrong by luck, the mean over many draws.
    `in_segments` is the share of the picked clips' time that lies in annotated segments (NaN where
    there are none). control, a method of the table, adds the row `shuffled`: its saliencies, given to
    the wrong clips, a check that must not beat random. adaptive, a method of the table, adds the row
    `adaptive`: its picks, but only until the answer is settled. What is drawn for a row depends on its
    seed, video and method alone, so that no row changes with the others.

    `read` is the share of the video's clips that f, and where a method needs them `features`, could
    read. No method has a row for a video that f could not score, and none that needs features for a
    video that is not in `features`: `summarise` counts both. `fell_back` says that the method had
    nothing to go by in a video that was read, one without sound, and took uniform's clips.
    """
    by_key = {key: group for key, group in saliency.groupby(["method", "seed", "video_id"])}
    other = set(saliency["video_id"]) - set(videos["video_id"])
    if other:  # else the videos that it should name would count as without sound
        raise ValueError(f"saliency: its video ({min(other)}) is none of the {len(videos)} videos")
    samplers = list(dict.fromkeys(saliency["method"]))
    added = [name for name, source in (("adaptive", adaptive), ("shuffled", control)) if source]
    by_f, by_samplers = (
        dict(zip(shards.status["video_id"], share_read(shards.status), strict=True))
        for shards in (dense, features)
    )
    rows: list[dict] = []
    sources = dict(zip(videos["video_id"], sources_of(videos), strict=True))
    for video_id, label in zip(videos["video_id"], dataset.label_index(videos), strict=True):
        if video_id not in dense:
            continue
        scores = dense.get(video_id, "probabilities")
        numbers = clip_numbers(dense, video_id, len(scores))
        inside = _inside_segments(dataset, video_id, features, numbers)
        for seed in seeds:
            for method in (*BASELINES, *samplers, *added):
                read, fell_back = by_f[video_id], False
                rng = policies.draws(seed, video_id, method)
                if method in BASELINES:
                    picks = pick_clips(method, scores, label, k, rng)
                elif video_id not in features:
                    continue
                else:
                    source = {"adaptive": adaptive, "shuffled": control}.get(method, method)
                    group, read = by_key.get((source, seed, video_id)), min(read, by_samplers[video_id])
                    if group is None:  # no sound: nothing better is known than uniform
                        picks, fell_back = pick_clips("uniform", scores, label, k, rng), True
                    else:
                        row_of = pd.Series(np.arange(len(group)), group["clip"])
                        found = row_of.reindex(numbers, fill_value=-1).to_numpy()
                        known = np.flatnonzero(found >= 0)  # clips that both could read
                        values = group["saliency"].to_numpy()[found[known]]
                        values = rng.permutation(values) if method == "shuffled" else values
                        picks = known[policies.top_k(values, k)][None]
                if method == "adaptive":
                    picks = picks[:, : policies.until_settled(scores[picks[0]])]
                predicted = np.array([mean_of_clips(scores[some]).argmax() for some in picks])
                rows.append(
                    {
                        "method": method,
                        "seed": seed,
                        "video_id": video_id,
                        "source": sources[video_id],
                        "label": dataset.classes[label],
                        "predicted": dataset.classes[predicted[0]],
                        "correct": float((predicted == label).mean()),
                        "clips": picks.shape[1],
                        "of": len(scores),
                        "in_segments": np.nan if inside is None else inside[picks.ravel()].mean(),
                        "read": read,
                        "fell_back": fell_back,
                    }
                )
    return pd.DataFrame(rows)


def clip_numbers(shards: Shards, video_id: str, rows: int) -> np.ndarray:
    """(N,) int: which clips of the video the `rows` of its arrays are; damaged ones have no row."""
    return shards.get(video_id, "clip") if shards.has(video_id, "clip") else np.arange(rows)


def _inside_segments(
    dataset: Dataset, video_id: str, features: Shards, numbers: np.ndarray
) -> pd.Series | None:
    """(N,) share of each of f's clips `numbers` inside the video's segments; None without annotation.

    NaN for clips of which `features`, which know the times, could read nothing.
    """
    spans = dataset.segments_of(video_id)
    if not len(spans) or video_id not in features:
        return None
    start, end = features.get(video_id, "times").T
    share = pd.Series(overlap(start, end, spans) / np.maximum(end - start, 1e-9))
    share.index = clip_numbers(features, video_id, len(share))
    return share.reindex(numbers).reset_index(drop=True)  # its mean passes over NaN


def overlap(start: np.ndarray, end: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """(N,) seconds that the intervals [start, end) share with the disjoint `spans` (S, 2)."""
    shared = np.minimum(end[:, None], spans[:, 1]) - np.maximum(start[:, None], spans[:, 0])
    return np.clip(shared, 0, None).sum(1)


def wilson(correct: float, videos: int) -> tuple[float, float]:
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
    order = [*BASELINES[:3], *dict.fromkeys(m for m in table["method"] if m not in BASELINES), "oracle"]
    table["method"] = pd.Categorical(table["method"], order, ordered=True)
    return table.sort_values(["method", "seed"]).astype({"method": str}).reset_index(drop=True)


def intervals(predictions: pd.DataFrame, *, videos: int, draws: int = DRAWS) -> pd.DataFrame:
    """One row per method, in order: accuracy, the mean over seeds, and a 95 % interval over videos.

    `accuracy_low` and `accuracy_high` come from sources and their videos drawn with replacement (see
    `resampling`), the same ones for every method, so that the intervals can be compared; without a
    column `source` each video is its own. `spread_over_seeds` is the best seed less the worst.
    `coverage` is the mean of `read` over seeds and the `videos` that the test split has.
    """
    right = predictions.pivot_table(index="video_id", columns="method", values="correct", aggfunc="mean")
    counts = draw_again(units_of(predictions, right.index), ["source", "video_id"], draws=draws)
    by_seed = predictions.groupby(["method", "seed"])[["correct", "read"]]
    accuracy, read = by_seed.mean()["correct"], by_seed.sum()["read"]
    rows = []
    for method in predictions["method"].unique():
        # NaN where the method has no prediction
        low, high = mean_interval(right[method].to_numpy(float), counts)
        of_seed = accuracy[method]
        row = {"method": method, "seeds": len(of_seed), "accuracy": of_seed.mean()}
        row |= {"accuracy_low": low, "accuracy_high": high, "spread_over_seeds": np.ptp(of_seed)}
        rows.append(row | {"coverage": read[method].mean() / videos})
    return pd.DataFrame(rows)


def over_seeds(methods: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """One row per method of `methods` (see `summarise`): its `intervals`, and the means of the rest."""
    rest = ["clips", "videos", "videos_failed", "videos_partial", "videos_uniform", "covered"]
    rest += ["in_segments", "seconds_per_video", "speedup_vs_dense", "overhead_vs_uniform", "gmacs"]
    means = methods.groupby("method", sort=False)[rest].mean()
    videos = int(methods[["videos", "videos_failed"]].iloc[0].sum())
    return means.reset_index().merge(intervals(predictions, videos=videos), on="method", how="left")


def p_of_guessing(answers: pd.DataFrame) -> float:
    """The p-value, 0..1, of f's answers being no better than the most frequent class for every clip.

    answers: rows `video_id, label, answer`, one for each clip, classes as numbers. A one-sided t-test
    over the shares of right clips of the videos, since the clips of one video are much alike; NaN for
    fewer than two videos. Where all videos have the same share: 0 if it is the higher one, else 1.
    """
    from scipy import stats  # takes half a second to import

    right = (answers["label"] == answers["answer"]).groupby(answers["video_id"]).mean()
    if len(right) < 2:
        return math.nan
    most = answers.groupby("video_id")["label"].first().value_counts(normalize=True).max()
    if np.ptp(right) == 0:
        return float(right.iloc[0] <= most)
    return float(stats.ttest_1samp(right, most, alternative="greater").pvalue)
