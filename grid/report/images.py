"""Every chart as a file of its own, for papers and slides, with a file of what to write below them.

Each is drawn as wide as a page's text (180 mm) and, where it fits, as wide as a column (85 mm): on white, no letter
smaller than 8 points. Pixels are those of CSS, 96 an inch.
"""

import asyncio
import json
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from grid.analysis.study_result import StudyResult
from grid.errors import UserError
from grid.records.files import Folder
from grid.report.charts.style import NAME
from grid.report.page_charts import Chart, make_charts

ImageFormat = Literal["svg", "pdf", "png"]
FOLDER, CAPTIONS = "images", "captions.md"
WIDTHS = {"180mm": ("wide", 680), "85mm": ("narrow", 321)}
"""By the width's name in a file: which layout of a figure is drawn, and its pixels."""
DOTS_PER_PIXEL = {"png": 300 / 96}
"""A PNG has 300 dots an inch; what is drawn in lines needs no such number."""
MIN_FONT = 8 / 72 * 96
"""Pixels of 8 points."""
INK, SOFT, LINE = "#12202b", "#45525c", "#dde1e4"
AXIS = {"gridcolor": LINE, "linecolor": LINE, "tickfont": {"color": SOFT, "size": 11}, "title": {"font": {"size": 12}}}
TEMPLATE = {
    "layout": {
        "font": {"family": "Helvetica, Arial, Liberation Sans, sans-serif", "size": 12, "color": INK},
        "xaxis": AXIS,
        "yaxis": AXIS,
        "legend": {"font": {"size": 11}, "title": {"font": {"size": 11}}},
    }
}


def check_can_draw() -> None:
    """Makes sure that there is what draws images.

    Raises:
        UserError: Kaleido is not installed, or there is no browser.
    """
    if find_spec("kaleido") is None:
        raise UserError("--images: kaleido is not installed; try pip install 'cifar-grid[images]'")
    from choreographer.browsers import Chromium

    browser = Chromium.find_browser(skip_local=False)
    if not browser or not Path(browser).is_file():
        raise UserError(
            "--images: there is no Chromium or Chrome here, which draws them; install one (Debian: apt install "
            "chromium) or give its path in BROWSER_PATH"
        )


def write_images(results: Sequence[StudyResult], folder: Folder, format: ImageFormat) -> Path:
    """Writes each chart of each study to `images/<study>-<chart>-<width>.<format>`, and the captions of all.

    Args:
        results: What the studies found.
        folder: The results folder.
        format: Kind of file.

    Returns:
        Path of the file of captions.
    """
    images = folder.below(FOLDER)
    charts = [(result, chart) for result in results for chart in make_charts(result)]
    asyncio.run(_draw(charts, images, format))
    images.write(CAPTIONS, captions(charts, format).encode())
    return images.path / CAPTIONS


def captions(charts: Sequence[tuple[StudyResult, Chart]], format: ImageFormat) -> str:
    """What to write below each image, as Markdown."""
    lines = ["# Captions", ""]
    for result, chart in charts:
        study, figure = result.study, json.loads(chart.figure)
        arm = "".join(f" Arm: {label}." for _, label in figure["layout"]["meta"]["choose"][:1])
        where = (
            f"{study.title} {study.dataset}, profile {study.profile}, {len(study.arms)} arms, {result.seeds_in_words}."
        )
        files = ", ".join(f"`{_name(result, chart, width, format)}`" for width in _widths(figure))
        lines += [f"**{_as_text(chart.title)}.** {_as_text(f'{chart.caption}{arm} {where}')}  ", files, ""]
    return "\n".join(lines)


def print_figure(figure: dict[str, Any], width: str) -> dict[str, Any]:
    """A figure of a page as it is drawn for print: one layout, on white, of the arms to choose from the first.

    Args:
        figure: What the page hands to plotly, with the layout for narrow pages in `layout.meta`.
        width: One of `WIDTHS`.
    """
    form, pixels = WIDTHS[width]
    meta = figure["layout"]["meta"]
    layout = meta["narrow"] if form == "narrow" else {k: v for k, v in figure["layout"].items() if k != "meta"}
    first = [f"arm{arm}-" for arm, _ in meta["choose"][:1]]
    data = [trace for trace in figure["data"] if not first or trace.get("uid", first[0]).startswith(first[0])]
    if layout.get("showlegend"):
        data = [trace for trace in data if not trace.get("uid", "").endswith(f"-{NAME}")]
    white = {"template": TEMPLATE, "width": pixels, "paper_bgcolor": "#ffffff", "plot_bgcolor": "#ffffff"}
    return {"data": data, "layout": layout | white}


async def _draw(charts: Sequence[tuple[StudyResult, Chart]], images: Folder, format: ImageFormat) -> None:
    from kaleido import Kaleido

    async with Kaleido(mathjax=False) as drawing:  # which would come from the network
        for result, chart in charts:
            figure = json.loads(chart.figure)
            for width in _widths(figure):
                shown = print_figure(figure, width)
                size = {name: int(shown["layout"][name]) for name in ("width", "height")}
                options = {"format": format, "scale": DOTS_PER_PIXEL.get(format, 1), **size}
                images.write(_name(result, chart, width, format), await drawing.calc_fig(shown, options))


def _widths(figure: dict[str, Any]) -> list[str]:
    return [
        name
        for name, (form, pixels) in WIDTHS.items()
        if form == "wide" or figure["layout"]["meta"]["min_width"] <= pixels
    ]


def _name(result: StudyResult, chart: Chart, width: str, format: str) -> str:
    return f"{result.study.name}-{chart.key}-{width}.{format}"


def _as_text(text: str) -> str:
    """Text that Markdown and HTML show as it is written."""
    return re.sub(r"([\\`*_\[\]<>#|&])", r"\\\1", " ".join(text.split()))
