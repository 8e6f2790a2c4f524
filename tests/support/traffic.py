"""A recorder of real requests during a test, with marks: "between these two marks, no error".

The load is bounded in rate and time and enters at the instance's loopback address only. Each answer is kept
with its moment, its status and the revision that gave it.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import httpx

LONGEST_SECONDS = 600.0  # A forgotten recorder ends by itself.


@dataclass(frozen=True)
class Answer:
    """One request's end: monotonic seconds, status (0: no answer), revision, and what went wrong."""

    at: float
    status: int
    revision: str
    error: str = ""


@dataclass
class Traffic:
    """Sends a GET every `interval` seconds, as `client` would, from each of `clients` threads until closed.

    A failure is no answer at all or a status of 500 and above: the promise is about Looma, not the caller. With `anew`
    each request has a connection of its own, so that it also shows whether new ones are let in.
    """

    client: httpx.Client
    path: str
    interval: float = 0.02
    clients: int = 2
    anew: bool = False
    answers: list[Answer] = field(default_factory=list)
    marks: dict[str, float] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._began = time.monotonic()
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(self.clients)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=90)

    def _send(self) -> None:
        # One each: where a connection ends while threads share a client, one may read what another has just closed.
        with httpx.Client(
            base_url=self.client.base_url,
            headers=self.client.headers,
            timeout=self.client.timeout,
            limits=httpx.Limits(max_keepalive_connections=0 if self.anew else None),
        ) as client:
            self._send_by(client)

    def _send_by(self, client: httpx.Client) -> None:
        while not self._stop.wait(self.interval) and time.monotonic() - self._began < LONGEST_SECONDS:
            try:
                answer = client.get(self.path)
            except httpx.HTTPError as error:
                self.answers.append(Answer(time.monotonic(), 0, "", repr(error)))
            else:
                revision = answer.headers.get("X-Looma-Revision", "")
                error_text = answer.text[:300] if answer.status_code >= 500 else ""
                self.answers.append(Answer(time.monotonic(), answer.status_code, revision, error_text))

    def mark(self, name: str) -> None:
        """Remember this moment under a name."""
        self.marks[name] = time.monotonic()

    def between(self, start: str, end: str | None = None) -> list[Answer]:
        """Answers between two marks; to now without `end`."""
        last = self.marks[end] if end else float("inf")
        return [answer for answer in list(self.answers) if self.marks[start] <= answer.at <= last]

    def failures(self) -> list[Answer]:
        """Answers that break the promise."""
        return [answer for answer in list(self.answers) if answer.status == 0 or answer.status >= 500]

    def revisions(self, start: str, end: str | None = None) -> Counter[str]:
        """How many answers each revision gave between two marks."""
        return Counter(answer.revision for answer in self.between(start, end))

    def wait_for_revision(self, revision: str, *, seconds: float = 60, streak: int = 20) -> None:
        """Wait until the last `streak` answers all came from `revision`.

        Raises:
            AssertionError: when `seconds` have passed first.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            last = list(self.answers)[-streak:]
            if len(last) == streak and all(answer.revision == revision for answer in last):
                return
            self._stop.wait(0.05)
        seen = Counter(answer.revision for answer in list(self.answers)[-streak:])
        raise AssertionError(
            f"the answers did not come from {revision} within {seconds:g} s; the last: {seen}"
        )
