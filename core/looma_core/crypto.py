"""Files at rest: authenticated encryption with keys that can be changed.

Fernet (AES-128-CBC with HMAC-SHA256, from `cryptography`) under MultiFernet: the first key encrypts, every key
decrypts, `rotated` re-encrypts under the first. docs/security.md tells how to change a key.
"""

from __future__ import annotations

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class DecryptionError(Exception):
    """The bytes were changed, or their key is not among the keys given."""


class FileCipher:
    """Encrypts and decrypts whole files in memory.

    Args:
        keys: comma-separated Fernet keys, as in `LOOMA_FILE_KEYS`; the first encrypts.

    Raises:
        ValueError: no key, or one that is not 32 bytes in urlsafe base64.
    """

    def __init__(self, keys: str) -> None:
        parts = [part.strip() for part in keys.split(",") if part.strip()]
        if not parts:
            msg = "LOOMA_FILE_KEYS has no key: write one from `python -m looma_core.crypto`"
            raise ValueError(msg)
        try:
            self._fernets = [Fernet(part) for part in parts]
        except ValueError as error:
            msg = "LOOMA_FILE_KEYS has a key that is not 32 bytes in urlsafe base64"
            raise ValueError(msg) from error
        self._all = MultiFernet(self._fernets)

    def encrypt(self, data: bytes) -> bytes:
        """Return `data` encrypted under the first key, about 4/3 as long."""
        return self._all.encrypt(data)

    def decrypt(self, stored: bytes) -> bytes:
        """Return what was encrypted.

        Raises:
            DecryptionError: none of the keys fits, or a bit was changed.
        """
        try:
            return self._all.decrypt(stored)
        except InvalidToken as error:
            raise DecryptionError("the stored bytes do not decrypt with any of the keys") from error

    def rotated(self, stored: bytes) -> bytes | None:
        """Return `stored` under the first key, or None if it already is.

        Raises:
            DecryptionError: none of the keys fits.
        """
        try:
            self._fernets[0].decrypt(stored)
        except InvalidToken:
            return self.encrypt(self.decrypt(stored))
        return None


def new_key() -> str:
    """Return a fresh key for `LOOMA_FILE_KEYS`."""
    return Fernet.generate_key().decode()


if __name__ == "__main__":
    print(new_key())
