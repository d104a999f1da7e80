"""The charts, a file each: functions that make a chart's data from tables, and functions that draw it."""

from grid.report.charts.cells import has_heat_map, heat_map
from grid.report.charts.learning import learning_curves
from grid.report.charts.measures import final_measures
from grid.report.charts.response import response

__all__ = ["final_measures", "has_heat_map", "heat_map", "learning_curves", "response"]
