"""What stands on a study's page, in words and ready-made numbers; the templates only lay it out."""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from cifar_models.data import SOURCES
from grid.analysis.evidence import Evidence
from grid.analysis.inference import interval
from grid.analysis.study_result import StudyResult
from grid.analysis.summaries import ranking
from grid.formats import NOTHING, count, duration, number, percent, plural, status_words, unbroken
from grid.questions.study import Study
from grid.records.plan import StudyPlan
from grid.records.status import STATUSES
from grid.report.answers import plain_answer, verdict_counts
from grid.report.claims_table import ClaimRow, claim_rows
from grid.report.page_charts import Chart, make_charts
from grid.report.page_data import arms_data, shared_settings, trials_script, written
from grid.report.thumbnails import thumbnail
from grid.tables.fit import ArmFit, arm_fit


@dataclass(frozen=True)
class Value:
    """A cell of a table: what is shown, by what it sorts (None is always last), and a second line."""

    text: str
    key: float | str | None
    below: str = ""


@dataclass(frozen=True)
class Failure:
    """Trials of an arm that ended, or did not, in the same way; `index` is the arm's."""

    index: int
    arm: str
    seeds: str
    status: str
    reason: str


@dataclass(frozen=True)
class Picture:
    """A strip of images beside the page: what it shows, and the name of its file."""

    label: str
    file: str


@dataclass(frozen=True)
class StudyPage:
    """All of a page.

    Attributes:
        study: The study.
        answer: The answer in one plain sentence.
        details: The answer in full and what limits it, in sentences.
        claims: The claims that can be judged here.
        elsewhere: Those that can't.
        verdicts: Number of claims by verdict, of those that can be judged here.
        history: Whether the claims were written before the first trial; empty if that is not known.
        looks: Number of seeds of an arm at each look, least to most, if seeds were added as long as something was open.
        screening: How the arms that were trained in full were chosen: the rule, and a row an arm; None if all were.
        counts: Number of trials by status, of those that occur.
        in_short: Budget and date in a few words each.
        budget: Name and value of everything that was spent.
        charts: The charts, the one that shows the answer first; empty if no trial is ok.
        thumbnail: A small picture of the answer as SVG; empty if there is none.
        arms: Rows of the table of arms.
        failures: Rows of the table of trials that are not ok.
        shared: Name and value of every setting that all arms have in common.
        trials: Rows of the table of all trials.
        provenance: Name and value of what identifies data and code.
        pictures: What augmentation does; empty if nothing drew it.
        arms_data: The arms for the script, as JSON that can stand inside a `<script>`.
        trials_script: The trials for the script, a file beside the page.
    """

    study: Study
    answer: str
    details: list[str]
    claims: list[ClaimRow]
    elsewhere: list[ClaimRow]
    verdicts: list[tuple[str, int]]
    history: str
    looks: list[str]
    screening: tuple[str, list[list[str]]] | None
    counts: list[tuple[str, int]]
    in_short: list[str]
    budget: list[tuple[str, str]]
    charts: list[Chart]
    thumbnail: str
    arms: list[tuple[int, list[Value]]]
    failures: list[Failure]
    shared: list[tuple[str, str]]
    trials: list[tuple[int, int, list[Value]]]
    provenance: list[tuple[str, str]]
    pictures: list[Picture]
    arms_data: str
    trials_script: str


def make_page(result: StudyResult, pictures: Sequence[Picture] = (), history: str = "") -> StudyPage:
    """Gathers a study's page from what was found, the pictures that lie beside it, and the history of its claims."""
    plan, study, mine, summaries = result.plan, result.study, result.trials, result.summaries
    conclusion, evidence = result.conclusion, result.conclusion.judgement.evidence
    claims, budget = claim_rows(conclusion), _budget(study, mine)
    rows = summaries.to_dict("records")
    fits = {arm: arm_fit(column.dropna()) for arm, column in mine.groupby("arm")["fit"]}
    totals = [(status, int(summaries[status].sum())) for status in STATUSES]
    return StudyPage(
        study=study,
        answer=plain_answer(result),
        details=[unbroken(sentence) for sentence in (conclusion.sentence, *conclusion.notes)],
        claims=[claim for claim in claims if claim.verdict != "not comparable"],
        elsewhere=[claim for claim in claims if claim.verdict == "not comparable"],
        verdicts=[of for of in verdict_counts(result) if of[0] != "not comparable"],
        history=history,
        looks=[f"{min(look)} to {max(look)}" if min(look) < max(look) else str(max(look)) for look in plan.looks],
        screening=_screening(plan),
        counts=[(status_words(status), total) for status, total in totals if total],
        in_short=_in_short(result, dict(budget)),
        budget=budget,
        charts=make_charts(result),
        thumbnail=thumbnail(result),
        arms=[(arm, _arm_row(rows[arm], fits[arm], _ends(evidence, arm))) for arm in ranking(summaries)],
        failures=_failures(mine),
        shared=list(shared_settings([written(arm.config) for arm in study.arms]).items()),
        trials=[(int(row["arm"]), int(row["seed"]), _trial_row(row)) for row in mine.to_dict("records")],
        provenance=[
            ("data fingerprint", plan.data_fingerprint),
            ("training code version", _all_of(mine["training_version"].dropna().astype(int))),
            ("machine", _all_of(mine["machine"].dropna())),
        ],
        pictures=list(pictures),
        arms_data=arms_data(result),
        trials_script=trials_script(result),
    )


def _budget(study: Study, mine: pd.DataFrame) -> list[tuple[str, str]]:
    configs = [arm.config for arm in study.arms]
    trained_on = mine["num_train"].dropna().astype(int).map(count)
    planned = (
        "all but the validation share" if c.data.train_size is None else count(c.data.train_size) for c in configs
    )
    return [
        ("data", f"{study.dataset}: {SOURCES[configs[0].data.name].about}"),
        ("profile", study.profile),
        ("training images", _all_of(trained_on) if len(trained_on) else _all_of(planned)),
        ("epochs", _all_of(config.epochs for config in configs)),
        ("batch size", _all_of(config.batch_size for config in configs)),
        ("precision", _all_of(config.precision for config in configs)),
        ("seeds", _seeds(mine)),
        ("arms", str(len(study.arms))),
        ("training time", duration(float(mine["wall_s"].sum()))),
    ]


def _in_short(result: StudyResult, budget: Mapping[str, str]) -> list[str]:
    """Budget and date, for the head of the page and the index."""
    study, mine = result.study, result.trials
    newest = mine["started"].max()
    return [
        f"{study.dataset}, profile {study.profile}",
        f"{plural(len(study.arms), 'arm')} of {result.seeds_in_words}",
        f"{budget['epochs']} epochs",
        *([f"{budget['training time']} of training"] if mine["wall_s"].sum() else []),
        *([] if pd.isna(newest) else [f"{newest:%-d %B %Y}"]),
    ]


def _screening(plan: StudyPlan) -> tuple[str, list[list[str]]] | None:
    """The rule, and a row an arm, those that came furthest first."""
    if plan.screening is None:
        return None
    furthest = sorted(plan.screening.standings, key=lambda s: (-s.epochs, s.rank or math.inf))
    full = {trial.arm for trial in plan.trials if trial.stage == "full"}
    rows = [
        [
            plan.study.arms[standing.arm].label,
            "trained in full" if standing.arm in full else standing.reason,
            str(standing.epochs),
            percent(standing.val_acc),
            f"{standing.rank} of {standing.of}" if standing.rank else NOTHING,
        ]
        for standing in furthest
    ]
    return plan.screening.rule, rows


def _seeds(mine: pd.DataFrame) -> str:
    """Seeds of an arm at full budget, and of the screening before it."""
    counts = {stage: group.groupby("arm").size() for stage, group in mine.groupby("stage")}
    words = {"full": "", "screening": " to screen"}
    return "; ".join(
        (f"{n.min()} to {n.max()}" if n.min() < n.max() else str(n.max())) + words[str(stage)]
        for stage, n in counts.items()
    )


def _arm_row(summary: dict[Hashable, Any], fit: ArmFit, ends: str) -> list[Value]:
    unfinished = {status_words(s): int(summary[s]) for s in STATUSES if s != "ok" and summary[s]}
    return [
        Value(str(summary["label"]), str(summary["label"])),
        Value(
            f"{int(summary['ok'])} of {int(summary['planned'])}",
            float(summary["ok"]),
            "\n".join(f"{amount} {status}" for status, amount in unfinished.items()),
        ),
        Value(percent(summary["val_acc_mean"]), _key(summary["val_acc_mean"])),
        Value(percent(summary["test_acc_mean"]), _key(summary["test_acc_mean"]), ends),
        Value(number(summary["test_loss_mean"], 3), _key(summary["test_loss_mean"])),
        Value(fit.text or NOTHING, fit.position, "\n".join(f"{amount} {name}" for name, amount in fit.others)),
        Value(count(summary["num_parameters"]), _key(summary["num_parameters"])),
        Value(duration(summary["wall_s"]), _key(summary["wall_s"])),
    ]


def _ends(evidence: Evidence, arm: int) -> str:
    """The 95 % interval of an arm's test accuracy, over seeds and images; empty for one that is not compared."""
    if evidence.arms[arm].why_not is not None or len(evidence.seeds(arm)) < 2:
        return ""
    ends = interval(evidence.measure(arm, "test_acc", "both"))
    return f"{number(ends.low * 100, 1)} to {number(ends.high * 100, 1)}" if ends else ""


def _key(value: float) -> float | None:
    return None if pd.isna(value) else float(value)


def _failures(mine: pd.DataFrame) -> list[Failure]:
    """Trials that are not ok; those of an arm with the same reason are one row."""
    failed = mine[mine["status"] != "ok"]
    rows = []
    keys = ["arm", "arm_label", "status", "reason"]
    for (arm, label, status, reason), group in failed.fillna({"reason": ""}).groupby(keys):
        seeds = ", ".join(str(seed) for seed in sorted(group["seed"]))
        rows.append(Failure(int(str(arm)), str(label), seeds, status_words(str(status)), str(reason)))
    return rows


def _trial_row(row: dict[Hashable, Any]) -> list[Value]:
    words = [str(row["arm_label"]), str(row["seed"]), str(row["stage"]), status_words(str(row["status"]))]
    return [
        *(Value(text, text) for text in words),
        *(Value(percent(row[name]), _key(row[name])) for name in ("val_acc", "test_acc")),
        Value(duration(row["wall_s"]), _key(row["wall_s"])),
        Value(str(row["fingerprint"]), str(row["fingerprint"])),
    ]


def _all_of(values: Iterable[Any]) -> str:
    """The distinct values; how many, if they would not fit a line."""
    distinct = list(dict.fromkeys(str(value) for value in values))
    if len(distinct) > 4:
        return plural(len(distinct), "different value")
    return ", ".join(distinct) or "not known yet"
