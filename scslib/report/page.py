"""report.html: one self-contained page with a run's table, figures and videos."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from scslib.evaluation.coverage import coverage_note, percent, reading_note
from scslib.jobs.run_folder import Run
from scslib.report.gallery import load_gallery
from scslib.report.paper import beside
from scslib.report.player import data_uri, render_entry, templates

TITLES = {
    "accuracy": "Accuracy",
    "cost": "Where the time goes",
    "saliency_examples": "What the samplers see",
    "training": "Training the samplers",
    "confusion": "The clip classifier on clips inside the action",
    "dense_scores": "What the classifier says of clips inside and outside the action",
    "inside_by_rank": "Where the top of the ranking lies",
    "choice_inputs": "Design choices: which inputs",
    "choice_objective": "Design choices: which objective",
    "choice_accumulation": "Design choices: from frame to frame, or back to the I-frame",
    "choice_network": "Design choices: which network",
    "choice_fusion": "Design choices: how sight and sound are joined",
    "choice_k": "Design choices: how many clips",
    "classifiers": "Other classifiers",
    "aggregations": "From clips to video",
    "time_narrow": "Where the time goes, with this run's classifier",
    "time_full": "Where the time goes, with the full MC3-18",
    "time_over_speed": "What faster classifiers do to it",
    "time_over_length": "Longer videos",
    "time_and_accuracy": "Accuracy and time",
}
HEADINGS = {
    "method": "method",
    "clips": "clips",
    "accuracy": "accuracy",
    "interval": "95 % interval",
    "coverage": "coverage of videos",
    "covered": "covered",
    "in_segments": "picks in segments",
    "seconds_per_video": "s / video",
    "speedup_vs_dense": "speed-up over dense",
    "overhead_vs_uniform": "time vs uniform",
    "slides: accuracy": "slides: accuracy",
    "slides: speedup_vs_dense": "slides: speed-up",
    "slides: overhead_vs_uniform": "slides: time vs uniform",
}
SUMMARY = [name for name in HEADINGS if name != "interval" and not name.startswith("slides: ")]
SUMMARY += ["accuracy_low", "accuracy_high", "seeds", "videos_uniform"]
SURE = 0.01  # the largest p with which f counts as knowing something
HELD_OUT = "held-out training videos"
ACCURACIES = ("choices", "accuracy_over_k", "classifiers", "aggregations")  # results/*.csv of 08 to 10


def readable(summary: pd.DataFrame) -> pd.DataFrame:
    """The table of `table.over_seeds` in words for people, beside the slides' figures.

    It has a column for the coverage if that is below 100 % in a row.
    """
    table = beside(summary)
    table["interval"] = [
        f"{100 * low:.0f}–{100 * high:.0f}"
        for low, high in zip(table["accuracy_low"], table["accuracy_high"], strict=True)
    ]
    formats = {
        "clips": "{:.3g}",
        "seconds_per_video": "{:.2f}",
        "speedup_vs_dense": "{:.1f}×",
        "overhead_vs_uniform": "{:.2f}×",
        "slides: accuracy": "{:.1f}",
        "slides: speedup_vs_dense": "{:.1f}×",
        "slides: overhead_vs_uniform": "{:.2f}×",
    }
    for column in ("accuracy", "covered", "in_segments"):
        table[column] = 100 * table[column]
        formats[column] = "{:.1f}" if column == "accuracy" else "{:.0f} %"
    for column, form in formats.items():
        table[column] = ["–" if pd.isna(v) else form.format(v) for v in table[column]]
    shown = dict(HEADINGS)
    if table["coverage"].min() < 1:
        table["coverage"] = table["coverage"].map(percent)
    else:
        del shown["coverage"]
    return table[list(shown)].rename(columns=shown)


def shortfalls(run: Run) -> list[str]:
    """A line for the test videos that the run's accuracies miss; none if they stand on all of them.

    It is `coverage.coverage_note`; a line more for each table of a notebook that misses more.
    """
    note = coverage_note(run.load_table("videos"))
    lines, known = [note] if note else [], run.load_table("summary", "coverage")["coverage"].min()
    for name in ACCURACIES:
        if (run.folder / "results" / f"{name}.csv").is_file():
            lowest = run.load_table(name)["coverage"].min()
            if lowest < known - 1e-5:  # as tables are rounded
                lines.append(f"coverage {percent(lowest)} in results/{name}.csv")
    return lines


def guessing_note(notes: dict) -> str:
    """A line for a run whose f is not clearly better than guessing; else "". See notebook 03.

    notes: `Run.notes`, of which `p_of_guessing` is that of `table.p_of_guessing`.
    """
    p = notes.get("p_of_guessing", 0.0)
    if not isinstance(p, float) or p < SURE:
        return ""
    return (
        f"f may be guessing about videos that it has not seen (p = {p:.2g}, and less than {SURE} is "
        "asked, see notebook 03); more videos of each class help"
    )


def block_note(notes: dict) -> str:
    """A line on what every interval of a run holds fixed; notes: `Run.notes`."""
    trained, again = len(notes.get("seeds", [])) or 1, notes.get("trainings_of_f", 1) - 1
    failed = f" ({again} before it failed)" if again else ""
    samplers = "one" if trained == 1 else trained
    return (
        f"one block: one set of videos, one training of f{failed}, {samplers} of the samplers. "
        "Another f moves every row, which the intervals do not know: a sweep over classifier_seed "
        "shows how far"
    )


def write_report(run: Run, *, most: int = 20_000_000) -> Path:
    """Write RUN/report.html from the run's files, and return its path. All text in it is escaped.

    most: bytes. Videos of the gallery that would make the page larger are left out, and it says so.
    """
    summary, methods = run.load_table("summary", *SUMMARY), run.load_table("methods")
    table, videos = readable(summary), run.load_table("videos")
    notes, figures = run.notes(), _figures(run)
    environment, params = (run.load_json(name) for name in ("env.json", "params.json"))
    packages, devices = environment.pop("packages", {}), environment.pop("devices", {})
    facts = [("command", notes.get("command", "scs run")), ("parameters", _pairs(params))]
    facts += [(name.replace("_", " "), str(value)) for name, value in environment.items()]
    facts += [("packages", _pairs(packages)), ("where each step ran", _pairs(devices))]
    entries, labels, left_out = [], set(), 0
    size = sum(len(figure["uri"]) for figure in figures)
    for number, entry in enumerate(load_gallery(run.folder / "gallery")):
        html = render_entry(entry, name=f"v{number}")
        size += len(html)
        if size > most:
            left_out += 1
        else:
            entries.append(html)
            labels.add(entry.label)
    key = notes.get("gallery", {}).get("method", "audio-visual")
    text = (
        templates()
        .get_template("report.html.jinja")
        .render(
            name=run.folder.name,
            dataset=notes.get("dataset", ""),
            videos=int(methods[["videos", "videos_failed"]].iloc[0].sum()),
            coverage=coverage_note(videos),
            guessing=guessing_note(notes),
            block=block_note(notes),
            training=reading_note(videos[videos["split"] == "held out"], HELD_OUT),
            fallen_back=_fallen_back(summary),
            k=int(methods["k"].iloc[0]),
            clips_of=round(float(methods["clips_of"].mean()), 1),
            seeds=int(summary["seeds"].max()),
            key=key,
            numbers=_numbers(summary, key),
            own=_own_columns(table),
            slides=[name.removeprefix("slides: ") for name in table if name.startswith("slides: ")],
            rows=_rows(table, summary),
            figures=figures,
            gallery=notes.get("gallery", {}),
            entries=entries,
            labels=sorted(labels),
            left_out=left_out,
            megabytes=most // 1_000_000,
            facts=facts,
        )
    )
    path = run.inside("report.html")
    path.write_text(text, encoding="utf-8")
    return path


def _own_columns(table: pd.DataFrame) -> list[str]:
    """The columns of `readable` about this run; after the interval, it is drawn."""
    own = [name for name in table.columns[1:] if not name.startswith("slides: ")]
    own.insert(own.index("95 % interval") + 1, "0 to 100")
    return own


def _fallen_back(summary: pd.DataFrame) -> str:
    """The methods that took uniform's clips of videos without sound, with how many."""
    rows = summary[summary["videos_uniform"] > 0]
    return ", ".join(f"{row.method} of {row.videos_uniform:.0f}" for row in rows.itertuples())


def _rows(table: pd.DataFrame, summary: pd.DataFrame) -> list[dict]:
    """The lines of `readable`, with the accuracy's interval as percents to be drawn."""
    drawn = (100 * summary[["accuracy_low", "accuracy", "accuracy_high"]]).round(2)
    drawn.columns = ["low", "middle", "high"]
    return pd.concat([table, drawn], axis=1).to_dict("records")


def _numbers(summary: pd.DataFrame, key: str) -> list[dict]:
    """What the page opens with: the sampler `key` beside uniform and dense."""
    methods = summary.set_index("method")
    if not {key, "uniform", "dense"} <= set(methods.index):
        return []
    ours, uniform, dense = (methods.loc[name] for name in (key, "uniform", "dense"))

    def beside(column: str, form: str, scale: float = 1) -> dict:
        values = [form.format(scale * row[column]) for row in (ours, uniform, dense)]
        return {"value": values[0], "beside": f"uniform {values[1]}, dense {values[2]}"}

    numbers = [{"what": "Accuracy"} | beside("accuracy", "{:.1f} %", 100)]
    if pd.notna(ours["in_segments"]):
        numbers.append({"what": "Picks in the action"} | beside("in_segments", "{:.0f} %", 100))
    clips = f"{ours['clips']:.0f} of {dense['clips']:.0f}"
    numbers.append({"what": "Clips shown to f", "value": clips, "beside": "of each video, on average"})
    numbers.append({"what": "Time for a video"} | beside("seconds_per_video", "{:.2f} s"))
    return numbers


def _figures(run: Run) -> list[dict]:
    """Title and address of each figure, but of those of single videos: the gallery shows them."""
    figures = []
    for path in sorted(run.inside("figures").glob("*.png"), key=_order):
        if not path.stem.startswith(("curve_", "sheet_")):
            title = TITLES.get(path.stem, path.stem.replace("_", " ").capitalize())
            picture = run.inside("figures", path.name).read_bytes()
            figures.append({"title": title, "uri": data_uri(picture, "image/png")})
    return figures


def _pairs(values: dict) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _order(path: Path) -> tuple[int, str]:
    names = list(TITLES)
    return (names.index(path.stem) if path.stem in names else len(names), path.stem)
