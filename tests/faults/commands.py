"""What a user may do to a results folder: each command, as it is called in a case."""

from tests.faults.attempts import Case
from tests.faults.sound import NAME, OPTIONS, RUN, command, in_results


def report(_: Case) -> None:
    command(*in_results("report"))()


def run(_: Case) -> None:
    command(*in_results(*RUN))()


def doctor(_: Case) -> None:
    command(*in_results("doctor"))()


def plan(_: Case) -> None:
    command(*in_results("plan", f"{NAME}.yaml", "--no-time", *OPTIONS))()


def verdicts(_: Case) -> None:
    command(*in_results("verdicts"))()


def export(case: Case) -> None:
    key = sorted(case.sound.trials)[0]
    command(*in_results("export", key, "--to", str(case.exported)))()


COMMANDS = (report, run, doctor, plan, verdicts, export)
