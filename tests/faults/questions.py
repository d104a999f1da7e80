"""Questions with random changes, and options that no one would type; each is planned."""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import yaml

from grid.questions.question import CATALOGUE, catalogue
from tests.faults.attempts import Attempt, Case
from tests.faults.hostile import DEEP, HOSTILE, VICTIMS, locations, with_value
from tests.faults.mutations import mutated_bytes
from tests.faults.sound import QUESTION, Sound, command, in_results

NUM_QUESTIONS = 3000
ALIASES = "[" + ", ".join(f"&a{n} [{', '.join([f'*a{n - 1}' if n else 'x'] * 9)}]" for n in range(9)) + "]"
"""Nine levels of nine, which stand for 387 million values."""
PIECES = (
    "*a", "&a ", "!!python/object/apply:os.mkdir [ESCAPED]", "!!binary ", "<<: *a\n", "? ", "---\n", "{{", "[[[[", "]",
    "}", "'", '"', "|\n", ">\n", "#", "\t", "- - - ", ": : ", "1e999", ".nan", "-.inf", "0x7f", "0o777", "1_000",
    "12:30:45", "2001-01-01", "~", "null", "yes", "\u202e", "\x1b[2J", "é", "\u2028", "%YAML 9.9\n", "@", "`",
    "9" * 120, "a" * 5000,
)  # fmt: skip

ODD_CHOICES = ("", "../..", "\n", "\x1b[2J", "\udcff", "x" * 5000, "nan", "-1", "1e999", "resnet50=nan,inf", "9" * 30)


def attempts(_: Sound) -> Iterator[Attempt]:
    """Three thousand questions, half of them with values replaced, half with their text changed; then options."""
    for number in range(NUM_QUESTIONS):
        yield Attempt("a question changed at random", f"{number:04}", mutate, plan_mine)
    for option, text in _options():
        yield Attempt("an odd option", f"{option} {text!r:.60}", lambda case, draw: None, _planned_with(option, text))


def plan_mine(_: Case) -> None:
    """Plans the mutated question."""
    command(*in_results("plan", "mine.yaml", "--no-time"))()


def mutate(case: Case, draw: Random) -> None:
    """Writes a changed question."""
    name = draw.choice([*catalogue(), ""])
    text = (CATALOGUE / f"{name}.yaml").read_text(encoding="utf-8") if name else QUESTION
    content = mutated_value(text, draw) if draw.random() < 0.5 else mutated_text(text, draw)
    (case.here / "mine.yaml").write_bytes(content.replace(VICTIMS.encode(), str(case.victims).encode()))


def mutated_value(text: str, draw: Random) -> bytes:
    """Another value or another key somewhere."""
    document: Any = yaml.safe_load(text)
    for _ in range(draw.choice((1, 1, 2, 4))):
        places = list(locations(document))
        if places:
            document = with_value(document, draw.choice(places), draw.choice(HOSTILE))
    written = yaml.safe_dump(document, allow_unicode=True)
    return written.replace(DEEP, "[" * 500 + "]" * 500).encode("utf-8", "surrogatepass")


def mutated_text(text: str, draw: Random) -> bytes:
    """Other bytes, pieces of YAML that stand somewhere, lines that are gone, doubled or moved."""
    match draw.randrange(3):
        case 0:
            return mutated_bytes(text.encode(), draw)
        case 1:
            for _ in range(draw.choice((1, 2, 5))):
                at = draw.randrange(len(text) + 1)
                text = text[:at] + draw.choice(PIECES) + text[at:]
            return text.encode("utf-8", "surrogatepass")
        case _:
            lines = text.splitlines(keepends=True)
            for _ in range(draw.choice((1, 2, 5))):
                at, to = draw.randrange(len(lines)), draw.randrange(len(lines))
                lines[to:to] = [draw.choice(("", " ", "  ", "    ")) + lines[at].lstrip(" ")]
                if draw.random() < 0.5 and len(lines) > 1:
                    del lines[draw.randrange(len(lines))]
            return "".join(lines).encode()


def _options() -> Iterator[tuple[str, str]]:
    for field in ("epochs", "batch_size", "optimizer.lr", "model.filters", "data.train_size", "model", "x", ""):
        for value in HOSTILE:
            if isinstance(value, str) and "\x00" in value:
                continue  # no system passes that on
            text = value if isinstance(value, str) else repr(value)
            yield "--set", f"{field}={text.encode('utf-8', 'replace').decode()}"
        yield "--set", f"{field}={ALIASES}"
        yield "--set", f"{field}={'[' * 5000}"
    for option in ("--profile", "--dataset", "--data-dir", "--seeds", "--resources", "--cpus-per-trial", "--finalists"):
        for value in ODD_CHOICES:
            yield option, value


def _planned_with(option: str, text: str) -> Callable[[Case], None]:
    def plan(_: Case) -> None:
        command(*in_results("plan", "faults.yaml", "--no-time", option, text))()

    return plan
