"""A SyncJob of a seed under faults: a real operator on a real API server, workers, PostgreSQL, and its source.

Only kubelet and Job controller are played: what the operator's Job asks for is begun as a process, a process that ended
without being done is followed by another, and when all are done the Job says so.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import json
import random
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from looma_core.api.syncjob import ExitCode, Variable

from .engines import LEDGER_KEY
from .key_ring import KEYS, VARIABLE, ring_file
from .killable_sources import KillableSource, lines
from .sync_checker import differences, expected
from .sync_faults import FENCED, SOURCES, TWIN, Fault, drawn, people
from .sync_jobs import EPOCH, ask, end, made
from .sync_ledger import Ledger
from .sync_plant import Plant
from .worker_pods import Pod

Object = dict[str, Any]
PATIENCE = 150.0
"""For one run, with all that goes wrong in it, on a machine that does other things too."""
LOOK_SECONDS = 0.1
SLOW_SECONDS = {"database": 0.01, "source": 0.15}
"""Before each piece: a batch of PostgreSQL is some forty, a page of a source one."""


@dataclass
class Frozen:
    """A worker whose node was thought lost: it is to find that a later run goes on, and to write nothing."""

    pod: Pod
    epoch: int
    shard: int
    rows: list[Object] | None = None


@dataclass
class SeededSync:
    """One seed's SyncJob."""

    plant: Plant
    seed: int
    struck: Counter[str] = field(default_factory=Counter)
    late: int = 0
    replaced: int = 0
    fenced: int = 0
    _rows: list[Object] = field(default_factory=list)
    _epoch: int = 0
    _alive: dict[tuple[str, int], Pod] = field(default_factory=dict)
    _done: set[tuple[str, int]] = field(default_factory=set)
    _twins: list[Pod] = field(default_factory=list)
    _frozen: list[Frozen] = field(default_factory=list)
    _lost: set[tuple[str, int]] = field(default_factory=set)
    _wishes: deque[str] = field(default_factory=deque)
    _asked: str = ""
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _agenda: list[tuple[float, int, Fault | Callable[[], None]]] = field(default_factory=list)
    _waiting: list[Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)  # noqa: S311 - no secret
        self.kind = self.rng.choice(SOURCES)
        self.shards = self.rng.choice([1, 2])
        self.name = f"people-{self.seed}"
        self.tenant = f"{self.plant.looma.namespace}-{self.name}"
        self.ledger = Ledger(self.plant, self.tenant)
        self.folder = self.plant.folder / self.name
        self.folder.mkdir()

    @property
    def source(self) -> KillableSource:
        """Where its people are."""
        return self.plant.sources.get(self.kind)

    # ---- the whole of it ---------------------------------------------------------------------------------

    def check(self) -> None:
        """Two runs with faults; after each all is as the source has it, and the run says just that.

        Raises:
            AssertionError: something is lost, doubled, different, or acknowledged and missing.
        """
        self._make()
        for _ in range(2):
            self._rows = people(self.rng, self._rows)
            self.source.put(self._rows)
            faults = drawn(self.rng)
            self._run(faults)
            self._compare(faults)
        self._remove()

    def _make(self) -> None:
        secret = self.folder / "secret"
        secret.mkdir()
        for name, value in self.source.secret.items():
            (secret / name).write_text(value)
        credentials = {"credentials": {"secretRef": {"name": self.name}}} if self.source.secret else {}
        made(
            self.plant.looma,
            self.name,
            source={**self.source.spec, **credentials},
            target={"tenant": self.tenant, "entity": "talent"},
            onMissing="delete",
            conflictPolicy={"default": "source"},
            parallelism=self.shards,
            batchSize=10,
            schedule={"cron": "@yearly"},
        )
        self.plant.looma.until(lambda: self._account() is not None, "its workers have an account")

    def _account(self) -> Path | None:
        """The folder that a pod would have its account in."""
        looma = self.plant.looma
        path = looma.path("serviceaccounts", f"{self.name}-sync", group="v1") + "/token"
        code, answer = looma.plane.request("POST", path, {"spec": {}})
        if code != 201:
            return None
        account = self.folder / "account"
        account.mkdir(exist_ok=True)
        (account / "token").write_text(answer["status"]["token"])
        (account / "ca.crt").write_bytes((looma.plane.pki.folder / "ca.crt").read_bytes())
        return account

    def _remove(self) -> None:
        looma = self.plant.looma
        looma.plane.request("DELETE", looma.path("syncjobs", self.name))
        for name in self.plant.jobs(self.name):
            looma.plane.request("DELETE", looma.path("jobs", name, group="batch/v1"))

    # ---- one run -----------------------------------------------------------------------------------------

    def _run(self, faults: list[Fault]) -> None:
        self._alive, self._done, self._lost, self._wishes = {}, set(), set(), deque(["run"])
        self._waiting = list(faults)
        begun = time.monotonic()
        for fault in [fault for fault in faults if fault.kind.startswith("operator")]:
            self._waiting.remove(fault)
            self._later(fault.at, fault)
        while not self._is_over():
            assert time.monotonic() < begun + PATIENCE, self._story()
            self._act(time.monotonic())
            time.sleep(LOOK_SECONDS)
        self.late += len(self._waiting)
        self._mend()
        self._settle()

    def _later(self, seconds: float, what: Fault | Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (time.monotonic() + seconds, next(self._numbers), what))

    def _act(self, now: float) -> None:
        while self._agenda and self._agenda[0][0] <= now:
            what = heapq.heappop(self._agenda)[2]
            if not isinstance(what, Fault):
                what()
            elif not self._strike(what):
                self.late += 1

    def _mend(self) -> None:
        """The run is over: what is still broken is mended at once, and what has not struck yet does not any more."""
        for _, _, what in sorted(self._agenda, key=lambda entry: entry[:2]):
            if isinstance(what, Fault):
                self.late += 1
            else:
                what()
        self._agenda.clear()

    def _settle(self) -> None:
        """Whoever is left of the run ends: those who were frozen by themselves, and by the fence."""
        self._wake()
        for frozen in self._frozen:
            code = self.plant.pods.ended(frozen.pod)
            said = frozen.pod.log.read_text()[-3000:]
            assert frozen.rows is not None
            # One that had nothing left to do when it was frozen is done.
            assert code == ExitCode.FENCED or frozen.rows[0]["ended_at"], (self._words(), code, said)
            now = self._shard_rows(frozen)
            assert now == frozen.rows, (self._words(), "a fenced worker wrote", frozen.rows, now, said)
            self.fenced += code == ExitCode.FENCED
        self._frozen.clear()
        for pod in self._twins:
            pod.signal(signal.SIGKILL)
            assert self.plant.pods.ended(pod) != ExitCode.BAD_INPUT, pod.log.read_text()[-3000:]
        self._twins.clear()

    def _is_over(self) -> bool:
        """Look at the SyncJob once, do what kubelet and controllers would, and say whether its last run ended."""
        status = self.plant.syncjob(self.name).get("status") or {}
        for entry in status.get("shards") or []:
            self.ledger.acknowledged[entry["epoch"], entry["shard"]] = entry
        self._wish(status)
        self._play(self.plant.jobs(self.name))
        self._wake()
        if self._wishes or not self._is_heard(status) or status.get("activeJob"):
            return False
        later = [run for run in status.get("runs") or [] if run["epoch"] > self._epoch]
        ended = [run for run in later if run.get("endedAt") and run["result"] != "Canceled"]
        assert all(run["result"] == "Succeeded" for run in ended), (self._words(), ended)
        return bool(ended)

    def _is_heard(self, status: Object) -> bool:
        return self._asked in [request["id"] for request in status.get("requests") or []]

    def _wish(self, status: Object) -> None:
        if self._wishes and (not self._asked or self._is_heard(status)):
            self._asked = f"{self.name}-{next(self._numbers)}"
            code, answer = ask(self.plant.looma, self.name, self._wishes.popleft(), request=self._asked)
            assert code == 200, answer

    def _play(self, found: dict[str, Object]) -> None:
        current = {
            name: job
            for name, job in found.items()
            if not job["spec"]["suspend"] and not (job.get("status") or {}).get("conditions")
        }
        for key in [key for key in self._alive if key[0] not in current]:
            # Its Job is gone: the kubelet ends the pod, if it still hears of it.
            pod = self._alive.pop(key)
            pod.signal(signal.SIGTERM)
            self._twins.append(pod)
        for name, job in current.items():
            places = {(name, index) for index in range(job["spec"]["completions"])}
            for place in places - self._done - self._lost:
                self._keep(place, job)
            if places <= self._done:
                end(self.plant.looma, name)

    def _keep(self, place: tuple[str, int], job: Object) -> None:
        pod = self._alive.get(place)
        if pod is None:
            self._alive[place] = self._begin(place[1], job)
            for fault in self._waiting:
                self._later(fault.at, fault)
            self._waiting.clear()
            return
        code = self.plant.pods.code(pod)
        if code is None:
            return
        del self._alive[place]
        if code == ExitCode.DONE:
            self._done.add(place)
        elif code == ExitCode.FENCED and self._is_canceled(job):
            # It heard of that before the kubelet did.
            self._lost.add(place)
        else:
            assert code not in (ExitCode.BAD_INPUT, ExitCode.FENCED), (
                self._words(),
                pod.log.read_text()[-3000:],
            )
            self.replaced += 1

    def _is_canceled(self, job: Object) -> bool:
        epoch = int(job["spec"]["template"]["metadata"]["annotations"][EPOCH])
        return bool(self.plant.syncjob(self.name)["status"]["epoch"] > epoch)

    def _begin(self, shard: int, job: Object) -> Pod:
        template = job["spec"]["template"]
        told = {
            item["name"]: item["value"]
            for item in template["spec"]["containers"][0]["env"]
            if "value" in item
        }
        return self.plant.pods.start(
            {
                **told,
                Variable.RUN: job["metadata"]["name"],
                Variable.EPOCH: template["metadata"]["annotations"][EPOCH],
                Variable.SHARD: str(shard),
                Variable.DATA: str(self.folder),
                Variable.CREDENTIALS: str(self.folder / "secret"),
                "KUBERNETES_SERVICE_HOST": "127.0.0.1",
                "KUBERNETES_SERVICE_PORT": str(self.plant.to_workers.port),
                "LOOMA_DATABASE_URL": self.plant.database_url,
                "LOOMA_LEDGER_KEY": LEDGER_KEY,
                VARIABLE: ring_file(),
            },
            self.folder / "account",
        )

    # ---- what goes wrong ---------------------------------------------------------------------------------

    def _strike(self, fault: Fault) -> bool:
        """Let it go wrong; answers whether there was somebody whom it struck."""
        who, _, how = fault.kind.partition(": ")
        living = [pod for _, pod in sorted(self._alive.items()) if self.plant.pods.code(pod) is None]
        if who != "operator" and not living:
            return False
        if who == "operator":
            self._strike_operator(how, fault)
        elif who == "worker":
            if not self._strike_worker(fault, living[int(fault.pick * len(living))]):
                return False
        else:
            self._strike_server(who, how, fault)
        self.struck[fault.kind] += 1
        return True

    def _strike_operator(self, how: str, fault: Fault) -> None:
        plant = self.plant
        if how == "killed":
            plant.operator(signal.SIGKILL)
            plant.looma.replicas[-1].process.wait()
            plant.start_operator(wait=False)
        elif how == "cut off":
            plant.to_operator.cut()
            self._later(4 * fault.seconds, plant.to_operator.mend)
        else:
            # Longer than a lease now and then: then it wakes up as one that leads no more.
            plant.operator(signal.SIGSTOP)
            self._later(4 * fault.seconds, lambda: plant.operator(signal.SIGCONT))

    def _strike_worker(self, fault: Fault, pod: Pod) -> bool:
        if fault.kind == TWIN:
            (place,) = [place for place, known in self._alive.items() if known is pod]
            job = self.plant.jobs(self.name).get(place[0])
            if job is None:
                return False
            self._twins.append(self._begin(place[1], job))
        elif fault.kind == FENCED:
            (place,) = [place for place, known in self._alive.items() if known is pod]
            job = self.plant.jobs(self.name).get(place[0])
            if job is None or self._frozen:
                return False
            pod.signal(signal.SIGSTOP)
            del self._alive[place]
            epoch = int(job["spec"]["template"]["metadata"]["annotations"][EPOCH])
            self._frozen.append(Frozen(pod, epoch, place[1]))
            # Its Job still counts on it, so nobody begins another one.
            self._lost.add(place)
            self._wishes.extend(["cancel", "run"])
        elif fault.kind.endswith("killed"):
            pod.signal(signal.SIGKILL)
        elif fault.kind.endswith("cut off"):
            self.plant.to_workers.cut()
            self._later(fault.seconds, self.plant.to_workers.mend)
        else:
            pod.signal(signal.SIGSTOP)
            self._later(fault.seconds, lambda: pod.signal(signal.SIGCONT))
        return True

    def _strike_server(self, who: str, how: str, fault: Fault) -> None:
        plant = self.plant
        road, server = (
            (plant.to_database, plant.server) if who == "database" else (self.source.wire, self.source)
        )
        if how == "killed":
            server.kill()
            self._later(fault.seconds, self._recover if who == "database" else server.start)
        elif how == "slowed":
            road.slow(SLOW_SECONDS[who])
            self._later(2 * fault.seconds, road.mend)
        elif who == "source":
            road.break_off(fault.size)
            self._later(fault.seconds, road.mend)
        else:
            road.cut()
            self._later(fault.seconds, road.mend)

    def _recover(self) -> None:
        """The database comes back, and has all that workers acknowledged before one of them can write again."""
        self.plant.to_database.cut()
        self.plant.server.start()
        self.ledger.find_acknowledged(self._words())
        self.plant.to_database.mend()

    def _wake(self) -> None:
        """Let those who were frozen go on, once a later run has the fence.

        That a worker of it reported is not enough: one that waited for the fence in vain says so too.
        """
        for frozen in self._frozen:
            if frozen.rows is not None:
                continue
            with contextlib.suppress(psycopg.OperationalError):
                fences = self.plant.asked(self.tenant, "SELECT epoch FROM talent_sync.sync_fences")
                if any(fence["epoch"] > frozen.epoch for fence in fences):
                    frozen.rows = self._shard_rows(frozen)
                    frozen.pod.signal(signal.SIGCONT)

    def _shard_rows(self, frozen: Frozen) -> list[Object]:
        return self.plant.asked(
            self.tenant,
            "SELECT * FROM talent_sync.sync_shards WHERE epoch = %s AND shard = %s",
            frozen.epoch,
            frozen.shard,
        )

    # ---- what is there -----------------------------------------------------------------------------------

    def _compare(self, faults: list[Fault]) -> None:
        file = self.folder / "people.jsonl"
        file.write_bytes(lines(self._rows))
        wrong = differences(self.plant.urls.app_libpq, self.tenant, expected(file), KEYS)
        assert not wrong, (self._words(), faults, wrong[:5])
        self.ledger.find_acknowledged(self._words())
        status = self.plant.syncjob(self.name)["status"]
        self.ledger.compare(self._rows, after=self._epoch, status=status, words=f"{self._words()} {faults}")
        self._epoch = status["epoch"]

    def _words(self) -> str:
        return f"seed {self.seed}, {self.kind}, {self.shards} shards, {dict(self.struck)}"

    def _story(self) -> str:
        """All that is known where a run does not end."""
        logs = [f"{place}\n{pod.log.read_text()[-1500:]}" for place, pod in self._alive.items()]
        said = json.dumps(self.plant.syncjob(self.name).get("status"))
        return "\n".join([self._words(), said, *logs, self.plant.looma.replicas[-1].log.read_text()[-1500:]])

    def record(self) -> str:
        """What happened, for the report."""
        return json.dumps(
            {
                "seed": self.seed,
                "source": self.kind,
                "struck": self.struck,
                "late": self.late,
                "replaced": self.replaced,
                "fenced": self.fenced,
                "epochs": self._epoch,
                "records": len(self._rows),
            }
        )
