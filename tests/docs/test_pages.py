"""README and pages: every link leads somewhere, every block of code is one that could be run."""

import ast
import importlib
import re
import shlex
from pathlib import Path

import click
import pytest

from scslib.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    *(p for d in ("docs", "data", "benchmarks") for p in sorted((ROOT / d).glob("*.md"))),
]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
OTHERS = set("git cp head sbatch scontrol sleep srun torchrun ray pip export".split())


def blocks(page, *languages):
    found = re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    return [text for language, text in found if language in languages]


def anchors(page):
    """GitHub's names of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@each_page
def test_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", text)):
        if link.startswith(("https://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@each_page
def test_python_compiles_and_what_it_imports_is_there(page):
    for text in blocks(page, "python", "py"):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "scslib":
                module = importlib.import_module(node.module)
                for name in node.names:
                    assert hasattr(module, name.name), f"{node.module}: {name.name}"


def commands(page):
    """The commands of a page's blocks, without what is redirected, as lists of words."""
    for text in blocks(page, "bash", "sh", "shell"):
        for line in re.sub(r"\\\n|\$\(\([^)]*\)\)", " ", text).splitlines():
            lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>()")
            lexer.whitespace_split = True
            words = []
            for word in [*lexer, ";"]:
                if set(word) <= set("|&;<>()"):
                    yield from [words] if words else []
                    words = []
                else:
                    words.append(word)


def parse(words):
    """The words after `scs`, by the command line's own parser. Raises `click.UsageError`."""
    command, context = main, click.Context(main)
    while True:
        _, rest, _ = command.make_parser(context).parse_args(list(words))
        if not isinstance(command, click.Group) or not rest:
            return
        name, command, words = command.resolve_command(context, rest)
        context = click.Context(command, info_name=name, parent=context)


@each_page
def test_commands_exist_with_their_options(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for words in commands(page):
        words = words[next((i for i, w in enumerate(words) if not re.match(r"\w+=", w)), len(words)) :]
        if not words:
            continue
        program, *rest = words
        if program == "scs":
            parse(rest)
        elif program == "make":
            assert [w for w in rest if "=" not in w and not w.startswith("-")][0] in targets, words
        elif program.endswith("python") and rest[:1] == ["-m"]:
            assert importlib.util.find_spec(rest[1]), words
        elif program.endswith("python"):
            assert rest[0].startswith("-") or (ROOT / rest[0]).exists(), words
        else:
            assert program in OTHERS, words


@pytest.mark.parametrize("words", ["run --presett laptop", "sampel a.mp4", "sweep k --dry"])
def test_a_wrong_command_is_found(words):
    with pytest.raises(click.UsageError):
        parse(words.split())
