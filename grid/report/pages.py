"""The report as files: a page a study, an index, a page on how to read them, and what they share; all offline."""

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from grid.analysis.study_result import StudyResult
from grid.questions.question import catalogue
from grid.records.files import Folder
from grid.report.answers import verdict_counts
from grid.report.card import HOW_TO_READ, INDEX, PLOTLY, SCRIPT, STYLE, Card, study_files
from grid.report.glossary import linked, term
from grid.report.page_content import Picture, make_page
from grid.report.samples import find_samples
from grid.tables.fit import rules, window_in_words

TEMPLATES = Path(__file__).parent / "templates"

SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' file:",  # from disk, 'self' matches nothing in some browsers
        "style-src 'self' file: 'unsafe-inline'",  # plotly.js writes its rules into a <style> of its own
        "img-src 'self' file: data: blob:",  # data and blob: plotly.js' button that saves a picture
        "base-uri 'none'",
        "form-action 'none'",
    )
)
"""Nothing is loaded but what lies beside the page, and no script that stands in it runs."""


def write_report(results: Iterable[StudyResult], folder: Folder) -> Path:
    """Writes the whole report: a page for every study, the index, and what they share; returns the path of the index.

    Args:
        results: What the studies found.
        folder: Where the files go; made if it is not there.
    """
    return write_index([write_study(result, folder) for result in results], folder)


def write_study(result: StudyResult, folder: Folder, history: str = "", *, so_far: bool = False) -> Card:
    """Writes the files of a study, each whole or not at all.

    Args:
        result: What it found.
        folder: Where the files go.
        history: Whether its claims were written before its first trial.
        so_far: Whether a run is still at work there.

    Returns:
        What the index says of it.
    """
    page = make_page(
        result, [Picture(", ".join(s.labels), s.file) for s in find_samples(result.study, folder)], history
    )
    html, script = study_files(result.study)
    folder.write(script, page.trials_script.encode())
    _write(_environment(so_far), folder, html, "study.html.j2", page=page)
    return Card(
        study=page.study,
        answer=page.answer,
        claims=tuple(verdict_counts(result)),
        counts=tuple(page.counts),
        in_short=tuple(page.in_short),
        thumbnail=page.thumbnail,
    )


def sheet(**values: object) -> bytes:
    """A page that stands alone, with its style in it: `disagreements.html.j2` with these values."""
    style = (TEMPLATES / STYLE).read_text(encoding="utf-8")
    return _environment(False).get_template("disagreements.html.j2").render(values, css=style).encode()


def write_index(cards: Sequence[Card], folder: Folder, *, so_far: bool = False) -> Path:
    """Writes the index and what all pages share; returns the path of the index."""
    environment = _environment(so_far)
    for name in (PLOTLY, SCRIPT, STYLE):
        folder.write(name, (TEMPLATES / name).read_bytes())
    _write(environment, folder, HOW_TO_READ, fit_rules=rules(), fit_window=window_in_words())
    _write(environment, folder, INDEX, groups=_by_question(cards), num_studies=len(cards))
    return folder.path / INDEX


def _write(environment: Environment, folder: Folder, name: str, template: str = "", **values: object) -> None:
    folder.write(name, environment.get_template(template or f"{name}.j2").render(values).encode())


def _by_question(pages: Sequence[Card]) -> list[tuple[str, list[Card]]]:
    """The studies of each question, those of the catalogue first, in its order."""
    known = catalogue()
    names = list(dict.fromkeys([*known, *(page.study.question for page in pages)]))
    ordered = sorted(pages, key=lambda page: names.index(page.study.question))
    return [(name, list(group)) for name, group in groupby(ordered, key=lambda page: page.study.question)]


@cache
def _environment(so_far: bool) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "security_policy": SECURITY_POLICY,
        "plotly": PLOTLY,
        "script": SCRIPT,
        "style": STYLE,
        "how_to_read": HOW_TO_READ,
        "term": term,
        "so_far": so_far,
    }
    environment.filters["linked"] = linked
    return environment
