"""The words that a page uses in a sense of its own, each linked to where the page `how-to-read.html` explains it."""

import re

from markupsafe import Markup, escape

from grid.report.card import HOW_TO_READ

TERMS: dict[str, str] = {
    r"may be (?:as good|the best)": "may-be-best",
    r"95.% interval": "interval",
    r"95.% confidence": "may-be-best",
    r"test (?:accuracy|images)|on test": "test",
    r"validation(?: accuracy)?": "validation",
    r"points?": "point",
    r"equal(?:ly good)?": "equal",
    r"seeds?": "seed",
    r"arms?": "arm",
    r"trials?": "trial",
    r"diverged": "status",
    r"collapsed": "collapsed",
    r"corrected": "corrected",
    r"loss": "loss",
    r"band": "curves",
    r"variance": "sensitivity",
    r"luck": "seed",
}
"""The anchor of each term, by the words that stand for it."""

_WORDS = re.compile(
    r"“[^”]*”|" + "|".join(rf"(?P<t{index}>\b(?:{words})(?!\w))" for index, words in enumerate(TERMS)), re.IGNORECASE
)


def linked(text: str) -> Markup:
    """Text as HTML in which the first mention of each term is a link; what is quoted, as labels are, stays as it is."""
    parts, done, seen = [], 0, set[str]()
    for match in _WORDS.finditer(text):
        anchor = list(TERMS.values())[int(match.lastgroup[1:])] if match.lastgroup else None
        if anchor is None or anchor in seen:
            continue
        seen.add(anchor)
        parts += [escape(text[done : match.start()]), term(match.group(), anchor)]
        done = match.end()
    return Markup("").join([*parts, escape(text[done:])])


def term(words: str, anchor: str) -> Markup:
    """Words that link to where they are explained."""
    return Markup('<a class="term" href="{}#{}">{}</a>').format(HOW_TO_READ, anchor, words)
