"""Load many runs as one table and test the differences between methods.

    frame = load_runs("sweep-k-laptop")                 a row for each run, method and seed
    mean_over_seeds(frame, by=["k", "method"])          means with 95 % intervals (Student's t)
    compare("laptop", "audio-visual", "uniform")        two methods on the same videos

The two kinds of interval answer two questions. `mean_over_seeds`: would it come out like this again,
trained anew, on these test videos? `compare` and `table.intervals`: would it on other videos?
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from scslib.evaluation.resampling import draw_again, mean_interval, units_of
from scslib.experiments.parameters import known_parameters
from scslib.jobs.files import replacing
from scslib.jobs.run_folder import Run, WorkspaceError, resolve
from scslib.jobs.tables import read_table

REPEATS = ("data_seed", "classifier_seed")  # parameters that say "the same again"
HOW = ("run", "workers")  # parameters that say where and how, not what


def load_runs(folders: str | Path | Iterable[str | Path]) -> pd.DataFrame:
    """A row for each run, method and seed, of runs and of sweeps.

    Of sweeps, it takes the finished runs.
    folders: paths, or names under runs/; a CSV file, such as a sweep's results.csv that was kept, is
    taken as it is. Columns: `sweep` (empty for a single run), `run`, every parameter of the executed
    notebooks (lists as JSON; of `data` the folder's name), the columns of results/methods.csv, versions,
    hardware, the `devices` that networks ran on, `commit`, and `notebook_seconds`: how long the run's
    notebooks took, shared ones too.
    Raises `WorkspaceError` for a folder that is no run, or one before notebook 06, `TableError` for a
    file that is no table.
    """
    if isinstance(folders, (str, Path)):
        folders = [folders]
    tables = []
    for given in folders:
        folder = resolve(given, "runs")
        if folder.suffix == ".csv":
            tables.append(read_table(folder))
        elif (folder / "sweep.json").is_file():
            about = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))
            names = [run["name"] for run in about["runs"] if run["status"] == "done"]
            tables += [_table(folder / "runs" / name, name, sweep=folder.name) for name in names]
        else:
            tables.append(_table(folder, Path(given).name, sweep=""))
    if not tables:
        raise WorkspaceError("no finished run to load")
    return pd.concat(tables, ignore_index=True)


def _table(folder: Path, name: str, *, sweep: str) -> pd.DataFrame:
    run = Run(folder)
    methods = run.load_table("methods")
    columns: dict[str, object] = {"sweep": sweep, "run": name}
    parameters, seconds = _of_notebooks(folder / "notebooks")
    if "data" in parameters:  # where it lies is no result
        parameters["data"] = Path(str(parameters["data"])).name
    columns |= {name: _plain(value) for name, value in parameters.items() if name not in methods}
    environment = run.load_json("env.json")
    devices = ", ".join(sorted({str(device) for device in environment.pop("devices", {}).values()}))
    about = environment.pop("packages", {}) | environment | {"devices": devices}
    about["notebook_seconds"] = seconds
    front, back = (pd.DataFrame([c] * len(methods)) for c in (columns, about))
    return pd.concat([front, methods, back], axis=1)


def _of_notebooks(folder: Path) -> tuple[dict[str, object], float]:
    """(parameters, seconds) of the executed notebooks; of two values of one name the later counts."""
    parameters: dict[str, object] = {}
    seconds = 0.0
    for path in sorted(folder.glob("[0-9][0-9]_*.ipynb")):
        if path.name.endswith(".failed.ipynb"):
            continue
        about = json.loads(path.read_text(encoding="utf-8"))["metadata"].get("papermill", {})
        parameters |= known_parameters(path) | about.get("parameters", {})
        seconds += about.get("duration") or 0.0
    return {name: value for name, value in parameters.items() if name not in HOW}, round(seconds, 1)


def _plain(value: object) -> object:
    return json.dumps(value) if isinstance(value, (list, dict)) else value


def save_results(frame: pd.DataFrame, folder: str | Path) -> None:
    """Write FOLDER/results.csv and results.parquet, each complete or not at all."""
    folder = Path(folder)
    typed = frame.copy()
    for name in typed.select_dtypes("object"):  # Parquet wants one type a column
        kinds = {type(value) for value in typed[name].dropna()}
        if len(kinds) > 1:
            typed[name] = typed[name].map(str, na_action="ignore")
    for name, write in (("results.csv", frame.to_csv), ("results.parquet", typed.to_parquet)):
        with replacing(folder / name, own=True) as part:
            write(part, index=False)


def mean_over_seeds(
    frame: pd.DataFrame, *, by: Sequence[str] = ("run", "method"), value: str = "accuracy"
) -> pd.DataFrame:
    """The mean of `value` in each group of `by`, with its interval.

    It is a 95 % interval over seeds (Student's t).
    Columns: `by`, `n`, `VALUE`, `VALUE_low`, `VALUE_high`, as the figures of `plots` take them. Where a
    group holds several `data_seed` or `classifier_seed`, these are the n repeats, after a mean over the
    samplers' seeds: samplers that share one f are not independent. One repeat has no interval (NaN); a
    method without chance in it, such as uniform with one f, has one of width zero. Raises `ValueError`
    where a group holds the same seeds twice, because runs differ in something that `by` does not name.
    """
    from scipy import stats

    by = [by] if isinstance(by, str) else list(by)
    for name in (*by, value):
        if name not in frame:
            raise ValueError(f"by and value: no column {name!r} in this table")
    rows = []
    for key, group in frame.groupby(by, sort=False, dropna=False):
        repeats = [name for name in REPEATS if name in group and group[name].nunique() > 1]
        if group.duplicated([*repeats, "seed"]).any():
            raise ValueError(
                f"by ({by}): the group {key} holds seed {group['seed'].iloc[0]} more than once; "
                "name the parameter in which its runs differ, too"
            )
        values = group.groupby(repeats or ["seed"])[value].mean().to_numpy()
        mean, n = values.mean(), len(values)
        half = stats.t.ppf(0.975, n - 1) * stats.sem(values) if n > 1 else np.nan
        rows.append((*key, n, mean, mean - half, mean + half))
    return pd.DataFrame(rows, columns=[*by, "n", value, f"{value}_low", f"{value}_high"])


def readable_means(frame: pd.DataFrame, varied: Sequence[str], methods: Sequence[str]) -> pd.DataFrame:
    """Accuracies in percent with intervals, to be read: a row a value of `varied`, a column a method."""
    by = [name for name in varied if name not in REPEATS and name in frame]
    table = mean_over_seeds(frame[frame["method"].isin(methods)], by=[*by, "method"])
    half = table["accuracy"] - table["accuracy_low"]
    table["text"] = [
        f"{100 * m:.1f}" + ("" if pd.isna(h) else f" ± {100 * h:.1f}")
        for m, h in zip(table["accuracy"], half, strict=True)
    ]
    rows = by or [pd.Series("", index=table.index)]
    wide = table.pivot_table(index=rows, columns="method", values="text", aggfunc="first", sort=False)
    return wide[[name for name in methods if name in wide]]


@dataclass(frozen=True)
class Comparison:
    """Method a less method b on the same videos: a difference of accuracies (0..1), 95 % interval.

    better, worse: videos on which a, or b, is right more often. p: of a difference at least as large
    if the two were the same; `test` says how it was found. left_out: videos that only one answered.
    """

    difference: float
    low: float
    high: float
    p: float
    test: str
    videos: int
    better: int
    worse: int
    left_out: int

    def __str__(self) -> str:
        points = f"{100 * self.difference:+.1f} points ({100 * self.low:+.1f} to {100 * self.high:+.1f})"
        counts = f"{self.better} of {self.videos} videos better, {self.worse} worse"
        counts += f", {self.left_out} left out" if self.left_out else ""
        return f"{points}, p = {self.p:.3g} ({self.test}; {counts})"


def compare(
    predictions: pd.DataFrame | str | Path, a: str, b: str, *, draws: int = 10_000
) -> Comparison:
    """A paired test of two methods of one run on the same videos.

    predictions: of the run, or its results/predictions.csv.
    The source is the unit, that is the video where none is told, with its mean over seeds: seeds see the
    same videos and are no further evidence of them. One answer a video, each its own source: McNemar's
    exact test; else the signs of the sources' differences permuted, `draws` times at most. The interval
    comes from sources and their videos drawn with replacement (see `resampling`). Raises `ValueError`
    for a method that is not there, or two that have no video in common.
    """
    from scipy import stats

    if not isinstance(predictions, pd.DataFrame):
        predictions = Run(resolve(predictions, "runs")).load_table("predictions")
    shares = []
    for name, method in (("a", a), ("b", b)):
        rows = predictions[predictions["method"] == method]
        if rows.empty:
            known = ", ".join(predictions["method"].unique())
            raise ValueError(f"{name} ({method!r}) must be one of the run's methods: {known}")
        shares.append(rows.groupby("video_id")["correct"].mean().astype(float))
    both = shares[0] - shares[1]  # NaN where one of them has no answer
    gap = both.dropna().to_numpy()
    if not len(gap):
        raise ValueError(f"a ({a!r}) and b ({b!r}) have no video in common")
    better, worse = int((gap > 0).sum()), int((gap < 0).sum())
    units = units_of(predictions, both.index)
    of_sources = both.groupby(units["source"].to_numpy()).sum().to_numpy()
    if units["source"].is_unique and set(np.unique(gap)) <= {-1.0, 0.0, 1.0}:
        test, p = "McNemar, exact", 1.0
        if better + worse:
            p = stats.binomtest(better, better + worse, 0.5).pvalue
    else:
        test = "permutation of signs"
        # one sample of differences: each permutation turns some of their signs
        p = stats.permutation_test(
            (of_sources,),
            np.mean,
            permutation_type="samples",
            n_resamples=draws,
            rng=np.random.default_rng(0),
        ).pvalue
    counts = draw_again(units, ["source", "video_id"])
    low, high = mean_interval(both.to_numpy(), counts)
    left_out = len(both) - len(gap)
    return Comparison(gap.mean(), low, high, float(p), test, len(gap), better, worse, left_out)
