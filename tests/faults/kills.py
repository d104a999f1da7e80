"""Kills what a run is made of while it is at work, and compares what is left with a run that nobody disturbed.

When to kill is drawn as a number of finished trials, between a tenth and nine tenths of them, never as a time.
"""

import os
import random
import signal
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from tests.faults.attempts import Result
from tests.faults.runs import NUM_ARMS, QUESTION, Run, different_tables, finished, marked

SIGNALS = (signal.SIGKILL,) * 20 + (signal.SIGTERM, signal.SIGHUP, signal.SIGINT) * 4
NUM_WORKERS, NUM_CLUSTERS, NUM_NODES = 8, 4, 4
TRIALS_A_KILL = 3
"""At least so many trials finish between two kills, on average."""
WORKER, RAYLET, SERVER = "ray::ImplicitFunc", "raylet/raylet", "gcs_server"
ONLY_KILLED = "driver: SIGKILL"
GRACE_S = 60.0
"""After which nothing that a run started may still be there."""


def results(options: Any, scratch: Path) -> Iterator[Result]:
    """All kills, or a share of each kind: of drivers, of workers, of what Ray consists of, of nodes."""
    folder = scratch / "kills"
    folder.mkdir()
    (folder / "kills.yaml").write_text(QUESTION)
    rng = random.Random(options.seed)

    def share(number: int) -> int:
        wanted, most = round(float(options.scale) * number), int(options.count or number)
        return min(max(1, wanted), most)

    signals = [*islice(SIGNALS, share(20)), *islice(SIGNALS, 20, 20 + min(12, 3 * share(4)))]
    if options.name == ONLY_KILLED:
        signals = signals[: share(20)]
    ray_parts = list(islice(cycle((RAYLET, SERVER)), share(NUM_CLUSTERS)))
    num_kills = max(len(signals), share(NUM_WORKERS), len(ray_parts), share(NUM_NODES))
    num_seeds = 2 + -(-TRIALS_A_KILL * num_kills // NUM_ARMS)
    calm = Run(folder / "kills.yaml", folder / "calm", num_seeds)
    if calm.end() != 0:
        yield Result("kills", "an undisturbed run", unclear=[calm.printed()[-300:]])
        return
    calm.left(GRACE_S)
    kills = Kills(folder, num_seeds, rng)
    for name, part in (
        ("driver", lambda: kills.of_drivers(signals)),
        ("worker", lambda: kills.of_workers(share(NUM_WORKERS))),
        ("ray", lambda: kills.of_ray(ray_parts)),
        ("node", lambda: kills.of_nodes(share(NUM_NODES))),
    ):
        if not options.name or options.name.startswith(name):
            for result in part():
                print(
                    f"{result.fault} | {result.name} | {'survived' if result.survived else 'not survived'}", flush=True
                )
                yield result


class Kills:
    """Kills of one grid.

    Attributes:
        folder: Has the question, and the results of the undisturbed run as `calm`.
        num_seeds: Seeds of each arm.
        rng: Draws when to kill.
    """

    def __init__(self, folder: Path, num_seeds: int, rng: random.Random) -> None:
        self.folder, self.num_seeds, self.rng = folder, num_seeds, rng
        self.num_trials = NUM_ARMS * num_seeds

    def moments(self, number: int) -> list[int]:
        """Numbers of finished trials at which to kill, in order: some two trials apart, from a tenth to nine tenths."""
        low, high = -(-self.num_trials // 10), int(0.9 * self.num_trials) - 2
        return sorted(self.rng.sample(range(low, max(high, low + number) + 1), number))

    def start(self, name: str, **environment: str) -> Run:
        """A run into a results folder of that name."""
        return Run(self.folder / "kills.yaml", self.folder / name, self.num_seeds, **environment)

    def of_drivers(self, signals: Sequence[signal.Signals]) -> Iterator[Result]:
        """One results folder, whose driver is ended again and again; the last run comes to its end."""
        seen: dict[str, bytes] = {}
        order = list(signals)
        self.rng.shuffle(order)
        for number, (moment, signum) in enumerate(zip(self.moments(len(order)), order, strict=True)):
            run = self.start("drivers")
            hit = run.wait_for(moment)
            result = Result(f"driver: {signum.name}", f"kill {number} at {moment} of {self.num_trials} trials")
            if not hit:
                result.unclear.append(f"it was not at work any more: {run.printed()[-300:]}")
            else:
                os.kill(run.process.pid, signum)
                if signum == signal.SIGINT:
                    run.wait_until_printed("press Ctrl-C again")
                    if run.process.poll() is None:
                        os.kill(run.process.pid, signum)
            self.judge_end(run, result, signum)
            self.compare(seen, "drivers", result)
            share = len(finished(self.folder / "drivers")) / self.num_trials
            if not 0.1 <= share <= 0.95:
                result.unclear.append(f"{share:.0%} of the trials were finished")
            yield result
        yield self.to_the_end("drivers", seen, "driver: the run after all")

    def judge_end(self, run: Run, result: Result, signum: signal.Signals) -> None:
        """How a driver ended that was told to, and what it left."""
        code = run.end()
        result.hangs += ["it did not end"] * (code is None)
        result.tracebacks += [run.printed()[-300:]] * ("Traceback" in run.printed())
        left = run.left(GRACE_S)
        if signum == signal.SIGKILL:
            return
        if left:
            result.unclear.append(f"left running: {', '.join(left)}")
        if (run.results / "run.lock").exists():
            result.unclear.append("the lock was left")
        if code is not None and code not in (130, 128 + signum, 0):
            result.unclear.append(f"exit code {code}")
        newest = max((run.results / "runs").glob("*.json"), key=lambda path: path.name)
        if '"outcome": null' in newest.read_text():
            result.unclear.append("its manifest does not say how it ended")

    def of_workers(self, number: int) -> Iterator[Result]:
        """One run, of which a worker is killed again and again."""
        seen: dict[str, bytes] = {}
        run = self.start("workers")
        for moment in self.moments(number):
            result = Result("worker: SIGKILL", f"at {moment} of {self.num_trials} trials")
            if not run.wait_for(moment) or not run.wait_until(lambda: marked(run.mark, WORKER)):
                result.unclear.append(f"it was not at work any more: {run.printed()[-300:]}")
            for worker in marked(run.mark, WORKER)[:1]:
                os.kill(worker, signal.SIGKILL)
            self.compare(seen, "workers", result)
            yield result
        yield self.ended(run, seen, "worker: the run after all")

    def of_ray(self, parts: Sequence[str]) -> Iterator[Result]:
        """One results folder, of whose runs the raylet or the server of the cluster is killed."""
        seen: dict[str, bytes] = {}
        for moment, part in zip(self.moments(len(parts)), parts, strict=True):
            run = self.start("rays")
            result = Result(f"{part.split('/')[-1]}: SIGKILL", f"at {moment} of {self.num_trials} trials")
            if not run.wait_for(moment):
                result.unclear.append(f"it was not at work any more: {run.printed()[-300:]}")
            for process in marked(run.mark, part):
                os.kill(process, signal.SIGKILL)
            code = run.end()
            result.hangs += ["it did not end"] * (code is None)
            result.tracebacks += [run.printed()[-300:]] * ("Traceback" in run.printed())
            if code not in (None, 1) or "run the same command again" not in run.printed():
                result.unclear.append(f"exit code {code}: {run.printed()[-300:]}")
            result.unclear += [f"left running: {', '.join(left)}"] if (left := run.left(GRACE_S)) else []
            self.compare(seen, "rays", result)
            yield result
        yield self.to_the_end("rays", seen, "ray: the run after all")

    def of_nodes(self, number: int) -> Iterator[Result]:
        """Runs on a cluster that loses a node; a new one takes its place for the next."""
        from ray.cluster_utils import Cluster

        seen: dict[str, bytes] = {}
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        run = None
        try:
            run = self.start("nodes", RAY_ADDRESS=cluster.address)
            for moment in self.moments(number):
                node = cluster.add_node(num_cpus=1)
                result = Result("node: SIGKILL", f"at {moment} of {self.num_trials} trials")
                if not run.wait_for(moment):
                    result.unclear.append(f"it was not at work any more: {run.printed()[-300:]}")
                cluster.remove_node(node, allow_graceful=False)
                self.compare(seen, "nodes", result)
                yield result
            yield self.ended(run, seen, "node: the run after all")
        finally:
            if run and run.process.poll() is None:
                run.process.kill()
            cluster.shutdown()

    def to_the_end(self, name: str, seen: dict[str, bytes], fault: str) -> Result:
        """A run that nothing befalls any more."""
        return self.ended(self.start(name), seen, fault)

    def ended(self, run: Run, seen: dict[str, bytes], fault: str) -> Result:
        """Whether a run came to its end, lost nothing, and has the tables of the undisturbed one."""
        code = run.end()
        result = Result(fault, "to the end")
        result.hangs += ["it did not end"] * (code is None)
        result.tracebacks += [run.printed()[-300:]] * ("Traceback" in run.printed())
        if code:
            result.unclear.append(f"exit code {code}: {run.printed()[-300:]}")
        self.compare(seen, run.results.name, result)
        result.lost += [f"another table: {name}" for name in different_tables(self.folder / "calm", run.results)]
        run.left(GRACE_S)
        return result

    def compare(self, seen: dict[str, bytes], name: str, result: Result) -> None:
        """Notes finished trials that are gone or were trained again since the last look."""
        now = finished(self.folder / name)
        result.lost += [f"{key} is gone" for key in seen if key not in now]
        result.lost += [f"{key} was trained again" for key in seen if key in now and now[key] != seen[key]]
        seen.update(now)
