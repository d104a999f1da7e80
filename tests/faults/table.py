"""What came of all tries: a table, and a line for each that was not survived."""

from collections.abc import Iterable, Sequence

from tests.faults.attempts import Result

COLUMNS = ("fault", "tried", "survived", "lost trials", "tracebacks", "hangs", "changed outside", "unclear")
LISTS = ("lost", "tracebacks", "hangs", "changed", "unclear")


def table(results: Iterable[Result]) -> str:
    """A line a fault, and one for all: how many tries, how many survived, in how many something was wrong."""
    by_fault: dict[str, list[Result]] = {}
    for result in results:
        by_fault.setdefault(result.fault, []).append(result)
    rows = [_row(fault, tried) for fault, tried in by_fault.items()]
    rows.append(_row("all", [result for tried in by_fault.values() for result in tried]))
    widths = [max(len(row[column]) for row in [COLUMNS, *rows]) for column in range(len(COLUMNS))]
    return "\n".join(_line(row, widths) for row in [COLUMNS, *rows])


def _row(fault: str, tried: Sequence[Result]) -> tuple[str, ...]:
    wrong = [sum(bool(getattr(result, name)) for result in tried) for name in LISTS]
    return (fault, *map(str, (len(tried), sum(result.survived for result in tried), *wrong)))


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (cell.ljust(width) if n == 0 else cell.rjust(width) for n, (cell, width) in _numbered(row, widths))
    return "  ".join((first, *others))


def _numbered(row: Sequence[str], widths: Sequence[int]) -> list[tuple[int, tuple[str, int]]]:
    return list(enumerate(zip(row, widths, strict=True)))


def failures(results: Iterable[Result]) -> list[str]:
    """A line for all that was wrong, by which it can be found and tried again."""
    return [f"{result.fault} | {result.name} | {problem!s}" for result in results for problem in result.problems()]
