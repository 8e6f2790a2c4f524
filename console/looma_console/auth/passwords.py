"""Argon2id hashing, a bounded number at a time.

One hash takes 64 MiB; a burst of logins over all threads at once would pass the container's memory limit.
"""

from __future__ import annotations

import secrets
import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MIN_LENGTH = 10
MAX_LENGTH = 256
AT_ONCE = 2


class Passwords:
    """Hashes and checks passwords with argon2-cffi's recommended parameters (RFC 9106, low memory)."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        """Use `hasher`, or the library's defaults; tests give a cheap one."""
        self._hasher = hasher or PasswordHasher()
        self._slots = threading.BoundedSemaphore(AT_ONCE)
        # An unknown login costs the same time as a known one.
        self._nobody = self._hasher.hash(secrets.token_hex(16))

    def hash(self, password: str) -> str:
        """An Argon2id string of `password`."""
        with self._slots:
            return self._hasher.hash(password)

    def matches(self, password: str, stored: str | None) -> bool:
        """Whether `password` is the stored one; None stands for an unknown login and never matches."""
        with self._slots:
            try:
                return self._hasher.verify(stored or self._nobody, password) and stored is not None
            except (VerificationError, InvalidHashError):
                return False

    def is_outdated(self, stored: str) -> bool:
        """Whether a stored hash was made with weaker parameters than today's."""
        return self._hasher.check_needs_rehash(stored)
