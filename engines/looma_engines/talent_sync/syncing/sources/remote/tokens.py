"""Who asks: nobody, one with a token that was given, or a client that gets tokens and renews them before they end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from .judging import refresh_at

UNSAID_LIFE_SECONDS = 300.0
"""How long a token is taken to be good whose issuer does not say."""
REFUSALS = 6
"""Tokens in a row that are not taken: one had ended, the next were of an issuer that began anew, or is about to."""


class Tokens(Protocol):
    """What says who asks.

    Attributes:
        refused: how many in a row were not taken.
    """

    refused: int

    def headers(self) -> Mapping[str, str]:
        """Headers of the next question."""
        ...

    def renew(self) -> bool:
        """The token was not taken: whether another one may be."""
        ...

    def taken(self) -> None:
        """The token was taken."""
        ...


class NoToken:
    """Nobody in particular asks."""

    refused = 0

    def headers(self) -> Mapping[str, str]:
        """None."""
        return {}

    def renew(self) -> bool:
        """There is no other."""
        return False

    def taken(self) -> None:
        """Nothing to note."""


class Given(NoToken):
    """What somebody wrote into the Secret, and may write anew while a worker runs.

    Args:
        read: the header's value as the Secret has it now.
    """

    def __init__(self, read: Callable[[], str]) -> None:
        self._read = read
        self._last = ""

    def headers(self) -> Mapping[str, str]:
        """The value."""
        self._last = self._read()
        return {"Authorization": self._last}

    def renew(self) -> bool:
        """Whether the Secret has another one by now."""
        return self._read() != self._last


class Issued(msgspec.Struct):
    """An answer of RFC 6749, 5.1."""

    access_token: str
    expires_in: float = UNSAID_LIFE_SECONDS


class ClientTokens:
    """Tokens that a client gets with its secret (RFC 6749, 4.4).

    Args:
        issue: asks for a token.
        now: seconds that only grow.
    """

    def __init__(self, issue: Callable[[], Issued], now: Callable[[], float] = time.monotonic) -> None:
        self._issue = issue
        self._now = now
        self._token = ""
        self._until = 0.0
        self.refused = 0

    def headers(self) -> Mapping[str, str]:
        """A token that does not end while it is under way."""
        if not self._token or self._now() >= self._until:
            issued = self._issue()
            self._token = issued.access_token
            self._until = self._now() + refresh_at(issued.expires_in)
        return {"Authorization": f"Bearer {self._token}"}

    def renew(self) -> bool:
        """Forget the token, unless as many in a row were refused that it is not for their age."""
        self.refused += 1
        self._token = ""
        return self.refused < REFUSALS

    def taken(self) -> None:
        """The token is good."""
        self.refused = 0
