"""One run from its plan to its report, told to whoever watches."""

import shlex
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from cifar_models.config import TrainConfig
from grid.errors import QuestionError, one_line
from grid.execution.ahead import ClusterAhead
from grid.execution.interrupt import stop_main_thread, stoppable
from grid.execution.progress import ProgressDisplay, RunState, TrialName, epoch_seconds
from grid.execution.schedule import Queue, Schedule
from grid.formats import plural
from grid.questions.claims import claims_hash
from grid.questions.question import SourcedQuestion
from grid.records.lock import Fence, held_lock
from grid.records.manifest import RunLog, recorded_run
from grid.records.plan import PlanCounts, StudyPlan, count, make_plan, new_trials, settled_fingerprints
from grid.records.results_folder import ResultsFolder
from grid.records.status import RETRIED
from grid.report.samples import write_samples
from grid.runs.kept_weights import keep_best, lacking_weights
from grid.runs.method import Method
from grid.runs.on_end import run_on_end
from grid.runs.outcome import outcome_of
from grid.runs.planning import plan_composed, print_counts, refuse_too_many_gpu_hours
from grid.runs.request import Request
from grid.runs.screening import confirmation, plan_screening, rule_of, schedule_of
from grid.runs.sequential import open_questions, seeds_of_next_look
from grid.runs.so_far import PagesSoFar
from grid.runs.weights import record_skipped, skipped_in_words, without_weights


@dataclass
class Session:
    """A run of some questions into a results folder.

    Attributes:
        request: Which questions, on which images, and what their trials may use.
        method: Which of their trials it trains.
        folder: Where it finds what was trained, and writes to.
        out: Where it says what it does.
        take_over: Whether it takes the folder from a run of which nobody can tell whether it was killed.
        plans: The newest plan of each study so far, by the study's name.
        interrupted: Whether the user asked for an end, so that nothing more is started.
    """

    request: Request
    method: Method
    folder: ResultsFolder
    out: Console
    take_over: bool = False
    plans: dict[str, StudyPlan] = field(init=False, default_factory=dict)
    interrupted: bool = field(init=False, default=False)
    _skipped: dict[str, str] = field(init=False, default_factory=dict)  # why, by fingerprint
    _trained: set[str] = field(init=False, default_factory=set)
    _log: RunLog | None = field(init=False, default=None)
    _fence: Fence | None = field(init=False, default=None)
    _cluster: ClusterAhead | None = field(init=False, default=None)
    _open: ExitStack = field(init=False, default_factory=ExitStack)

    def run(self) -> tuple[Path, bool]:
        """Trains what the ledger does not hold yet, then makes tables and pages.

        Questions that build on what others found are planned and trained after those.

        Returns:
            The index page, and whether every planned trial has a result (a diverged one is a result). One that was
            skipped may go without, unless the method requires all.

        Raises:
            UserError: Something in the request, the questions, the data or the folder is not usable.
            LostLockError: Another run took the folder over while this one was paused.
            KeyboardInterrupt: The run is to end at once.
        """
        questions = self._questions()
        with self._open:
            self._hold_folder()
            simple = self.request.studies([question for question in questions if not question.question.parts])
            self._answer([make_plan(study, self.request.data_fingerprint) for study in simple])
            composed = [question for question in questions if question.question.parts]
            answered = self._all_ended() and all([self._answer_composed(question) for question in composed])
            if self.method.keep_weights == "best" and self._all_ended():
                plans = [*self.plans.values()]
                self._train_in_full(plans)  # the best one may be of an earlier run, which kept none
                keep_best(self._trained, plans, self.folder)
            from grid.report.card import answer_lines
            from grid.report.pipeline import make_report

            index, cards = make_report(self.folder, mend=self._mend)
            complete = self._print_outcome() and answered
            for line in [*answer_lines(card for card in cards if card.study.name in self.plans), ""]:
                self.out.print(line, markup=False, soft_wrap=False)
            if self._log is not None and not complete:
                self._log.outcome = "interrupted" if self.interrupted else "failed"
        return index, complete

    def _hold_folder(self) -> None:
        """Keeps other runs out of the folder, until this one has ended."""
        self._open.enter_context(stoppable())
        root, command = self.folder.root, shlex.join(sys.argv)
        lock = held_lock(root, command, take_over=self.take_over, say=self._say, on_loss=stop_main_thread)
        self._fence = self._open.enter_context(lock).fence()

    def _questions(self) -> list[SourcedQuestion]:
        """What is asked; what is wrong in any of it is said now, not when those that it builds on have been trained."""
        questions = self.request.sourced()
        for question in questions:
            if question.question.parts:
                self.request.studies([question], {part: {} for part in question.question.parts})
        return questions

    def _answer_composed(self, question: SourcedQuestion) -> bool:
        """Trains a question that starts from what others found; returns whether they found enough to plan it."""
        try:
            self._answer(plan_composed(question, self.request, self.folder))
        except QuestionError as error:
            self.out.print(str(error))
            return False
        return True

    def _answer(self, plans: Sequence[StudyPlan]) -> None:
        """Trains what the method asks for of some studies."""
        if not plans:
            return
        refuse_too_many_gpu_hours(plans, self.request, self.method, self.folder)
        if self.method.scheduler == "asha":
            for plan in plans:
                self._screen_and_confirm(plan)
        elif self.method.until_decided:
            self._train_until_decided([self.folder.continued(plan) for plan in plans])
        else:
            self._train_in_full(plans)

    def _screen_and_confirm(self, plan: StudyPlan) -> None:
        """Screens all arms of a study, then trains the best of them in full."""
        if self.interrupted:
            return
        screening = plan_screening(plan, self.method)
        self.out.print(rule_of(screening))
        settled = self._settled([screening])
        skipped = self._skip(new_trials([screening], settled))
        self._train([screening], settled, schedule_of(screening, self.folder.ledger, retry=True, skipped=skipped))
        confirmed = confirmation(screening, self.folder.ledger, self.method)
        if self.interrupted:
            self.folder.save_plans([confirmed])
        else:
            self._train_in_full([confirmed])

    def _train_until_decided(self, plans: Sequence[StudyPlan]) -> None:
        """Trains studies in full, then gives further seeds to what is open, as long as the budget allows any."""
        self._train_in_full(plans)
        budget = self.method.max_trials
        while not self.interrupted and self._all_ended():
            plans, added = self._look(plans, budget)
            if not added:
                break
            budget -= added
            self._train_in_full(plans)

    def _look(self, plans: Sequence[StudyPlan], budget: int) -> tuple[list[StudyPlan], int]:
        """Looks at the results, and gives further seeds to what is open.

        Returns:
            The plans with this look and the further trials, and the number of those.
        """
        from grid.report.findings import results_of

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
        self.plans |= {plan.study.name: plan for plan in grown}
        return grown, added

    def _all_ended(self) -> bool:
        """Whether every trial ended, in whatever way; not if the run was interrupted."""
        fingerprints = {trial.fingerprint for plan in self.plans.values() for trial in plan.trials}
        return len(self.folder.ledger.read(fingerprints)) == len(fingerprints)

    def _train_in_full(self, plans: Sequence[StudyPlan]) -> None:
        """Trains the new trials at full budget, each to its end."""
        settled = self._settled(plans)
        screened = {trial.fingerprint for plan in plans for trial in plan.trials if trial.stage == "screening"}
        new = new_trials(plans, settled | screened)
        skipped = self._skip(new)
        self._train(plans, settled, Queue({key: config for key, config in new.items() if key not in skipped}))

    def _skip(self, new: Mapping[str, TrainConfig]) -> Collection[str]:
        """The new trials that can't be trained here; why is said once, before the first of them would start."""
        skipped = without_weights(new, self.request.resources.weights_dir)
        told = {*self._skipped.values()}
        self._say(*skipped_in_words({key: reason for key, reason in skipped.items() if reason not in told}))
        self._skipped |= skipped
        return skipped.keys()

    def _settled(self, plans: Sequence[StudyPlan]) -> set[str]:
        """Trials of these studies, and of those before, that need no more training; damaged ones are set aside."""
        ledger = self.folder.ledger
        self._say(*ledger.set_aside_damaged(trial.fingerprint for plan in plans for trial in plan.trials))
        every = [*(self.plans | {plan.study.name: plan for plan in plans}).values()]
        return settled_fingerprints(every, ledger) - lacking_weights(plans, self.method.keep_weights, self.folder)

    def _train(self, plans: Sequence[StudyPlan], settled: Collection[str], schedule: Schedule) -> None:
        """Trains what a schedule hands out of some studies, whose settled trials are known."""
        names = {plan.study.name for plan in plans}
        earlier = [plan for name, plan in self.plans.items() if name not in names]
        counts = count([*earlier, *plans], settled)[len(earlier) :]
        self.plans |= {plan.study.name: plan for plan in plans}
        print_counts(plans, counts, self.out)
        if self._cluster is None and not schedule.is_done():
            self._cluster = self._open.enter_context(ClusterAhead())
        dataset = None if schedule.is_done() else self.request.load_dataset(plans)
        log = self._note(plans, counts)  # nothing is written before all checks have passed
        if dataset is None:
            return
        assert self._cluster is not None
        log.add_nodes(self._cluster.wait())
        from grid.execution.launch import train_all  # Ray takes seconds to import; not all runs need it

        labels = {t.fingerprint: TrialName(p.study.arms[t.arm].label, t.seed) for p in plans for t in p.trials}
        budgets = {fingerprint: config.epochs for fingerprint, config in schedule.trials.items()}
        self._trained |= schedule.trials.keys()
        ledger, resources, keep = self.folder.ledger, self.request.resources, self.method.keep_weights != "none"
        self._say(f"Pages, as trials finish: {(self.folder.root / 'index.html').resolve()}")
        state = RunState(budgets, labels, earlier_s=epoch_seconds(labels, ledger.read(labels.keys() & settled)))
        with PagesSoFar(self.folder.root) as pages, ProgressDisplay(state, self.out) as display:
            display.on_trial_end = pages.trial_ended
            ended = train_all(schedule, dataset, ledger, resources, display, keep_weights=keep, fence=self._fence)
        self.interrupted = not ended

    def _note(self, plans: Sequence[StudyPlan], counts: Sequence[PlanCounts]) -> RunLog:
        """Writes the plans, and the manifest of this run, which is on disk before its first trial starts."""
        self.folder.prepare()
        if self._log is None:
            self._open.callback(self._run_on_end)
            recorded = recorded_run(self.folder.runs, sys.argv, self.request.resources.num_threads())
            self._log = self._open.enter_context(recorded)
        for plan, numbers in zip(plans, counts, strict=True):
            self._log.add_study(plan, numbers, claims_hash(plan.study.claims) if plan.study.claims else None)
        self.folder.save_plans(plans)
        self.folder.read_plans()  # what the report could not read later is said now
        for plan in plans:
            write_samples(plan.study, self.folder.files)
        record_skipped(self._skipped, plans, self.folder.ledger)
        return self._log

    def _mend(self, damaged: Collection[str]) -> None:
        """Sets trials aside that were found damaged, and what is no trial; says so."""
        self._say(*self.folder.ledger.set_aside_damaged(damaged))

    def _say(self, *problems: object) -> None:
        """Prints lines that hold what others wrote, each as it is; nothing for None."""
        for problem in problems:
            if problem is not None:
                self.out.print(one_line(problem), markup=False)

    def _run_on_end(self) -> None:
        """Runs what the user wants to be run when this run has ended."""
        if self.method.on_end is not None and self._log is not None:
            run_on_end(self.method.on_end, self._log.manifest, self.folder.root, self._say)

    def _print_outcome(self) -> bool:
        """Says how the trials ended; returns whether each has a result, or may go without."""
        lines, statuses = outcome_of(self.plans.values(), self.folder.ledger)
        for line in lines:
            self.out.print(line, markup=False)
        return not statuses & (RETRIED | {"skipped"} if self.method.require_all else RETRIED)
