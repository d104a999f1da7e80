"""Which panel an arm's curves are drawn in, and which colour they have."""

from dataclasses import dataclass

from grid.questions.study import Arm, Axis, Study
from grid.report.charts.cells import has_heat_map
from grid.report.charts.style import DASHES, QUALITATIVE, SYMBOLS, full_name, ramp

MAX_ARMS_A_PANEL = 6
"""More curves than that in one panel are hard to follow; where two axes are a table, one spreads them over panels."""

MOST_ARMS_A_PANEL = 10
"""More curves than that are spread over panels whatever the axes."""


@dataclass(frozen=True)
class Grouping:
    """How the arms of a study are spread over panels and colours.

    Attributes:
        panels: Title of each panel; one empty title if there is only one panel.
        series: Name of each colour, as in the legend.
        title: What the colours stand for; empty if they stand for whole arms.
        colours: `#rrggbb` of each of the series.
        symbols: Plotly's marker symbol of each of the series.
        dashes: Plotly's dash of each of the series; no two have symbol and dash in common.
        places: For each arm, its panel and its series, as indices.
    """

    panels: tuple[str, ...]
    series: tuple[str, ...]
    title: str
    colours: tuple[str, ...]
    symbols: tuple[str, ...]
    dashes: tuple[str, ...]
    places: tuple[tuple[int, int], ...]


def group_arms(study: Study) -> Grouping:
    """Spreads the arms: few share one panel; many get a panel a value of the first axis, a colour for the rest."""
    limit = MAX_ARMS_A_PANEL if has_heat_map(study) else MOST_ARMS_A_PANEL
    if len(study.arms) <= limit or len(study.axes) < 2:
        colours = _colours(study.axes[0] if len(study.axes) == 1 else None, len(study.arms))
        labels = tuple(arm.label for arm in study.arms)
        return Grouping(("",), labels, "", colours, *_signs(len(labels)), tuple((0, i) for i in range(len(labels))))
    first, *rest = study.axes
    panels = [*first.names, *(["other arms"] if any(_missing(arm, first) for arm in study.arms) else [])]
    names = [(value_name(rest[0], arm) if len(rest) == 1 else _without(first, arm)) or "default" for arm in study.arms]
    series = list(dict.fromkeys(names))
    if len(rest) == 1:
        series.sort(key=[*rest[0].names, "default"].index)
    colours = _colours(rest[0] if len(rest) == 1 else None, len(series))
    places = tuple(
        (len(first.names) if _missing(arm, first) else first.values.index(arm.values[first.field]), series.index(name))
        for arm, name in zip(study.arms, names, strict=True)
    )
    titles = tuple(
        full_name(first, position) if position < len(first.names) else name for position, name in enumerate(panels)
    )
    title = rest[0].label if len(rest) == 1 else ""
    return Grouping(titles, tuple(series), title, colours, *_signs(len(series)), places)


def value_name(axis: Axis, arm: Arm) -> str:
    """What the arm's value on an axis is called; empty if it has none."""
    return "" if _missing(arm, axis) else axis.names[axis.values.index(arm.values[axis.field])]


def is_numeric(axis: Axis) -> bool:
    """Whether the axis holds numbers, which have an order that colours can show."""
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in axis.values)


def _missing(arm: Arm, axis: Axis) -> bool:
    return arm.values.get(axis.field) is None


def _without(axis: Axis, arm: Arm) -> str:
    """The arm's label but for its value on the axis, which leads it."""
    name = value_name(axis, arm)
    for start in (f"{axis.label} {name}", name):
        if name and arm.label == start:
            return ""
        if name and arm.label.startswith(f"{start}, "):
            return arm.label.removeprefix(f"{start}, ")
    return arm.label


def _colours(axis: Axis | None, num_colours: int) -> tuple[str, ...]:
    if axis and is_numeric(axis) and num_colours > 2:
        return tuple(ramp(num_colours))
    return tuple(QUALITATIVE[index % len(QUALITATIVE)] for index in range(num_colours))


def _signs(num_series: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Symbols and dashes, by which series are told apart without their colours."""
    # One step further for each round of colours, so that equal colours differ in symbol too.
    rounds = [index // len(SYMBOLS) for index in range(num_series)]
    symbols = tuple(SYMBOLS[(index + turn) % len(SYMBOLS)] for index, turn in enumerate(rounds))
    return symbols, tuple(DASHES[turn % len(DASHES)] for turn in rounds)
