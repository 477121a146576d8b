"""Settings of the site, for Sphinx; `build.py` puts its pages together."""

import re

project = "The SCSampler kit"
author = copyright = "the authors of the SCSampler kit"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "sphinx-mathjax-offline"]
exclude_patterns = ["**/.ipynb_checkpoints"]
suppress_warnings = ["myst.header"]  # a page from the repository may begin below a first-level heading

html_theme = "furo"
html_title = project
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}

nb_execution_mode = "off"  # the outputs are those of the runs
nb_merge_streams = True
nb_render_image_options = {"alt": "a figure, explained in the text around it"}
myst_enable_extensions = ["dollarmath", "attrs_block"]
myst_heading_anchors = 3
myst_dmath_double_inline = True

autodoc_inherit_docstrings = False  # of PyTorch
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
add_module_names = False

MARKED = re.compile(r"`[^`]+`|\*\*\w[^*]*\*\*|(?<!\w)\*\w[^*]*\*(?!\w)")  # code, strong, emphasis


def as_rest(app, what, name, thing, options, lines):
    """Write a docstring, with its `code` in backticks and its indented examples, as Sphinx wants it."""
    if lines[:1] and lines[0].startswith("Alias for field number"):  # Python's words, not ours
        lines[:] = []
    text, example = [], False
    for line in lines:
        indented = line.startswith("    ")
        if indented and not example:
            text += ["", "::", ""]
        if example and line.strip() and not indented:
            text.append("")
        example = indented or (example and not line.strip())
        text.append(line if example else _line(line))
    lines[:] = text


def _line(line):
    parts, end = [], 0
    for marked in MARKED.finditer(line):
        words = marked[0]
        parts += [_plain(line[end : marked.start()]), f"`{words}`" if words[0] == "`" else words]
        end = marked.end()
    return "".join([*parts, _plain(line[end:])])


def _plain(text):
    return re.sub(r"([*_|\\])", r"\\\1", text)


def setup(app):
    app.connect("autodoc-process-docstring", as_rest)
