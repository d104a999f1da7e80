"""What a benchmark finds: rows with a value a round, beside those of a peer; as a table and as JSON."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Unit = Literal["s", "images/s", "%", "MB"]

MORE_IS_BETTER: frozenset[Unit] = frozenset({"images/s", "%"})

BUSY = 0.1
"""Share of the processors, in use by other programs, from which a figure is marked."""

HEADINGS = ("row", "what", "cifar-grid", "of it processors", "beside", "times better (range)", "goal", "rounds")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure of a benchmark.

    Attributes:
        name: The benchmark that found it.
        what: What was measured.
        unit: Of all values.
        ours: What was measured in each round.
        peer: What it stands beside; None for nothing.
        theirs: What was measured of the peer, in the same rounds; empty without a peer.
        cpu_s: Seconds of processors behind `ours`, where it is known: a busy machine hardly changes them.
        goal: What is aimed at, in words; empty for nothing.
        others: Largest share of the processors that other programs had just before a round, 0 to 1.
    """

    name: str
    what: str
    unit: Unit
    ours: tuple[float, ...]
    peer: str | None = None
    theirs: tuple[float, ...] = ()
    cpu_s: tuple[float, ...] = ()
    goal: str = ""
    others: float = 0.0

    def ratios(self) -> list[float]:
        """How many times better ours was in each round; empty without a peer."""
        if self.peer is None:
            return []
        pairs = zip(self.ours, self.theirs, strict=True)
        return [ours / theirs if self.unit in MORE_IS_BETTER else theirs / ours for ours, theirs in pairs]

    def cells(self) -> tuple[str, ...]:
        """Its line of the table, in the order of `HEADINGS`; a star says that the machine was busy."""
        ratios = self.ratios()
        beside = f"{_spread(self.theirs, self.unit)} ({self.peer})" if self.peer else ""
        ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})" if ratios else ""
        cpu = _spread(self.cpu_s, "s") if self.cpu_s else ""
        rounds = f"{len(self.ours)}{'*' if self.others >= BUSY else ''}"
        return (self.name, self.what, _spread(self.ours, self.unit), cpu, beside, ratio, self.goal, rounds)


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table, aligned."""
    lines = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    padded = [" | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    padded.insert(1, "-|-".join("-" * width for width in widths))
    return "\n".join(f"| {line} |" if index != 1 else f"|-{line}-|" for index, line in enumerate(padded))


def write_json(path: Path, machine: dict[str, Any], rows: Sequence[Row]) -> None:
    """Writes the rows, every round of them, with the description of the machine."""
    found = [
        asdict(row) | {"median": statistics.median(row.ours), "ratios": row.ratios(), "busy": row.others >= BUSY}
        for row in rows
    ]
    content = {"format": 1, "machine": machine, "rows": found}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _spread(values: Sequence[float], unit: Unit) -> str:
    """The median; and the range, where there are several rounds."""
    median = f"{_number(statistics.median(values))} {unit}"
    return median if len(values) == 1 else f"{median} ({_number(min(values))} to {_number(max(values))})"


def _number(value: float) -> str:
    """Three digits, as far as they say anything."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
