"""A gallery entry as HTML, for notebooks and the report.

No script, and inline styles only: JupyterLab strips all else from a notebook that is not trusted, also
`<svg>` as such, so that the curve is a picture. Its colours stand out from white and from black.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

import jinja2
import numpy as np
from IPython.display import HTML
from markupsafe import Markup

from scslib.report.gallery import Entry, EntryClip, make_entry

HEIGHT, TOP, BOTTOM, END = 132, 30, 94, 104  # of the picture: its whole, and where curve and band lie
TICK_STEPS = (0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400)


def templates() -> jinja2.Environment:
    """The templates of scslib, which escape all that they are given."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    page = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page.filters |= {"uri": data_uri, "within": within, "marks": marks, "ticks": ticks, "curve": curve}
    return page


def show_clips(
    path: str | Path,
    times: np.ndarray,
    saliency: np.ndarray,
    *,
    top: int = 3,
    bottom: int = 3,
    segments: np.ndarray | None = None,
    title: str = "",
) -> HTML:
    """The saliency of a file and its best and worst clips, for playing.

    It is shown over time. The clips are those at both ends of its ranking, and play in place. Arrays
    and errors as for `gallery.make_entry`. For a notebook: the output carries its clips with it.
    """
    entry = make_entry(path, times, saliency, top=top, bottom=bottom, segments=segments)
    return HTML(render_entry(entry, title=title or Path(path).name, legend=True))


def render_entry(entry: Entry, *, title: str = "", name: str = "", legend: bool = False) -> Markup:
    """HTML of one entry. name: unique in the page; with it, the marks of the curve lead to the clips."""
    macro = vars(templates().get_template("entry.html.jinja").module)["entry"]
    return macro(entry, title=title, name=name, legend=legend)


def data_uri(data: bytes, kind: str) -> str:
    """Bytes of a media type as an address that carries them."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def within(clip: EntryClip) -> str:
    """A line that says whether a clip lies in the annotated action: empty where nobody annotated it."""
    if clip.inside is None:
        return ""
    share = round(100 * clip.inside)
    return {0: "○ outside", 100: "● inside"}.get(share, f"◐ {share} % inside")


def ticks(entry: Entry, most: int = 6) -> list[tuple[float, str]]:
    """The ticks of a time axis: (percent of the width, text) of at most about `most` round seconds."""
    begin, end = entry.extent
    step = next((step for step in TICK_STEPS if (end - begin) / step <= most), end - begin)
    round_ones = np.arange(np.ceil(round(begin / step, 6)) * step, end, step).round(1)
    return [(_place(entry, second), f"{second:.10g}") for second in round_ones]


def marks(entry: Entry) -> list[tuple[EntryClip, float]]:
    """Each clip with the percent of the width where its mark lies: above its moment, or near it."""
    placed: list[tuple[EntryClip, float]] = []
    for top in (True, False):
        clips = sorted((c for c in entry.clips if c.top == top), key=lambda c: c.start_s)
        gap = 3 + 2 * len(str(len(entry.times)))  # percent: on a phone as wide as the rank's digits
        placed += zip(clips, _apart([_percent(entry, c) for c in clips], gap), strict=True)
    return placed


def _percent(entry: Entry, clip: EntryClip) -> float:
    return _place(entry, (clip.start_s + clip.end_s) / 2)


def _place(entry: Entry, second: float) -> float:
    """The percent of the width at which a moment lies."""
    begin, end = entry.extent
    return 100 * float(second - begin) / (end - begin)


def _apart(wanted: Sequence[float], gap: float) -> list[float]:
    """Sorted percents, 1 to 99, moved until `gap` lies between any two: less where there are many."""
    gap = min(gap, 98 / max(1, len(wanted) - 1))
    placed: list[float] = []
    for number, position in enumerate(wanted):
        placed.append(max(position, placed[-1] + gap if number else 1))
    for number in range(len(placed)):
        placed[-1 - number] = min(placed[-1 - number], placed[-number] - gap if number else 99)
    return placed


def curve(entry: Entry) -> str:
    """The picture of the curve as an address: segments as green bands, the clips' moments as dots.

    1000 wide, whatever the width that it is drawn with; lines and dots keep their size.
    """
    low, spread = entry.saliency.min(), np.ptp(entry.saliency) or 1

    def x(second):
        return 10 * _place(entry, second)

    def y(saliency):
        return BOTTOM - (BOTTOM - TOP) * (saliency - low) / spread

    points = zip(map(x, entry.times.mean(1)), y(entry.saliency), strict=True)
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
    parts = []
    for start, stop in entry.segments:
        where = f'x="{x(start):.1f}" width="{x(stop) - x(start):.1f}"'
        parts.append(f'<rect {where} y="{TOP}" height="{END - TOP}" fill="#2da44e" opacity=".16"/>')
        parts.append(f'<rect {where} y="{END - 5}" height="5" fill="#2da44e"/>')
    parts.append(f'<path d="M0,{END} H1000" stroke="#818b98"/>')
    parts.append(f'<polyline points="{line}" stroke="#8b5cf6" stroke-width="1.6"/>')
    for clip, place in marks(entry):
        a, b = 10 * _percent(entry, clip), y(clip.saliency)
        lane, cap = (20, "round") if clip.top else (HEIGHT - 20, "square")
        parts.append(f'<path d="M{10 * place:.1f},{lane} L{a:.1f},{b:.1f}" stroke="#818b98"/>')
        dot = 'stroke-width="7" stroke="#8b5cf6"' if clip.top else 'stroke-width="6" stroke="#818b98"'
        parts.append(f'<path d="M{a:.1f},{b:.1f} h.01" stroke-linecap="{cap}" {dot}/>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1000 {HEIGHT}" fill="none"'
    style = "<style>*{vector-effect:non-scaling-stroke}</style>"
    picture = f'{head} preserveAspectRatio="none">{style}{"".join(parts)}</svg>'
    return data_uri(picture.encode(), "image/svg+xml")
