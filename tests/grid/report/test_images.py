"""Charts as files for print, also drawn by a real Chromium."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from grid.cli import main
from grid.errors import UserError
from grid.records.files import Folder
from grid.report.images import MIN_FONT, captions, check_can_draw, print_figure, write_images
from grid.report.page_charts import make_charts
from tests.grid.report.test_more_charts import changed, made


def font_sizes(node: Any, inside: str = "") -> list[float]:
    """Sizes of all fonts in a figure."""
    if isinstance(node, dict):
        own = [node["size"]] if inside.endswith("font") and isinstance(node.get("size"), int | float) else []
        return own + [size for name, value in node.items() for size in font_sizes(value, name)]
    return [size for value in node for size in font_sizes(value, inside)] if isinstance(node, list) else []


def test_print_is_on_white_in_letters_that_can_be_read_with_one_arm_to_a_chart(tmp_path: Path) -> None:
    for chart in make_charts(made(tmp_path, "q1")):
        figure = json.loads(chart.figure)
        for width, pixels in (("180mm", 680), ("85mm", 321)):
            shown = print_figure(figure, width)
            assert (shown["layout"]["width"], shown["layout"]["paper_bgcolor"]) == (pixels, "#ffffff")
            sizes = font_sizes(shown)
            assert sizes and min(sizes) >= MIN_FONT
            if figure["layout"]["meta"]["choose"]:
                assert len({trace["uid"].split("-")[0] for trace in shown["data"] if "uid" in trace}) == 1


def test_a_caption_names_its_files_and_shows_hostile_text_as_it_is(tmp_path: Path) -> None:
    result = made(tmp_path, "q2")
    text = captions([(result, chart) for chart in make_charts(result)], "pdf")
    assert "`q2-optimizers-quick-digits-forest-180mm.pdf`, `q2-optimizers-quick-digits-forest-85mm.pdf`" in text
    assert "confusion-85mm" not in text, "too wide for a column"
    assert text.count("\n**") == len(make_charts(result))
    study = result.study.model_copy(update={"title": "<b>*x*"})
    hostile = changed(result, plan=result.plan.model_copy(update={"study": study}))
    assert r"\<b\>\*x\*" in captions([(hostile, chart) for chart in make_charts(result)[:1]], "svg")


def test_without_a_browser_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "none"))
    with pytest.raises(UserError, match="no Chromium"):
        check_can_draw()
    with pytest.raises(SystemExit) as ended:
        main(["report", "--images", "svg", "--results", str(tmp_path)])
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.browser
def test_chromium_draws_every_chart_of_a_study(tmp_path: Path) -> None:
    if shutil.which("chromium") is None:
        pytest.skip("no Chromium on this machine")
    result = made(tmp_path, "q3")
    listed = write_images([result], Folder(tmp_path), "png")
    files = sorted(path.name for path in listed.parent.glob("*.png"))
    assert len(files) >= len(make_charts(result)) and all(f"`{name}`" in listed.read_text() for name in files)
    for name in files:
        picture = Image.open(io.BytesIO((listed.parent / name).read_bytes())).convert("RGB")
        assert picture.width == pytest.approx({"180mm": 2125, "85mm": 1003}[name[:-4].rsplit("-", 1)[1]], abs=2)
        assert picture.getpixel((0, 0)) == (255, 255, 255)
        assert len(np.unique(np.asarray(picture.resize((200, 200))).reshape(-1, 3), axis=0)) > 20, "not blank"
