"""docs/hostile.md: the corpus as tables."""

from __future__ import annotations

from tests.hostile.corpus import CORPUS

PAGE = """# Hostile files

Videos, datasets, runs and checkpoints come from strangers. This is what the kit does with files
that were made to harm. The tests (`tests/hostile`) do with each what a user would do, and
watch that no file outside its folder is opened, nothing outside is written, and no connection is
made. The tables are made by `python -m tests.hostile > docs/hostile.md`; what is in backquotes
in their last column is what the tests saw.

**What the kit defends against.** Videos are opened with a whitelist of container formats and the
protocol `file` only: no playlists, no concat scripts, no URLs. What a file claims of sizes, rates
and counts is bounded before memory is set aside. What is left happens in a child process that is
killed when it takes too long or too much (`scslib/jobs/child.py`), and costs that one video.
Datasets and runs are folders that are not left, neither by `..` nor by links. Weights are read
without running code, and take no memory before they fit what is said of them. All text in a report
is escaped. Of a run's notebooks none is executed: only the kit's own are.

**What it does not.** FFmpeg is large, native code. A file that makes it write beyond its memory
could do in the child what you can do: the child has limits of time and memory, and no sandbox. If
you read videos of people who may be after *you*, do it in a container or a virtual machine without
a network and without your files. A name that begins with `=` is a formula to a spreadsheet: the
kit's tables keep names as they are. A folder of your own videos may have links in it, and they are
followed. The options of a command are yours, and the YAML file of a preset: they are checked for
sense, not for malice.

"""
HEADER = "| what | what it tries | what it gets |\n|---|---|---|\n"


def page() -> str:
    """docs/hostile.md."""
    titles = {"video": "Videos", "dataset": "Datasets", "archive": "Archives"}
    titles |= {"run": "Runs", "weights": "Weights"}
    text = PAGE
    for kind, title in titles.items():
        rows = [e for e in CORPUS if e.kind == kind]
        lines = [f"| {e.what} | {e.tries} | {e.gets} |\n" for e in rows]
        text += f"## {title}\n\n{HEADER}{''.join(lines)}\n"
    return text.rstrip() + "\n"
