"""What the index and the terminal say of a study, and the names of its files; needs nothing of what computes it."""

from collections.abc import Iterable
from shutil import get_terminal_size
from textwrap import wrap

from cifar_models.config import Frozen
from grid.questions.study import Study

INDEX, HOW_TO_READ = "index.html", "how-to-read.html"
PLOTLY, SCRIPT, STYLE = "plotly.min.js", "cifar-grid.js", "cifar-grid.css"
SHARED_FILES = (INDEX, HOW_TO_READ, PLOTLY, SCRIPT, STYLE)
"""What lies beside the pages of studies. Of plotly.js it is the official bundle of flat charts alone: a browser reads
the whole file anew for each page, and the bundle of everything is three times as large."""


class Card(Frozen):
    """What the index and the terminal say of a study.

    Attributes:
        study: The study.
        answer: The answer in one plain sentence.
        claims: Number of claims by verdict.
        counts: Number of trials by status, of those that occur.
        in_short: Budget and date in a few words each.
        thumbnail: A small picture of the answer as SVG; empty if there is none.
    """

    study: Study
    answer: str
    claims: tuple[tuple[str, int], ...]
    counts: tuple[tuple[str, int], ...]
    in_short: tuple[str, ...]
    thumbnail: str

    @property
    def verdicts(self) -> list[tuple[str, int]]:
        """The verdicts on those claims that can be judged here."""
        return [of for of in self.claims if of[0] != "not comparable"]


def answer_lines(cards: Iterable[Card], width: int | None = None) -> list[str]:
    """The question, its answer in a sentence and the number of claims with each verdict, of each study.

    Args:
        cards: The studies.
        width: Characters of a line; as many as the terminal has if None.
    """
    lines: list[str] = []
    for card in cards:
        lines += ["", f"{card.study.title} ({card.study.name})"]
        for said in (card.answer, _claims_in_words(card)):
            across = (width or get_terminal_size().columns) - 2
            lines += [f"  {line}" for line in wrap(said, across, break_long_words=False, break_on_hyphens=False)]
    return lines


def _claims_in_words(card: Card) -> str:
    if not card.claims:
        return ""
    judged = ", ".join(f"{number} {verdict}" for verdict, number in card.verdicts)
    others = sum(number for _, number in card.claims) - sum(number for _, number in card.verdicts)
    if not judged:
        return f"Claims: {others} about another budget"
    return f"Claims: {judged}{f'; {others} more are about another budget' if others else ''}"


def study_files(study: Study) -> tuple[str, str]:
    """Names of the page of a study and of the script beside it."""
    return f"{study.name}.html", f"{study.name}.trials.js"
