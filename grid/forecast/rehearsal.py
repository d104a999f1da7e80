"""What a schedule would hand out, if its trials came out in some order; nothing is trained."""

from collections import deque
from collections.abc import Mapping

from cifar_models.config import TrainConfig
from grid.execution.schedule import Job, Schedule
from grid.records.status import Status


def rehearse(
    schedule: Schedule, val_acc: Mapping[str, float], num_at_once: int, trained: Mapping[str, int]
) -> list[TrainConfig]:
    """Plays a schedule to its end; trials end in the order in which they start.

    Args:
        schedule: It is used up.
        val_acc: What every trial reaches after each of its epochs, by fingerprint.
        num_at_once: Trials at once.
        trained: Epochs that trials have already, by fingerprint.

    Returns:
        For each job, in order, what is trained: the configuration, with the epochs that the job adds.
    """
    configs: list[TrainConfig] = []
    running: deque[Job] = deque()
    done = dict(trained)
    while running or not schedule.is_done():
        job = schedule.next_job() if len(running) < num_at_once else None
        if job is None:
            ended = running.popleft()
            status: Status = "ok" if ended.until_epoch == ended.config.epochs else "stopped"
            schedule.job_ended(ended.fingerprint, status, [val_acc[ended.fingerprint]] * ended.until_epoch)
            continue
        running.append(job)
        added = job.until_epoch - done.get(job.fingerprint, 0)
        configs.append(job.config.model_copy(update={"epochs": added}))
        done[job.fingerprint] = job.until_epoch
    return configs
