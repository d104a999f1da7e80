"""The report as files: what stands on the pages, and what can't get onto them."""

import dataclasses
import json
import re
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import pytest
from plotly.offline import get_plotlyjs_version

from grid.analysis.study_result import StudyResult, study_results
from grid.records.files import Folder
from grid.records.ledger import Ledger
from grid.records.plan import make_plan
from grid.report.glossary import TERMS, linked
from grid.report.page_content import make_page
from grid.report.pages import TEMPLATES, write_report
from grid.tables import fit
from grid.tables.tables import make_tables
from tests.grid.constructed import DATA_FINGERPRINT, catalogue_plan, fill_ledger, small_study
from tests.grid.constructed_reports import (
    HOSTILE_PAGE,
    NOTHING_RAN,
    Q2,
    Q3,
    constructed_report,
    hostile_report,
    kinds_report,
)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return constructed_report(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hostile_report(tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kinds_report(tmp_path_factory.mktemp("kinds"))


def read(report: Path, name: str) -> str:
    return (report / f"{name}.html").read_text(encoding="utf-8")


def text_of(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", "", page)).split())


def constructed_result(tmp_path: Path, name: str) -> StudyResult:
    plan, ledger = catalogue_plan(name), Ledger(Folder(tmp_path))
    fill_ledger(plan, ledger)
    return study_results([plan], make_tables([plan], ledger))[0]


def test_a_report_is_a_page_a_study_an_index_and_one_plotly(report: Path) -> None:
    names = {path.name for path in report.iterdir()}
    studies = {f"{name}.{end}" for name in (Q2, Q3, NOTHING_RAN) for end in ("html", "trials.js")}
    assert names == studies | {"index.html", "how-to-read.html", "plotly.min.js", "cifar-grid.js", "cifar-grid.css"}
    assert len(read(report, Q2)) < 400_000, "plotly.js is beside the pages, not in them"


def test_plotly_js_is_the_bundle_of_flat_charts_in_the_version_that_the_figures_are_made_for(report: Path) -> None:
    script = (report / "plotly.min.js").read_text(encoding="utf-8")
    assert f"plotly.js (cartesian - minified) v{get_plotlyjs_version()}" in script[:200], (
        "CONTRIBUTING.md: Dependencies"
    )
    assert "Licensed under the MIT license" in script[:300]


def test_a_report_replaces_the_one_before_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    plan = make_plan(small_study(), DATA_FINGERPRINT)
    tables = make_tables([plan], Ledger(Folder(tmp_path).below("ledger")))
    first = write_report(study_results([plan], tables), Folder(tmp_path / "new" / "folder"))
    before = first.read_bytes()
    assert write_report(study_results([plan], tables), Folder(tmp_path / "new" / "folder")) == first
    assert first.read_bytes() == before
    assert not list(first.parent.glob("*.tmp"))


def test_the_index_names_every_study_with_its_answer_and_counts(report: Path) -> None:
    index = text_of(read(report, "index"))
    assert "Which optimizer is best, and at which learning rate?" in index
    assert "“AdaGrad, learning rate 0.005” did best, but “AdaGrad, learning rate 0.01”" in index
    assert "54 trials ok" in index
    assert "2 claims refuted 2 reproduced 2 inconclusive" in " ".join(index.split())
    assert "4 min 13 s of training · 2 January 2025" in index
    assert "There is no answer: no arm can be judged (6 not run)." in index
    assert read(report, "index").count('<svg class="thumbnail"') == 2
    assert f'href="{Q2}.html"' in read(report, "index")


def test_a_page_says_what_the_data_is_and_what_was_spent(tmp_path: Path) -> None:
    result = constructed_result(tmp_path, "q2")
    plan, page = result.plan, make_page(result)
    budget = dict(page.budget)
    assert "says nothing about CIFAR-10" in budget["data"]
    num_epochs = str(plan.study.arms[0].config.epochs)
    assert (budget["profile"], budget["training images"], budget["epochs"]) == ("quick", "1,149", num_epochs)
    assert (budget["batch size"], budget["precision"], budget["seeds"]) == ("32", "fp32", "3")
    shared = dict(page.shared)
    assert shared["model.filters"] == "[8]"
    assert shared["optimizer.weight_decay"] == "0.005"
    assert not {"optimizer.name", "optimizer.lr", "seed"} & shared.keys()


def test_every_arm_and_every_trial_has_a_row(tmp_path: Path) -> None:
    result = constructed_result(tmp_path, "q2")
    plan, page = result.plan, make_page(result)
    assert {row[0].text for _, row in page.arms} == {arm.label for arm in plan.study.arms}
    assert page.arms[0][1][0].text == "AdaGrad, learning rate 0.005"
    _, last = page.arms[-1]
    assert (last[1].text, last[1].below) == ("0 of 3", "3 diverged")
    assert last[3].key is None, "it sorts last"
    assert {row[-1].text for *_, row in page.trials} == {trial.fingerprint for trial in plan.trials}
    failures = {(failure.arm, failure.seeds, failure.status) for failure in page.failures}
    assert failures == {
        ("SGD with momentum, learning rate 0.1", "0, 1, 2", "diverged"),
        ("AdaGrad, learning rate 0.01", "1", "error"),
        ("Adam, learning rate 0.1", "1", "diverged"),
        ("Adam, learning rate 0.1", "2", "not run"),
    }


def test_the_fit_of_an_arm_is_that_of_most_seeds_with_the_rest_below(tmp_path: Path) -> None:
    result = constructed_result(tmp_path, "q2")
    plan, trials = result.plan, result.trials.copy()
    arm = plan.study.arms.index(next(a for a in plan.study.arms if a.label == "AdaGrad, learning rate 0.005"))
    trials.loc[trials["arm"] == arm, "fit"] = ["overfit", "well fit", "overfit"]
    rows = {row[0].text: row[5] for _, row in make_page(dataclasses.replace(result, trials=trials)).arms}
    best = rows["AdaGrad, learning rate 0.005"]
    assert (best.text, best.below, best.key) == ("overfit 2 of 3", "1 well fit", pytest.approx(2 / 3))
    nothing = rows["SGD with momentum, learning rate 0.1"]
    assert (nothing.text, nothing.key) == ("\N{EN DASH}", None)


def test_only_trials_that_are_ok_have_a_fit_in_the_table(tmp_path: Path) -> None:
    trials = constructed_result(tmp_path, "q2").trials
    ok = trials["status"] == "ok"
    assert trials.loc[ok, "fit"].isin(["underfit", "well fit", "overfit"]).all()
    assert trials.loc[~ok, "fit"].isna().all()


def test_how_to_read_states_the_rules_of_fit_with_their_thresholds(report: Path) -> None:
    page = unescape(read(report, "how-to-read"))
    for name, rule in fit.rules():
        assert f"<dt>{name}</dt><dd>{rule}</dd>" in page
    assert fit.window_in_words() in page


def test_a_page_without_results_says_so_instead_of_drawing(report: Path) -> None:
    page = read(report, NOTHING_RAN)
    assert "there is no chart to draw" in page
    assert "What is known" not in page, "the question has no answers"
    assert "data-figure=" not in page
    assert "plotly.min.js" not in page
    assert "run the same command again" in page


def test_a_report_on_no_study_is_an_index_that_says_so(tmp_path: Path) -> None:
    assert "No study has been planned" in write_report([], Folder(tmp_path)).read_text(encoding="utf-8")


def test_no_text_of_a_user_or_an_error_is_html_on_a_page(hostile: Path) -> None:
    for name in ("index", HOSTILE_PAGE):
        page = read(hostile, name)
        assert not re.findall('<img (?!src="small-quick-[^"<>]+-augmented-[0-9a-f]+.png" alt="&lt;img)', page)
        assert "alert(2)</script>" not in page
        assert "&lt;img src=x onerror=alert(1)&gt;" in page


def test_the_index_links_to_pages_whatever_their_names(hostile: Path) -> None:
    (link,) = re.findall(r'<h3><a href="([^"]+)"', read(hostile, "index"))
    assert (hostile / unquote(unescape(link))).exists()
    assert "&" not in link.replace("&#39;", "")


def test_a_figure_can_not_end_its_script_and_is_json(hostile: Path) -> None:
    page = read(hostile, HOSTILE_PAGE)
    figures = re.findall(r'<script type="application/json" data-figure="[\w-]+">(.*?)</script>', page, re.DOTALL)
    assert figures
    assert all("<" not in figure and json.loads(figure)["data"] for figure in figures)
    trials = (hostile / f"{HOSTILE_PAGE}.trials.js").read_text(encoding="utf-8")
    assert "<" not in trials
    assert len(json.loads(trials.removeprefix("showTrials(").removesuffix(");\n"))["trials"]) == 6


def test_every_link_within_the_report_leads_somewhere(report: Path, kinds: Path) -> None:
    for folder in (report, kinds):
        pages = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.html")}
        links = {link for page in pages.values() for link in re.findall(r'href="([^":]*)"', page)}
        assert any(link.startswith("how-to-read.html#") for link in links)
        for link in links:
            name, _, anchor = unquote(unescape(link)).partition("#")
            assert (folder / name).exists()
            assert not name or not anchor or f'id="{anchor}"' in pages[name]


def test_terms_are_explained_and_words_in_quotes_are_no_terms() -> None:
    page = (TEMPLATES / "how-to-read.html.j2").read_text(encoding="utf-8")
    assert all(f'call entry("{anchor}"' in page for anchor in TERMS.values())
    linked_text = str(linked("“3 seeds” <b> has 5 seeds, 2 points and more seeds."))
    assert linked_text.startswith("“3 seeds” &lt;b&gt; has 5 <a")
    assert re.findall(r'#([\w-]+)">(\w+)<', linked_text) == [("seed", "seeds"), ("point", "points")]


def test_pages_load_nothing_from_outside_their_folder(report: Path, kinds: Path) -> None:
    for path in [*report.glob("*.html"), *kinds.glob("*.html")]:
        # a link of an answer is followed by the reader, never by the page
        page = re.sub(r'<a href="https://[^"]+" rel="noopener noreferrer">', "", path.read_text(encoding="utf-8"))
        assert not re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//""", page)
        assert "default-src 'none'" in unescape(page)
