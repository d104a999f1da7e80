"""What each study found, in a few lines for the terminal."""

from collections import Counter
from collections.abc import Iterable

from grid.analysis.study_result import StudyResult


def answer_lines(results: Iterable[StudyResult]) -> list[str]:
    """The question, its answer in a sentence and the number of claims with each verdict, of each study."""
    lines: list[str] = []
    for result in results:
        study, conclusion = result.study, result.conclusion
        lines += ["", f"{study.title} ({study.name})", f"  {conclusion.sentence}"]
        verdicts = Counter(verdict.verdict for verdict in conclusion.judgement.verdicts)
        if verdicts:
            lines.append(f"  Claims: {', '.join(f'{number} {verdict}' for verdict, number in verdicts.most_common())}")
    return lines
