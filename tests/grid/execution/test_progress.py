import io
import math

from rich.console import Console

from grid.execution.progress import NUM_ARMS, ProgressDisplay, RunState, TrialName, epoch_seconds
from tests.grid.forecast.test_speeds import trained


class Clock:
    """A clock that moves when told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def make_state(clock: Clock) -> RunState:
    names = {"a": TrialName("arm a", 0), "b": TrialName("arm a", 1), "c": TrialName("arm c", 0)}
    return RunState({"a": 4, "b": 4, "c": 8}, names, clock)


def shown(state: RunState, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(state.table())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_line_counts_done_running_left_best_and_time() -> None:
    clock = Clock()
    state = make_state(clock)
    state.trial_started("a", 4)
    state.trial_started("b", 4)
    for epoch in range(1, 5):
        clock.now = 10.0 * epoch
        state.epoch_done("a", epoch, 0.1 * epoch)
    state.trial_ended("a", "ok")
    # 12 epochs are left at 10 seconds each, two at a time, give or take a tenth
    assert state.seconds_left() == (0.9 * 80, 1.1 * 80), "8 of them are one trial"
    assert state.line() == (
        "1/3 trials done · 1 running · 1 left · 40 s gone · 1 min 12 s to 1 min 28 s left · best val 40.0 % (arm a)"
    )


def test_of_an_arm_that_was_not_seen_yet_the_quickest_and_the_slowest_are_the_ends() -> None:
    clock = Clock()
    names = {name: TrialName(f"arm {name}", 0) for name in "abc"}
    state = RunState({"a": 1, "b": 1, "c": 10}, names, clock)
    for name, seconds in (("a", 1), ("b", 3)):
        state.trial_started(name, 1)
        clock.now += seconds
        state.epoch_done(name, 1, 0.5)
        state.trial_ended(name, "ok")
    low, high = state.seconds_left() or (0, 0)
    assert (round(low, 9), round(high, 9)) == (9.0, 33.0)


def test_an_arm_that_earlier_runs_trained_takes_what_it_took_then_on_a_machine_as_fast_as_this_one() -> None:
    clock = Clock()
    names = {name: TrialName(f"arm {name}", 0) for name in "abc"}
    state = RunState({"a": 1, "b": 10, "c": 10}, names, clock, earlier_s={"arm a": 50.0, "arm b": 5.0})
    state.trial_started("a", 1)
    clock.now = 100.0
    state.epoch_done("a", 1, 0.5)
    state.trial_ended("a", "ok")
    # this run takes twice as long: b 10 seconds an epoch where it took 5; of c nothing is known, so it is as slow as a
    assert state.seconds_left() == (0.9 * (100 + 1000), 1.1 * (100 + 1000))


def test_without_an_arm_in_common_earlier_runs_are_taken_to_be_as_fast() -> None:
    clock = Clock()
    names = {name: TrialName(f"arm {name}", 0) for name in "ab"}
    state = RunState({"a": 1, "b": 10}, names, clock, earlier_s={"arm b": 5.0})
    state.trial_started("a", 1)
    clock.now = 100.0
    state.epoch_done("a", 1, 0.5)
    state.trial_ended("a", "ok")
    assert state.seconds_left() == (0.9 * 50, 1.1 * 50)


def test_an_epoch_of_an_arm_is_the_mean_of_all_that_were_measured_and_times_that_can_t_be_are_not_believed() -> None:
    names = {name: TrialName(f"arm {name[0]}", 0) for name in ("a1", "a2", "b", "c")}
    records = {
        "a1": trained([1.0, 2.0]), "a2": trained([6.0]), "b": trained([]), "another question's": trained([50.0]),
        "c": trained([math.inf, math.nan, -1.0, 0.0]),
    }  # fmt: skip
    assert epoch_seconds(names, records) == {"arm a": 3.0}


def test_an_arm_that_is_ahead_is_the_best_though_none_of_its_trials_is_finished() -> None:
    state = make_state(Clock())
    for name, val_acc in (("a", 0.1), ("c", 0.4)):
        state.trial_started(name, 4)
        state.epoch_done(name, 1, val_acc)
    state.trial_ended("a", "ok")
    assert state.line().endswith("best val 40.0 % (arm c)")


def test_a_trial_that_failed_is_no_best_one_and_its_reason_is_counted() -> None:
    state = make_state(Clock())
    for name in "ac":
        state.trial_started(name, 8)
        state.epoch_done(name, 1, 0.9)
        state.epoch_done(name, 2, float("nan"))
        state.trial_ended(name, "diverged", "the loss was no longer\na number")
    assert state.arms() == [] and "2 not ok" in state.line()
    assert "2 × diverged: the loss was no longer a number" in shown(state)  # noqa: RUF001


def test_a_paused_trial_counts_with_the_epochs_it_was_to_reach_and_is_open_again_when_it_goes_on() -> None:
    clock = Clock()
    state = RunState({"a": 2, "b": 2}, {}, clock)
    for trial in "ab":
        state.trial_started(trial, 2)
        for epoch in (1, 2):
            clock.now += 1.5
            state.epoch_done(trial, epoch, 0.5)
        state.trial_ended(trial, "stopped")
    assert state.line().startswith("2/2 trials done · 0 running · 0 left")
    state.trial_started("a", 8)
    assert state.line().startswith("1/2 trials done · 1 running · 0 left")
    assert state.seconds_left() == (0.9 * 9.0, 1.1 * 9.0)


def test_epochs_from_a_checkpoint_are_not_taken_for_speed() -> None:
    clock = Clock()
    state = RunState({"a": 100}, {}, clock)
    state.trial_started("a", 100)
    clock.now = 3.0
    state.epoch_done("a", 91, 0.5)
    assert state.seconds_left() == (9 * 3.0 * 0.9, 9 * 3.0 * 1.1)


def test_a_trial_that_nobody_planned_is_counted_when_it_starts_and_when_it_never_could() -> None:
    state = RunState({}, {}, Clock())
    state.trial_ended("lost", "error")
    state.trial_started("0123456789ab", 3)
    state.epoch_done("0123456789ab", 1, 0.25)
    line = state.line()
    assert line.startswith("1/2 trials done · 1 running · 0 left · 1 not ok") and line.endswith("25.0 % (01234567)")


def test_before_the_first_epoch_there_is_no_estimate() -> None:
    assert make_state(Clock()).seconds_left() is None


def test_the_table_of_300_trials_is_short_and_shows_the_best_arms_with_their_seeds() -> None:
    names = {
        f"{arm}-{seed}": TrialName(f"arm {arm} [red]\x1b[2J{'x' * 200}", seed) for arm in range(60) for seed in range(5)
    }
    state = RunState(dict.fromkeys(names, 1), names, Clock())
    for fingerprint, name in names.items():
        state.trial_started(fingerprint, 1)
        if name.seed < 3:
            state.epoch_done(fingerprint, 1, int(fingerprint.partition("-")[0]) / 100 + name.seed / 1000)
            state.trial_ended(fingerprint, "ok" if name.seed else "error", f"reason {name.arm} {fingerprint}")
    lines = shown(state, width=100).splitlines()
    assert len(lines) <= 1 + 1 + 1 + NUM_ARMS + 1 + 3
    assert all(part in lines[3] for part in ("arm 59 [red]?", "2 of 5", "59.1 % to 59.2 %"))
    assert max(len(line) for line in lines) <= 100 and "\x1b" not in "".join(lines)


def test_plain_output_is_a_line_now_and_then_without_control_characters() -> None:
    clock, stream = Clock(), io.StringIO()
    clock.now = 100.0
    state = make_state(clock)
    with ProgressDisplay(state, Console(file=stream, width=40)) as display:
        for now in (100.0, 130.0, 159.0, 161.0):
            clock.now = now
            display.update()
        display.trial_ended("a", "error", "ValueError: [bold]no\x1b")
        display.trial_ended("b", "error", "ValueError: [bold]no\x1b")
    lines = stream.getvalue().splitlines()
    assert len(lines) == 4  # at 100 and 161, the first of those that failed for this reason, and at the end
    assert lines[2] == "arm a, seed 0: error: ValueError: [bold]no?"


def test_a_terminal_shows_a_live_table_and_whoever_asked_is_told_of_each_end() -> None:
    stream, ends = io.StringIO(), []
    with ProgressDisplay(make_state(Clock()), Console(file=stream, force_terminal=True, width=100)) as display:
        display.on_trial_end = lambda: ends.append(1)
        display.trial_ended("a", "ok")
    assert "1/3 trials done" in stream.getvalue() and ends == [1]
