"""Asks a source over HTTP: with patience where it is away, at a pace, with a token; counts what it did.

What is away is asked again, and so is what was cut short; what is refused is not. A redirect is refused too: an address
that nobody wrote into the SyncJob is not asked, least of all with a token.
"""

from __future__ import annotations

import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

import httpx
import msgspec
from tenacity import RetryCallState, Retrying, retry_if_exception_type
from tenacity.stop import stop_base

from looma_engines.sync_worker.frame import Asked
from looma_engines.sync_worker.inputs import BadInputError

from .judging import LONGEST_WAIT_SECONDS, Meaning, asked_to_wait, meaning_of, pause_before
from .tokens import NoToken, Tokens

PATIENCE_SECONDS = 120.0
"""How long a source may be away, not counted what it asks to be waited for."""
MAX_BODY_BYTES = 32 * 1024 * 1024
"""Largest body that is kept in memory: a page of records."""
PIECE_BYTES = 64 * 1024
TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_log = logging.getLogger(__name__)
T = TypeVar("T")


class SourceAwayError(Exception):
    """The source did not answer, or not to the end: another pod tries again."""


class _AgainError(Exception):
    """This try failed; another may not. `wait` is what the source asked for."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


@dataclass
class Account:
    """What was done: questions by answer (`none` where there was none), tries again, seconds of leaving alone.

    `date` is the source's clock as its last answer has it.
    """

    requests: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    throttled_seconds: float = 0.0
    date: str = ""

    def told(self) -> Asked:
        """As the worker reports it."""
        return Asked(
            requests=dict(self.requests), retries=self.retries, throttled_seconds=self.throttled_seconds
        )


@dataclass(frozen=True, kw_only=True)
class Told:
    """An answer, read to its end."""

    status: int
    tag: str
    body: bytes


class _Patience(stop_base):
    """Ends when a source was away for so long; what it asked to be waited for does not count."""

    def __init__(self, seconds: float, asked: Account) -> None:
        self._seconds = seconds
        self._asked = asked
        self._begun = asked.throttled_seconds

    def __call__(self, retry_state: RetryCallState) -> bool:
        outcome = retry_state.outcome
        error = outcome.exception() if outcome is not None else None
        if isinstance(error, _AgainError) and error.wait is not None and error.wait > LONGEST_WAIT_SECONDS:
            return True
        waited = self._asked.throttled_seconds - self._begun
        away = (retry_state.seconds_since_start or 0.0) - waited
        return away >= self._seconds or waited > LONGEST_WAIT_SECONDS


class Asker:
    """Asks one source.

    Args:
        client: for HTTP; closed by `close`.
        tokens: what says who asks.
        per_second: how many questions at most; None for as many as there are.
        patience: seconds for which the source may be away.
        sleep: waits.
        asked: counts what is done; one of its own if none is given.
    """

    def __init__(
        self,
        client: httpx.Client,
        *,
        tokens: Tokens | None = None,
        per_second: float | None = None,
        patience: float = PATIENCE_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
        asked: Account | None = None,
    ) -> None:
        self._client = client
        self._tokens = tokens or NoToken()
        self._every = 1 / per_second if per_second else 0.0
        self._next = 0.0
        self._patience = patience
        self._sleep = sleep
        self.asked = asked or Account()

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def decoded(
        self,
        address: str,
        kind: type[T],
        *,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> T:
        """An answer in JSON; one that is none, or has another shape, may be a server's that is not quite there.

        Raises:
            SourceAwayError: the source does not answer to the end, or not what was asked for.
            BadInputError: it refuses, or answers more than a page.
        """

        def once() -> T:
            try:
                return msgspec.json.decode(self._body(address, params, form), type=kind)
            except msgspec.MsgspecError as error:
                raise _AgainError("it answers something else than was asked for") from error

        return self.tried(address, once)

    def told(
        self,
        address: str,
        *,
        method: str = "GET",
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        taken: Collection[int] = (),
    ) -> Told:
        """An answer as it is. What was asked is asked again where no answer came: so it must come to the same.

        Args:
            address: whom.
            method: how.
            content: what is sent.
            headers: beside those of every question.
            taken: statuses that the caller understands, beside those that are good.

        Raises:
            SourceAwayError: the source does not answer to the end.
            BadInputError: it refuses by another status, or answers more than a page.
        """

        def once() -> Told:
            with self.answer(address, headers=headers, method=method, content=content, taken=taken) as answer:
                return Told(
                    status=answer.status_code,
                    tag=answer.headers.get("ETag", ""),
                    body=_whole(address, answer),
                )

        return self.tried(address, once)

    def tried(self, address: str, action: Callable[[], T]) -> T:
        """Do it, and do it again where the source was away or the answer was cut short.

        Raises:
            SourceAwayError: the source was away for longer than there is patience.
        """
        try:
            for attempt in Retrying(
                retry=retry_if_exception_type(_AgainError),
                stop=_Patience(self._patience, self.asked),
                wait=self._wait,
                sleep=self._pause,
                reraise=True,
            ):
                with attempt:
                    try:
                        return action()
                    except httpx.TransportError as error:
                        self.asked.requests["none"] += 1
                        raise _AgainError(_name(error)) from error
        except _AgainError as error:
            raise SourceAwayError(f"{_host(address)} does not answer: {error}") from error
        raise AssertionError("unreachable: the last attempt answers or raises")

    @contextmanager
    def answer(
        self,
        address: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        method: str = "",
        content: bytes | None = None,
        taken: Collection[int] = (),
    ) -> Iterator[httpx.Response]:
        """An answer that is taken, its body yet to be read; for use within `tried`.

        Raises:
            BadInputError: the source refuses.
        """
        self._keep_pace()
        # As the bytes are: what is packed has neither ranges nor lengths that can be compared.
        asked = {"Accept-Encoding": "identity", **self._tokens.headers(), **(headers or {})}
        method = method or ("GET" if form is None else "POST")
        with self._client.stream(
            method, address, params=params, data=form, content=content, headers=asked
        ) as answer:
            self.asked.requests[str(answer.status_code)] += 1
            self.asked.date = answer.headers.get("Date", "")
            if answer.status_code not in taken:
                self._judge(address, answer)
            yield answer

    @staticmethod
    def again(reason: str) -> Exception:
        """What to raise within `tried` where an answer is not what it should be, and another may be."""
        return _AgainError(reason)

    def _body(self, address: str, params: Mapping[str, str] | None, form: Mapping[str, str] | None) -> bytes:
        with self.answer(address, params=params, form=form) as answer:
            return _whole(address, answer)

    def _judge(self, address: str, answer: httpx.Response) -> None:
        status = answer.status_code
        meaning = meaning_of(status)
        if meaning is Meaning.LATER:
            wait = asked_to_wait(answer.headers.get("Retry-After"), datetime.now(UTC))
            raise _AgainError(f"it answers {status}", wait)
        if meaning is Meaning.NO_TOKEN and self._tokens.renew():
            # One that ended is replaced at once; an issuer that begins anew may need its time.
            raise _AgainError("the token is no good any more", 0.0 if self._tokens.refused <= 1 else None)
        if meaning is Meaning.NO_TOKEN:
            raise BadInputError(f"{_host(address)} answers 401: it does not take what source.credentials has")
        if answer.is_redirect:
            raise BadInputError(f"{_host(address)} answers {status}: write the address that it leads to")
        if meaning is Meaning.REFUSED:
            raise BadInputError(
                f"{_host(address)} answers {status} to a question for {httpx.URL(address).path}"
            )
        # What the token is good for was seen: the next 401 may be another token's end.
        self._tokens.taken()

    def _keep_pace(self) -> None:
        early = self._next - time.monotonic()
        if early > 0:
            self.asked.throttled_seconds += early
            self._sleep(early)
        self._next = time.monotonic() + self._every

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        if isinstance(error, _AgainError) and error.wait is not None:
            self.asked.throttled_seconds += error.wait
            return error.wait
        return pause_before(state.attempt_number, random.random())  # noqa: S311 - jitter, no secret

    def _pause(self, seconds: float) -> None:
        self.asked.retries += 1
        _log.warning("the source is asked again in %.1f s", seconds)
        self._sleep(seconds)


def _whole(address: str, answer: httpx.Response) -> bytes:
    body = bytearray()
    for piece in answer.iter_bytes(PIECE_BYTES):
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise BadInputError(
                f"{_host(address)} answers more than {MAX_BODY_BYTES} bytes at once:"
                " write a smaller source.pageSize"
            )
    return bytes(body)


def _host(address: str) -> str:
    """What may be said of an address: its query may be a signature."""
    return httpx.URL(address).host


def _name(error: httpx.TransportError) -> str:
    """What went wrong, without the address."""
    return type(error).__name__
