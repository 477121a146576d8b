"""Build the site from README, docs, docstrings and notebooks: `make docs`.

Pages and notebooks keep their places, so that links between them hold. Notebooks are those of the runs
`laptop` and `real` where they are in runs/, else the committed ones, which are of the smoke run.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import click
import nbformat
from sphinx.cmd.build import main as sphinx

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    "Use it": ("own_video", "own_data", "classifiers", "extending", "videos", "cluster"),
    "What is known": ("experiments", "costs", "limits", "hostile"),
    "Look it up": ("glossary", "architecture"),
}
ELSEWHERE = "data", "benchmarks"  # pages that stand beside what they explain
ROOMS = {
    "sampling": "the K salient clips of a file",
    "samplers": "what a sampler is; the paper's, rules, policies, and your own",
    "training": "f's and the samplers' training",
    "evaluation": "how good and how costly a method is",
    "models": "networks and their weights",
    "video": "what is in a file",
    "datasets": "videos and labels",
    "report": "figures, players, the report",
    "experiments": "runs, sweeps, variants",
    "jobs": "long steps, done safely",
    "cli": "the command `scs`",
}
SMOKE = """```{note}
These are the outputs of the smoke run: tiny networks, trained for seconds, that have learnt nothing.
`make tutorial` runs the same notebook in earnest, and `make docs` shows what came out.
```"""
RUN = """```{{note}}
Run with the preset `{preset}`. Settings, versions and hardware are in the run's `params.json` and
`env.json`.
```"""


@click.command()
@click.option(
    "--runs", type=click.Path(path_type=Path), default=ROOT / "runs", help="Where the runs are."
)
@click.option(
    "--out", type=click.Path(path_type=Path), default=ROOT / "build" / "site", show_default=True
)
def build(runs: Path, out: Path) -> None:
    """Write the site into OUT/html. It needs no network, and fails on the first warning."""
    source = out / "source"
    shutil.rmtree(source, ignore_errors=True)
    for page in (ROOT / "docs").glob("*.md"):
        _copy_page(page, source)
    others = [
        _copy_page(p, source) for folder in ELSEWHERE for p in sorted((ROOT / folder).glob("*.md"))
    ]
    shutil.copytree(ROOT / "docs" / "images", source / "docs" / "images")
    notebooks = [_notebook(path, runs / "laptop", source / "notebooks") for path in _committed()]
    real = runs / "real" / "notebooks"
    on_real = [
        _notebook(p, runs / "real", source / "real") for p in _committed() if (real / p.name).is_file()
    ]
    api = [_room(room, about, source / "api") for room, about in ROOMS.items()]
    (source / "index.md").write_text(_start(notebooks, on_real, others, api), encoding="utf-8")
    settings = ["-b", "html", "-W", "--keep-going", "-q", "-c", str(Path(__file__).parent)]
    code = sphinx([*settings, "-d", str(out / "doctrees"), str(source), str(out / "html")])
    if code == 0:
        click.echo(f"{out / 'html' / 'index.html'}")
    sys.exit(code)


def _committed() -> list[Path]:
    return sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))


def _links(text: str) -> str:
    """README is the site's first page; what is no page of the site is named, not linked."""
    text = re.sub(r"\]\((?:\.\./)+README\.md(#[^)]*)?\)", r"](/index.md\1)", text)
    return re.sub(
        r"\[([^\]]+)\]\((?:\.\./)+(?:scslib|tests|notebooks/(?:presets|sweeps))[^)]*\)", r"\1", text
    )


def _copy_page(page: Path, source: Path) -> str:
    """Write a page of the repository; its name on the site."""
    target = source / page.relative_to(ROOT)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(_links(page.read_text(encoding="utf-8")), encoding="utf-8")
    return str(target.relative_to(source).with_suffix(""))


def _notebook(committed: Path, run: Path, folder: Path) -> str:
    """Write the run's notebook, else the committed one, with a line that says which; its page's name."""
    ran = run / "notebooks" / committed.name
    ran = ran if ran.is_file() else committed
    notebook = nbformat.read(ran, 4)
    about = SMOKE if ran == committed else RUN.format(preset=run.name)
    notebook.cells.insert(1, nbformat.v4.new_markdown_cell(about))
    cells = []
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if "parameters" in tags and ran != committed:  # those of the preset stand in the cell below
            cell.metadata["tags"] = [*tags, "hide-input"]
            cell.metadata["mystnb"] = {"code_prompt_show": "All settings, with their defaults"}
        if "solution" in tags:
            cell.metadata["tags"] = [*tags, "hide-cell"]
            cell.metadata["mystnb"] = {"code_prompt_show": "Solution", "code_prompt_hide": "Solution"}
        if "exercise" not in tags:  # an empty cell to write in
            cells.append(cell)
    notebook.cells = cells
    folder.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, folder / committed.name)
    return f"{folder.name}/{committed.stem}"


def _room(room: str, about: str, folder: Path) -> str:
    """The page of a room: its modules with all that is public in them."""
    folder.mkdir(parents=True, exist_ok=True)
    package = ROOT / "scslib" / room
    modules = [p.relative_to(ROOT).with_suffix("") for p in sorted(package.rglob("*.py"))]
    names = [".".join(p.parts) for p in modules if not p.name.startswith("__")]
    parts = [f"# scslib.{room}", f"{about[0].upper()}{about[1:]}."]
    for name in names:
        directive = f"```{{eval-rst}}\n.. automodule:: {name}\n   :members:\n```"
        parts += [f"## {name.removeprefix(f'scslib.{room}.')}", directive]
    (folder / f"{room}.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return f"api/{room}"


def _start(notebooks: list[str], on_real: list[str], pages: list[str], api: list[str]) -> str:
    """README with the table of contents of the whole site, which shows beside every page."""
    lists = {"Notebooks": notebooks, "Notebooks on real video": on_real}
    lists |= {title: [f"docs/{page}" for page in pages] for title, pages in PAGES.items()}
    lists["Look it up"] += pages
    lists["The library"] = api
    text = [_links((ROOT / "README.md").read_text(encoding="utf-8"))]
    for title, names in lists.items():
        if names:
            text.append("\n".join(["```{toctree}", ":hidden:", f":caption: {title}", "", *names, "```"]))
    return "\n\n".join(text) + "\n"


if __name__ == "__main__":
    build()
