"""The pages of every kind of study: one axis at a time, named arms, several architectures, pictures, literature."""

import re
from html import unescape
from pathlib import Path

import pytest

from grid.analysis.study_result import study_results
from grid.records.files import Folder
from grid.records.ledger import Ledger
from grid.report.page_content import make_page
from grid.tables.tables import make_tables
from tests.grid.constructed import catalogue_plan, fill_ledger
from tests.grid.constructed_reports import Q1, Q5, Q7, Q8, kinds_report


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kinds_report(tmp_path_factory.mktemp("kinds"))


def read(report: Path, name: str) -> str:
    return (report / f"{name}.html").read_text(encoding="utf-8")


def test_what_the_literature_says_stands_last_and_apart(kinds: Path) -> None:
    page = read(kinds, Q5)
    known = page[page.index("<h2>What is known") :]
    assert "From the literature, not from these runs" in known
    assert "<h2>" not in known[4:]
    assert '<a href="https://arxiv.org/abs/1" rel="noopener noreferrer">Someone 2015, arXiv 1</a>' in known
    assert "Someone else 2016, chapter 7" in known


def test_pictures_stand_on_the_page_of_their_study_only(kinds: Path) -> None:
    page = read(kinds, Q5)
    files = re.findall('<img src="([^"]+)"', page)
    assert len(files) == 2, "what is added and what is in place is the same change"
    assert all(name.startswith(f"{Q5}-augmented-") and (kinds / name).is_file() for name in files)
    assert "the report&#39;s three, added, the report&#39;s three, in place" in page
    assert "handwritten digits, whatever data set" in page
    assert "<img" not in read(kinds, Q1)


def test_every_kind_of_study_has_a_page_with_a_row_an_arm(kinds: Path) -> None:
    for name, question in ((Q1, "q1"), (Q5, "q5"), (Q7, "q7"), (Q8, "q8")):
        page, arms = read(kinds, name), catalogue_plan(question).study.arms
        table = page[page.index('<table id="arms"') : page.index("</table>")]
        assert table.count("<tr data-arm=") == len(arms)
        for arm in arms:
            assert arm.label in unescape(page)


def test_cells_are_drawn_only_where_two_axes_are_a_table(kinds: Path) -> None:
    drawn = {name: re.findall('data-figure="([a-z-]+)"', read(kinds, name)) for name in (Q1, Q5, Q7, Q8)}
    without = ["forest", "final", "accuracy", "loss", "sensitivity"]
    table = ["cells-test", "forest", "final", "cells-val", "accuracy", "loss", "sensitivity"]
    expected = {Q1: ["forest", "response", *without[1:]], Q5: without, Q7: table, Q8: without}
    for name, first in expected.items():  # what comes after these is folded away
        assert drawn[name][: len(first)] == first
        assert not [chart for chart in drawn[name][len(first) :] if "cells" in chart]


def test_a_setting_that_some_architectures_do_not_have_is_not_shared(tmp_path: Path) -> None:
    plan, ledger = catalogue_plan("q8"), Ledger(Folder(tmp_path))
    fill_ledger(plan, ledger)
    tables = make_tables([plan], ledger)
    page = make_page(study_results([plan], tables)[0])
    shared = dict(page.shared)
    assert "optimizer.name" in shared
    assert not {"model.architecture", "model.batch_norm", "model.cardinality", "model.skip"} & shared.keys()


def test_missing_weights_are_a_row_an_arm_with_the_whole_reason(kinds: Path) -> None:
    page = read(kinds, Q7)
    assert page.count("0123456789abcdef.pth there, or download it</td>") == 6
    assert "18</b> error" in page
