"""report.html: one self-contained page with a run's tables and figures."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import jinja2
import pandas as pd

from scslib.paper import beside
from scslib.workspace import Run

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
COLUMNS = {
    "method": "method",
    "clips": "clips",
    "accuracy": "accuracy",
    "interval": "95 % interval",
    "covered": "covered",
    "in_segments": "picks in segments",
    "seconds_per_video": "s / video",
    "speedup_vs_dense": "speed-up over dense",
    "overhead_vs_uniform": "time vs uniform",
    "slides: accuracy": "slides: accuracy",
    "slides: speedup_vs_dense": "slides: speed-up",
    "slides: overhead_vs_uniform": "slides: time vs uniform",
}


def readable(summary: pd.DataFrame) -> pd.DataFrame:
    """The table of `evaluation.over_seeds` in words for people, beside the slides' figures."""
    table = beside(summary)
    table["interval"] = [
        f"{100 * low:.0f}–{100 * high:.0f}"
        for low, high in zip(table["accuracy_low"], table["accuracy_high"], strict=True)
    ]
    formats = {
        "clips": "{:.0f}",
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
    return table[list(COLUMNS)].rename(columns=COLUMNS)


def write_report(run: Run) -> Path:
    """Write RUN/report.html from the run's files, and return its path. All text in it is escaped."""
    summary, methods = run.load_table("summary"), run.load_table("methods")
    table, notes = readable(summary), run.notes()
    environment, params = (_load(run.folder / name) for name in ("env.json", "params.json"))
    figures = []
    for path in sorted((run.folder / "figures").glob("*.png"), key=_order):
        data = base64.b64encode(path.read_bytes()).decode()
        title = TITLES.get(path.stem, path.stem.replace("_", " ").capitalize())
        figures.append({"title": title, "data": data})
    facts = [("command", notes.get("command", "scs run")), ("parameters", json.dumps(params))]
    facts += [(key, str(value)) for key, value in environment.items()]
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    page = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True)
    text = page.get_template("report.html.jinja").render(
        name=run.folder.name,
        dataset={
            "name": notes.get("dataset", ""),
            "videos": int(methods["videos"].iloc[0]),
            "failed": int(methods["videos_failed"].iloc[0]),
        },
        k=int(methods["k"].iloc[0]),
        clips_of=round(float(methods["clips_of"].mean()), 1),
        seeds=int(summary["seeds"].max()),
        columns=list(table.columns),
        rows=table.to_numpy().tolist(),
        figures=figures,
        facts=facts,
    )
    path = run.folder / "report.html"
    path.write_text(text, encoding="utf-8")
    return path


def _order(path: Path) -> tuple[int, str]:
    names = list(TITLES)
    return (names.index(path.stem) if path.stem in names else len(names), path.stem)


def _load(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
