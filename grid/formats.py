"""How numbers are written where a person reads them. Accuracies are fractions in data and percent here."""

import math
import re

MINUS = "\N{MINUS SIGN}"
NOTHING = "\N{EN DASH}"
"""What stands where there is no number."""


def percent(fraction: float | None) -> str:
    """A fraction as percent with one decimal: 0.621 is `62.1 %`."""
    return NOTHING if _missing(fraction) else f"{number(fraction * 100, 1)} %"  # type: ignore[operator]


def number(value: float | None, decimals: int) -> str:
    """A number with a true minus sign, and without one where it rounds to zero."""
    if _missing(value):
        return NOTHING
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", MINUS)


def signed(value: float, decimals: int) -> str:
    """A number with its sign, also where it is positive: `+0.3`."""
    text = number(value, decimals)
    return text if text.startswith(MINUS) or float(text) == 0 else f"+{text}"


def count(value: float | None) -> str:
    """A whole number with its thousands apart: `78,042`."""
    return NOTHING if _missing(value) else f"{value:,.0f}"


def duration(seconds: float | None, decimals: int = 1) -> str:
    """Seconds in the unit that suits them: `4.2 s`, `3 min 20 s`, `2 h 5 min`.

    Args:
        seconds: The duration.
        decimals: Of the seconds of one below a minute.
    """
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    if seconds < 60:
        return f"{seconds:.{decimals}f} s"
    if seconds < 3600:
        return f"{int(seconds) // 60} min {int(seconds) % 60} s"
    return f"{int(seconds) // 3600} h {int(seconds) % 3600 // 60} min"


def plural(amount: int, noun: str) -> str:
    """An amount and its noun: `1 seed`, `3 seeds`."""
    return f"{amount:,} {noun}" if amount == 1 else f"{amount:,} {noun}s"


def quoted(label: str) -> str:
    """A label inside a sentence, which commas of its own would break."""
    return f"“{label}”"


def cut(text: str, width: int) -> str:
    """Text of at most `width` characters, with an ellipsis where some are left out."""
    return text if len(text) <= width else text[: width - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"


def unbroken(text: str) -> str:
    """Keeps a number on one line with its percent sign, and a p-value with its name."""
    return re.sub(r" (?=%)|(?<=\bp) (?=[=<] \d)|(?<=\bp [=<]) (?=\d)", "\N{NO-BREAK SPACE}", text)


def status_words(status: str) -> str:
    """A trial's status in words: `out of memory`."""
    return status.replace("_", " ")


def _missing(value: float | None) -> bool:
    return value is None or not math.isfinite(value)
