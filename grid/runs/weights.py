"""Trials whose published weights can't be had here: known before a run starts, and so skipped by it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from cifar_models.config import PublishedConfig, TrainConfig
from grid.formats import plural
from grid.records.ledger import Ledger, TrialRecord
from grid.records.plan import StudyPlan


def without_weights(trials: Mapping[str, TrainConfig], weights_dir: Path | None) -> dict[str, str]:
    """Why trials can't be trained, by fingerprint, of those whose weights are neither here nor within reach.

    Nothing is known of the nodes of a cluster, so of a run on one it names none.

    Args:
        trials: What is to be trained, by fingerprint.
        weights_dir: Where files of published weights are looked for first.
    """
    wanted = {
        key: config.model.architecture
        for key, config in trials.items()
        if isinstance(config.model, PublishedConfig) and config.model.weights == "imagenet"
    }
    if not wanted:
        return {}
    from cifar_models.published import FAMILIES  # torch and Ray take seconds to import
    from cifar_models.weights import why_missing
    from grid.execution.ray_cluster import cluster_address

    if cluster_address() is not None:
        return {}
    reasons = {name: why_missing(name, FAMILIES[name].weights, weights_dir) for name in dict.fromkeys(wanted.values())}
    return {key: reason for key, name in wanted.items() if (reason := reasons[name])}


def skipped_in_words(skipped: Mapping[str, str]) -> list[str]:
    """A line for each reason why trials are skipped."""
    return [f"{plural(number, 'trial')} skipped: {reason}" for reason, number in Counter(skipped.values()).items()]


def record_skipped(skipped: Mapping[str, str], plans: Sequence[StudyPlan], ledger: Ledger) -> None:
    """Commits those trials of some plans that are skipped, but for trials of which an earlier run has curves.

    Args:
        skipped: Why, by fingerprint; trials of other plans may be among them.
        plans: The plans.
        ledger: Where it is committed.
    """
    trials = {trial.fingerprint: (plan, trial) for plan in plans for trial in plan.trials}
    trials = {fingerprint: trials[fingerprint] for fingerprint in skipped if fingerprint in trials}
    earlier = ledger.read(trials)
    for fingerprint, (plan, trial) in trials.items():
        known = earlier.get(fingerprint)
        if known is None or not (known.epochs or known.reason == skipped[fingerprint]):
            config, why = plan.config(trial), skipped[fingerprint]
            ledger.commit(TrialRecord.untrained(fingerprint, config, plan.data_fingerprint, "skipped", why))
