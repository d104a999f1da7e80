"""One run from its plan to its report, told to whoever watches."""

import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from grid.errors import QuestionError
from grid.execution.interrupt import stop_main_thread, stoppable
from grid.execution.progress import ProgressDisplay, RunState
from grid.execution.resources import Resources
from grid.execution.schedule import Queue, Schedule
from grid.formats import plural
from grid.method import Method
from grid.planning import print_counts, refuse_too_many_gpu_hours
from grid.questions.claims import claims_hash
from grid.questions.expansion import Winners
from grid.records.lock import Fence, held_lock
from grid.records.manifest import RunLog, recorded_run
from grid.records.plan import (
    StudyPlan,
    count,
    new_trials,
    settled_fingerprints,
)
from grid.records.results_folder import ResultsFolder
from grid.records.status import RETRIED
from grid.report.pipeline import best_trials, find_winners, make_report, results_of
from grid.report.samples import samples_are_missing, write_samples
from grid.request import Request
from grid.screening import confirmation, plan_screening, schedule_of
from grid.sequential import open_questions, seeds_of_next_look


class Session:
    """A run of some questions into a results folder."""

    def __init__(
        self,
        request: Request,
        method: Method,
        folder: ResultsFolder,
        resources: Resources,
        out: Console,
        *,
        take_over: bool = False,
    ) -> None:
        self.request = request
        self.method = method
        self.folder = folder
        self.resources = resources
        self.out = out
        self.take_over = take_over
        self.plans: list[StudyPlan] = []
        self.interrupted = False
        self._trained: set[str] = set()
        self._log: RunLog | None = None
        self._fence: Fence | None = None
        self._open = ExitStack()

    def run(self) -> tuple[Path, bool]:
        """Trains what the ledger does not hold yet, then makes tables and pages.

        Questions that build on what others found are planned and trained after those.

        Returns:
            The index page, and whether every planned trial has a result (a diverged one is a result).

        Raises:
            UserError: Something in the request, the questions, the data or the folder is not usable.
            LostLockError: Another run took the folder over while this one was paused.
            KeyboardInterrupt: The run is to end at once.
        """
        questions = self.request.sourced()
        composed = [question for question in questions if question.question.parts]
        for question in composed:  # what is wrong in one is said now, not when its parts have been trained
            self.request.studies([question], {part: {} for part in question.question.parts})
        with self._open:
            self._open.enter_context(stoppable())
            lock = held_lock(
                self.folder.root,
                shlex.join(sys.argv),
                take_over=self.take_over,
                say=self._say,
                on_loss=stop_main_thread,
            )
            self._fence = self._open.enter_context(lock).fence()
            self._answer(self.request.plans([question for question in questions if not question.question.parts]))
            complete = self._all_ended()
            for question in composed if complete else []:
                try:
                    self._answer(self.request.plans([question], self._winners()))
                except QuestionError as error:
                    self.out.print(str(error))
                    complete = False
            if self.method.keep_weights == "best" and self._all_ended():
                self._keep_best_weights()
            self._say(*self.folder.set_aside_damaged())
            index = make_report(self.folder)
            complete = self._print_outcome() and complete
            if self._log is not None and not complete:
                self._log.outcome = "interrupted" if self.interrupted else "failed"
        return index, complete

    def _answer(self, plans: list[StudyPlan]) -> None:
        """Trains what the method asks for of some studies."""
        if not plans:
            return
        refuse_too_many_gpu_hours(plans, self.request, self.method, self.folder, self.resources)
        if self.method.scheduler == "asha":
            self._screen_and_confirm(plans)
            return
        if self.method.until_decided:
            plans = [self.folder.continued(plan) for plan in plans]
        self._train(plans)
        budget = self.method.max_trials
        while self.method.until_decided and not self.interrupted and self._all_ended():
            plans, added = self._look(plans, budget)
            budget -= added
            if not added:
                break
            self._train(plans)

    def _screen_and_confirm(self, plans: Sequence[StudyPlan]) -> None:
        """Screens all arms of each study, then trains the best of them in full."""
        for plan in plans:
            if self.interrupted:
                return
            screening = plan_screening(plan, self.method)
            self.out.print(f"{plan.study.name}: {screening.screening.rule if screening.screening else ''}")
            self._train([screening], schedule_of(screening, self.folder.ledger, retry=True))
            confirmed = confirmation(screening, self.folder.ledger, self.method)
            if self.interrupted:
                self.folder.save_plans([confirmed])
                return
            self._train([confirmed])

    def _look(self, plans: Sequence[StudyPlan], budget: int) -> tuple[list[StudyPlan], int]:
        """Looks at the results, and gives further seeds to what is open.

        Returns:
            The plans with this look and the further trials, and the number of those.
        """
        looked = [plan.looked_at() for plan in plans]
        conclusions = {found.study.name: found.conclusion for found in results_of(self.folder, looked)}
        grown, added = [], 0
        for plan in looked:
            seeds = seeds_of_next_look(plan, open_questions(conclusions[plan.study.name]), budget - added)
            following = plan if seeds is None else plan.with_seeds(seeds)
            new = len(following.trials) - len(plan.trials)
            still = len(open_questions(conclusions[plan.study.name]))
            what = f"{plural(still, 'question')} open" if still else "nothing more to decide"
            self.out.print(
                f"{plan.study.name}: look {len(plan.looks)} at {max(plan.num_seeds())} seeds: {what}"
                + (f", {plural(new, 'trial')} added" if new else "")
            )
            grown.append(following)
            added += new
        self.folder.save_plans(grown)
        self._remember(grown)
        return grown, added

    def _winners(self) -> Winners:
        request = self.request
        return find_winners(self.folder, request.profile, request.dataset_label(), request.data_fingerprint())

    def _all_ended(self) -> bool:
        """Whether every trial ended, in whatever way; not if the run was interrupted."""
        fingerprints = {trial.fingerprint for plan in self.plans for trial in plan.trials}
        return len(self.folder.ledger.read(fingerprints)) == len(fingerprints)

    def _remember(self, plans: Sequence[StudyPlan]) -> None:
        """Keeps the newest form of each study."""
        by_name = {plan.study.name: plan for plan in (*self.plans, *plans)}
        self.plans = list(by_name.values())

    def _train(self, plans: Sequence[StudyPlan], schedule: Schedule | None = None) -> None:
        """Trains the new trials of the plans, all to their end, or as a schedule hands them out."""
        earlier = [plan for plan in self.plans if plan.study.name not in {p.study.name for p in plans}]
        self._remember(plans)
        ledger = self.folder.ledger
        self._say(*ledger.set_aside_damaged(trial.fingerprint for plan in plans for trial in plan.trials))
        settled = settled_fingerprints([*earlier, *plans], ledger) - self._without_weights(plans)
        counts = count([*earlier, *plans], settled)[len(earlier) :]
        print_counts(plans, counts, self.out)
        if schedule is None:  # a screening is trained by its schedule, which goes on with what it stopped
            settled |= {t.fingerprint for plan in plans for t in plan.trials if t.stage == "screening"}
        trials = new_trials(plans, settled if schedule is None else ())
        is_done = schedule.is_done() if schedule is not None else not trials
        dataset = None if is_done else self.request.load_dataset(plans)  # the last check before anything is written
        self.folder.prepare()
        log = self._note_start()
        for plan, numbers in zip(plans, counts, strict=True):
            log.add_study(plan, numbers, claims_hash(plan.study.claims) if plan.study.claims else None)
        self.folder.save_plans(plans)
        self.folder.read_plans()  # what the report could not read later is said now
        for plan in plans:
            if samples_are_missing(plan.study, self.folder.files):
                write_samples(plan.study, self.folder.files)
        if dataset is None:
            return
        from grid.execution.launch import train_all  # torch and Ray take seconds to import; not all runs need them
        from grid.execution.nodes import node_facts
        from grid.execution.ray_cluster import ray_cluster

        self._open.enter_context(ray_cluster())
        log.add_nodes(node_facts())
        names = {t.fingerprint: f"{p.study.arms[t.arm].label}, seed {t.seed}" for p in plans for t in p.trials}
        budgets = {fingerprint: config.epochs for fingerprint, config in trials.items()}
        self._trained |= trials.keys()
        with ProgressDisplay(RunState(budgets, names), self.out) as display:
            keep = self.method.keep_weights != "none"
            queue = schedule or Queue(trials)
            ended = train_all(queue, dataset, ledger, self.resources, display, keep_weights=keep, fence=self._fence)
        self.interrupted = not ended

    def _without_weights(self, plans: Sequence[StudyPlan]) -> set[str]:
        """Trials whose weights are asked for and were not kept: they have to be trained again."""
        if self.method.keep_weights == "none":
            return set()
        wanted = {trial.fingerprint for plan in plans for trial in plan.trials if trial.stage == "full"}
        if self.method.keep_weights == "best":
            wanted = best_trials(self.folder, plans)
        ok = (key for key, record in self.folder.ledger.read(wanted).items() if record.status == "ok")
        return {fingerprint for fingerprint in ok if not self.folder.ledger.has_weights(fingerprint)}

    def _keep_best_weights(self) -> None:
        """Leaves the weights of each study's best trial, of those that this run trained."""
        self._train(self.plans)  # the best one may be of an earlier run, which kept none
        best = best_trials(self.folder, self.plans)
        for fingerprint in self._trained - best:
            self.folder.ledger.remove_weights(fingerprint)

    def _note_start(self) -> RunLog:
        """The manifest of this run, which is on disk before its first trial starts."""
        if self._log is None:
            names = ("other", *self.resources.by_architecture)
            threads = {name: self.resources.share(name).num_threads for name in names}
            self._log = self._open.enter_context(recorded_run(self.folder.runs, sys.argv, threads))
        return self._log

    def _say(self, *problems: object) -> None:
        """Prints lines that hold what others wrote, each as it is; nothing for None."""
        for problem in problems:
            if problem is not None:
                self.out.print(str(problem), markup=False)

    def _print_outcome(self) -> bool:
        """Says how the trials ended; returns whether each has a result."""
        planned = list(dict.fromkeys(trial.fingerprint for plan in self.plans for trial in plan.trials))
        records = self.folder.ledger.read(planned)
        statuses = Counter(records[f].status if f in records else "not_run" for f in planned)
        self.out.print("Trials: " + ", ".join(f"{number} {status}" for status, number in sorted(statuses.items())))
        if statuses["not_run"]:
            self.out.print("Interrupted: run the same command again to go on.")
        for reason in dict.fromkeys(r.reason for r in records.values() if r.status in RETRIED):
            self.out.print(f"  {reason}")
        return not statuses.keys() & RETRIED
