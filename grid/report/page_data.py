"""What the script of a page works on: the arms with their fields, and everything about each trial.

The arms stand in the page. The trials are a file of their own, `<study>.trials.js`, which is read when the first trial
is opened: with their curves they are most of what there is.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from cifar_models.config import TrainConfig
from cifar_models.data import SOURCES
from grid.analysis.study_result import StudyResult
from grid.analysis.summaries import ranking
from grid.formats import duration, percent, status_words
from grid.questions.fields import flat
from grid.questions.measures import CURVES
from grid.questions.study import Study
from grid.report.charts.grouping import value_name

NOT_SHOWN = "other"
"""What the value of a field is called for arms that have none."""


def as_json(value: Any) -> str:
    """JSON that can stand inside a `<script>`: the parser looks for nothing there but "</script" and "<!--"."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def written(config: TrainConfig) -> dict[str, str]:
    """Every field but the seed by its dotted name, as YAML would write it."""
    fields = flat(config.model_dump(mode="json", exclude={"seed"}))
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields}


def shared_settings(configs: list[dict[str, str]]) -> dict[str, str]:
    """The fields that are equal in all configurations."""
    first, *others = configs
    return {field: value for field, value in first.items() if all(other.get(field) == value for other in others)}


def arms_data(result: StudyResult) -> str:
    """The arms for the script, as JSON.

    `fields`: label and names of the values of each axis. `arms`: for each, its label, the index of its value on each
    axis, and the number of its trials that are ok. `order`: arms by validation accuracy. `seeds`: all of them.
    """
    study = result.study
    fields, places = [], []
    for axis in study.axes:
        names = [value_name(axis, arm) or NOT_SHOWN for arm in study.arms]
        known = [name for name in (*axis.names, NOT_SHOWN) if name in names]
        fields.append({"label": axis.label, "names": known})
        places.append([known.index(name) for name in names])
    ok = result.summaries["ok"].to_list()
    arms = [[arm.label, [of[index] for of in places], int(ok[index])] for index, arm in enumerate(study.arms)]
    data = {"fields": fields, "arms": arms, "order": ranking(result.summaries), "seeds": list(result.seeds)}
    return as_json(data)


def trials_script(result: StudyResult) -> str:
    """A script that hands the trials of a study to the page, once it is asked for."""
    study = result.study
    configs = [written(arm.config) for arm in study.arms]
    shared = shared_settings(configs)
    ordered = result.epochs.sort_values("epoch", kind="stable")
    curves = {str(fingerprint): _curves(rows) for fingerprint, rows in ordered.groupby("fingerprint")[list(CURVES)]}
    data = {
        "study": study.name,
        "curves": list(CURVES),
        "shared": shared,
        "arms": [{name: value for name, value in config.items() if name not in shared} for config in configs],
        "again": again(study),
        "trials": [_trial(row, curves) for row in result.trials.to_dict("records")],
    }
    return f"showTrials({as_json(data)});\n"


def again(study: Study) -> str:
    """What trains a trial again, elsewhere: a question of one arm, and the command that asks it.

    The page puts the arm's label for `LABEL`, its settings for `SETTINGS`, and the trial's seed for `SEED`. Other data,
    such as a copy of a data set in another image format, shows in the trial's fingerprint.
    """
    name = study.arms[0].config.data.name
    options = [f"--profile {study.profile}", f"--dataset {name}"]
    options += ["--data-dir FOLDER"] * (not SOURCES[name].is_embedded)
    options += [f"--vary {what}" for what in study.vary]
    return f"""cat > again.yaml <<'END'
title: An arm of {study.question} again
about: Every setting as it was trained.
cells: [{{label: LABEL, set: {{SETTINGS}}}}]
END
cifar-grid run again.yaml {" ".join(options)} --first-seed SEED --seeds 1 --results again"""


def _curves(rows: pd.DataFrame) -> list[list[float | None]]:
    """One list a measure of `CURVES`, in the order of epochs, to four digits."""
    return [[float(f"{v:.4g}") if math.isfinite(v) else None for v in of] for of in rows.to_numpy().T.tolist()]


def _trial(row: Mapping[Any, Any], curves: Mapping[str, Any]) -> dict[str, Any]:
    reason = "" if row["status"] == "ok" else str(row["reason"] or "")
    trial = {
        "arm": int(row["arm"]),
        "seed": int(row["seed"]),
        "stage": str(row["stage"]),
        "status": status_words(str(row["status"])),
        "reason": reason,
        "fingerprint": str(row["fingerprint"]),
        "curves": curves.get(str(row["fingerprint"]), []),
    }
    facts = {
        "validation": percent(row["val_acc"]),
        "test": percent(row["test_acc"]),
        "took": duration(row["wall_s"]),
        "machine": "" if pd.isna(row["machine"]) else str(row["machine"]),
        "started": "" if pd.isna(row["started"]) else f"{row['started']:%Y-%m-%d %H:%M} UTC",
    }
    return trial | facts
