"""The report: a page a study, an index, and one shared copy of plotly.js, all readable from disk and offline."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from grid.analysis.study_result import StudyResult
from grid.questions.study import Study
from grid.records.files import Folder
from grid.report.page_content import Picture, make_page
from grid.report.samples import find_samples

TEMPLATES = Path(__file__).parent / "templates"
PLOTLY = "plotly.min.js"
INDEX = "index.html"


def write_report(
    results: Sequence[StudyResult],
    folder: Folder,
    claims_histories: Mapping[str, str] | None = None,
    *,
    so_far: bool = False,
) -> Path:
    """Writes `<study>.html` for every study, `index.html` and `plotly.min.js`; each file whole or not at all.

    Args:
        results: What the studies found, in the order of the index.
        folder: Where the files go; made if it is not there.
        claims_histories: Whether the claims of a study were written before its first trial, by its name.
        so_far: Whether a run is still at work there.

    Returns:
        Path of `index.html`.
    """
    pages = [make_page(result, _pictures(result.study, folder)) for result in results]
    environment = _environment()
    environment.globals |= {"claims_histories": claims_histories or {}, "so_far": so_far}
    folder.write(PLOTLY, get_plotlyjs().encode())
    template = environment.get_template("study.html.j2")
    for page in pages:
        folder.write(f"{page.study.name}.html", template.render(page=page).encode())
    folder.write(INDEX, environment.get_template("index.html.j2").render(pages=pages).encode())
    return folder.path / INDEX


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
    script = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment.globals |= {
        "style": (TEMPLATES / "style.css").read_text(encoding="utf-8"),
        "script": script,
        "security_policy": _security_policy(digest),
        "plotly": PLOTLY,
    }
    return environment


def _security_policy(script_sha256: str) -> str:
    """Nothing is loaded but what lies beside the page; nothing runs but plotly.js and the page's own script."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' file: 'sha256-{script_sha256}'",  # from disk, 'self' matches nothing in some browsers
            "style-src 'unsafe-inline'",  # plotly.js writes its rules into a <style> of its own
            "img-src 'self' file: data: blob:",  # data and blob: plotly.js' button that saves a picture
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
