"""The report as files: a page a study, an index, a page on how to read them, and what they share; all offline."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from grid.analysis.study_result import StudyResult
from grid.questions.question import catalogue
from grid.questions.study import Study
from grid.records.files import Folder
from grid.report.glossary import HOW_TO_READ, linked, term
from grid.report.page_content import Picture, StudyPage, make_page
from grid.report.samples import find_samples
from grid.tables.fit import rules, window_in_words

TEMPLATES = Path(__file__).parent / "templates"
PLOTLY, SCRIPT, STYLE = "plotly.min.js", "cifar-grid.js", "cifar-grid.css"
INDEX = "index.html"

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


def write_report(
    results: Sequence[StudyResult],
    folder: Folder,
    claims_histories: Mapping[str, str] | None = None,
    *,
    so_far: bool = False,
) -> Path:
    """Writes `<study>.html` for every study, the index, and what they share; each file whole or not at all.

    Args:
        results: What the studies found.
        folder: Where the files go; made if it is not there.
        claims_histories: Whether the claims of a study were written before its first trial, by its name.
        so_far: Whether a run is still at work there.

    Returns:
        Path of `index.html`.
    """
    histories = claims_histories or {}
    pages = [
        make_page(result, _pictures(result.study, folder), histories.get(result.study.name, "")) for result in results
    ]
    environment = _environment()
    environment.globals["so_far"] = so_far
    folder.write(PLOTLY, get_plotlyjs().encode())
    for name in (SCRIPT, STYLE):
        folder.write(name, (TEMPLATES / name).read_bytes())
    _write(environment, folder, HOW_TO_READ, fit_rules=rules(), fit_window=window_in_words())
    for page in pages:
        folder.write(f"{page.study.name}.trials.js", page.trials_script.encode())
        _write(environment, folder, f"{page.study.name}.html", "study.html.j2", page=page)
    _write(environment, folder, INDEX, groups=_by_question(pages), num_studies=len(pages))
    return folder.path / INDEX


def _write(environment: Environment, folder: Folder, name: str, template: str = "", **values: object) -> None:
    folder.write(name, environment.get_template(template or f"{name}.j2").render(values).encode())


def _by_question(pages: Sequence[StudyPage]) -> list[tuple[str, list[StudyPage]]]:
    """The studies of each question, those of the catalogue first, in its order."""
    known = catalogue()
    names = list(dict.fromkeys([*known, *(page.study.question for page in pages)]))
    ordered = sorted(pages, key=lambda page: names.index(page.study.question))
    return [(name, list(group)) for name, group in groupby(ordered, key=lambda page: page.study.question)]


def _pictures(study: Study, folder: Folder) -> list[Picture]:
    return [Picture(", ".join(strip.labels), strip.file) for strip in find_samples(study, folder)]


def _environment() -> Environment:
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
    }
    environment.filters["linked"] = linked
    return environment
