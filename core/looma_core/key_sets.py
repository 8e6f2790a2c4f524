"""Keys of several issuers' key sets, looked for in one after another: an issuer of your own, and the console's."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from looma_core.auth import JwksKeys
from looma_core.problems import NotReady

if TYPE_CHECKING:
    from joserfc.jwk import RSAKey


def addresses(urls: str) -> list[str]:
    """The addresses of a setting that may name several, with spaces between; each once."""
    return list(dict.fromkeys(urls.split()))


class KeySets:
    """A key source of several others.

    Args:
        sources: in the order in which a key's id is looked for; two issuers with the same id have the first one's.
    """

    def __init__(self, sources: Sequence[JwksKeys]) -> None:
        self._sources = sources

    async def find(self, kid: str) -> RSAKey | None:
        """Return the public key with this id, or None if no issuer has it.

        Raises:
            NotReady: an issuer's keys could not be had, so that it may have the key.
        """
        unread: NotReady | None = None
        for source in self._sources:
            try:
                if key := await source.find(kid):
                    return key
            except NotReady as error:
                unread = error
        if unread is not None:
            raise unread
        return None

    async def warm(self) -> None:
        """Read all keys before the first request needs them."""
        await asyncio.gather(*(source.warm() for source in self._sources))

    async def loaded(self) -> None:
        """Readiness check: holds once one issuer's keys were read; one that is away must not stop the others' callers.

        Raises:
            NotReady: none were ever read.
        """
        results = await asyncio.gather(*(source.loaded() for source in self._sources), return_exceptions=True)
        failures = [result for result in results if isinstance(result, BaseException)]
        if len(failures) == len(results):
            raise failures[0]
