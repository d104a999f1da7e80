import io

from rich.console import Console

from grid.execution.progress import ProgressDisplay, RunState


class Clock:
    """A clock that moves when told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def make_state(clock: Clock) -> RunState:
    return RunState({"a": 4, "b": 4, "c": 8}, {"a": "arm a", "b": "arm b", "c": "arm c"}, clock)


def test_the_line_counts_done_running_left_best_and_time() -> None:
    clock = Clock()
    state = make_state(clock)
    state.trial_started("a", 4)
    state.trial_started("b", 4)
    clock.now = 10.0
    for epoch in range(1, 5):
        state.epoch_done("a", epoch, 0.1 * epoch)
    state.trial_ended("a", "ok")
    # 4 of 16 epochs in 10 seconds: 12 are left
    assert state.seconds_left == 30.0
    assert (
        state.line() == "1/3 trials done · 1 running · 1 left · best val 40.0 % (arm a) · 10 s gone · about 30 s left"
    )


def test_a_trial_that_ends_early_counts_with_its_whole_budget() -> None:
    clock = Clock()
    state = make_state(clock)
    state.trial_started("c", 8)
    state.epoch_done("c", 1, float("nan"))
    clock.now = 8.0
    state.trial_ended("c", "diverged")
    assert state.seconds_left == 8.0
    assert "1 not ok" in state.line()
    assert state.best is None


def test_a_paused_trial_counts_with_the_epochs_it_was_to_reach_and_is_open_again_when_it_goes_on() -> None:
    clock = Clock()
    state = RunState({"a": 2, "b": 2}, {}, clock)
    for trial in "ab":
        state.trial_started(trial, 2)
        state.epoch_done(trial, 1, 0.25)
        state.epoch_done(trial, 2, 0.5)
        state.trial_ended(trial, "stopped")
    clock.now = 6.0
    assert state.line().startswith("2/2 trials done · 0 running · 0 left")
    state.trial_started("a", 8)
    assert state.line().startswith("1/2 trials done · 1 running · 0 left")
    # 4 of 10 epochs in 6 seconds: 6 are left
    assert state.seconds_left == 9.0


def test_epochs_from_a_checkpoint_are_not_taken_for_speed() -> None:
    clock = Clock()
    state = RunState({"a": 100}, {}, clock)
    state.trial_started("a", 100)
    clock.now = 3.0
    state.epoch_done("a", 91, 0.5)
    # 1 of 10 epochs in 3 seconds: 9 are left
    assert state.seconds_left == 27.0


def test_a_trial_that_nobody_planned_is_counted_when_it_starts_and_when_it_never_could() -> None:
    state = RunState({}, {}, Clock())
    state.trial_ended("lost", "error")
    state.trial_started("0123456789ab", 3)
    state.epoch_done("0123456789ab", 1, 0.25)
    assert state.line().startswith("1/2 trials done · 1 running · 0 left · 1 not ok · best val 25.0 % (01234567)")


def test_before_the_first_epoch_there_is_no_estimate() -> None:
    assert "about" not in make_state(Clock()).line()


def test_plain_output_is_a_line_now_and_then_without_control_characters() -> None:
    clock, stream = Clock(), io.StringIO()
    clock.now = 100.0
    state = make_state(clock)
    with ProgressDisplay(state, Console(file=stream, width=40)) as display:
        for now in (100.0, 103.0, 109.0, 111.0):
            clock.now = now
            display.update()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 3  # at 100 and 111, and at the end
    assert "\x1b" not in stream.getvalue()


def test_a_terminal_shows_one_live_line() -> None:
    stream = io.StringIO()
    with ProgressDisplay(make_state(Clock()), Console(file=stream, force_terminal=True, width=100)):
        pass
    assert "0/3 trials done" in stream.getvalue()
