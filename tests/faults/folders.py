"""Results folders with a few random changes each, then a command."""

from collections.abc import Iterator
from random import Random

from tests.faults.attempts import Attempt, Case
from tests.faults.commands import doctor, export, plan, report, run, verdicts
from tests.faults.mutations import mutate_folder
from tests.faults.sound import Sound

NUM_FOLDERS = 1000
COMMANDS = (report, run, report, verdicts, report, plan, report, doctor, report, export)


def attempts(_: Sound) -> Iterator[Attempt]:
    """A thousand of them; half by one who is bound by permissions."""
    for number in range(NUM_FOLDERS):
        command = COMMANDS[number % len(COMMANDS)]
        powerless = number // len(COMMANDS) % 2 == 0
        yield Attempt(
            "a results folder changed at random", f"{number:04}: {command.__name__}", mutate, command, powerless
        )


def mutate(case: Case, draw: Random) -> None:
    """One to four changes."""
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        mutate_folder(case.results, draw, case.victims)
