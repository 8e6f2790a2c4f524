"""One POST to one receiver. Whatever goes wrong is the verdict, never raised; no word of it has an address or a secret.

Certificates are verified, redirects are not followed, and nothing of the environment is between: no proxy.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import aiohttp
from yarl import URL

from ..plan.receivers import Receiver
from .files import Address, UnusableError, read_address
from .formats import Letter, Outcome, Request, Verdict, judge, make_request

SEND_SECONDS = 10.0
"""Longest time for one try, from its first byte to its last."""
LARGEST_ANSWER = 64 * 1024
_HEADERS = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "looma-operator"}
SHORTEST_SECRET = 6  # In characters; a shorter value of an address is a word.


class Sender:
    """Sends letters with one session for all receivers; reads their Secrets in `folder` before each try."""

    def __init__(self, folder: Path, *, clock: Callable[[], datetime]) -> None:
        """Open nothing yet."""
        self._folder = folder
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._trust: tuple[str, ssl.SSLContext] | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def send(self, receiver: Receiver, letter: Letter) -> Verdict:
        """Try once, within `SEND_SECONDS`."""
        try:
            address = read_address(self._folder, receiver)
            request = make_request(
                receiver.type,
                letter,
                url=address.url,
                secret=address.signing_secret,
                language=receiver.language,
                now=self._clock(),
            )
            async with asyncio.timeout(SEND_SECONDS):
                return await self._post(receiver, address, request)
        except (UnusableError, ValueError) as error:
            # Ours, made without the value; the library's own that might have it are caught where it is called.
            return Verdict(outcome=Outcome.RETRIED, why=str(error))
        except TimeoutError:
            return Verdict(outcome=Outcome.RETRIED, why=f"no answer within {SEND_SECONDS:g} s")

    async def _post(self, receiver: Receiver, address: Address, request: Request) -> Verdict:
        if self._session is None:
            # A connection that idles between two messages would mostly be found closed.
            connector = aiohttp.TCPConnector(force_close=True)
            self._session = aiohttp.ClientSession(connector=connector, headers=_HEADERS)
        try:
            async with self._session.post(
                URL(request.url, encoded=True),
                data=request.body,
                headers=request.headers,
                allow_redirects=False,
                ssl=self._context(address.authorities),
            ) as answer:
                body = b""
                while len(body) < LARGEST_ANSWER and (chunk := await answer.content.readany()):
                    body += chunk
                retry_after = answer.headers.get("Retry-After", "")
                verdict = judge(receiver.type, answer.status, body, retry_after=retry_after)
                return replace(verdict, why=_without_secrets(verdict.why, address))
        except aiohttp.ClientConnectorCertificateError:
            return Verdict(outcome=Outcome.RETRIED, why="its certificate is not one that is trusted here")
        except aiohttp.ClientConnectorError as error:
            return Verdict(outcome=Outcome.RETRIED, why=f"not reached: {_system_word(error.os_error)}")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Verdict(outcome=Outcome.RETRIED, why=f"not reached: {type(error).__name__}")

    def _context(self, authorities: str) -> ssl.SSLContext | bool:
        """What certificates are verified with: the system's authorities, or just those of the receiver's Secret."""
        if not authorities:
            return True
        if self._trust is None or self._trust[0] != authorities:
            try:
                self._trust = (authorities, ssl.create_default_context(cadata=authorities))
            except ssl.SSLError:
                raise UnusableError("ca.crt of its Secret has no certificates in PEM") from None
        return self._trust[1]


def _system_word(error: OSError) -> str:
    """What the system says of an error; the error's own words name the host, which the log need not know."""
    if isinstance(error, ssl.SSLError):
        return f"no TLS with it: {error.reason}"
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    # A resolver's numbers are below zero, and its words name nobody.
    return error.strerror or "no such host"


def _without_secrets(text: str, address: Address) -> str:
    """A receiver's own words without what only its address and its Secret have, should it repeat them."""
    query = urlsplit(address.url).query
    secrets = [address.url, address.signing_secret, query, *(value for _, value in parse_qsl(query))]
    for secret in secrets:
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, "…")
    return text
