"""What the index and the terminal say of a study, and the names of its files; needs nothing of what computes it."""

from collections.abc import Iterable

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


def answer_lines(cards: Iterable[Card]) -> list[str]:
    """The question, its answer in a sentence and the number of claims with each verdict, of each study."""
    lines: list[str] = []
    for card in cards:
        lines += ["", f"{card.study.title} ({card.study.name})", f"  {card.answer}"]
        counts = [f"{number} {verdict}" for verdict, number in card.claims]
        lines += [f"  Claims: {', '.join(counts)}"] if counts else []
    return lines


def study_files(study: Study) -> tuple[str, str]:
    """Names of the page of a study and of the script beside it."""
    return f"{study.name}.html", f"{study.name}.trials.js"
