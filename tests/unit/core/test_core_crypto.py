"""Files at rest."""

from __future__ import annotations

import pytest

from looma_core.crypto import DecryptionError, FileCipher, new_key

DATA = b"%PDF-1.7 the whole file"


def test_what_is_stored_is_not_what_was_given_and_comes_back() -> None:
    cipher = FileCipher(new_key())
    stored = cipher.encrypt(DATA)
    assert DATA not in stored
    assert cipher.decrypt(stored) == DATA
    assert cipher.encrypt(DATA) != stored, "the same file twice must not look the same"


def test_keys_can_be_changed_one_after_the_other() -> None:
    old, new = new_key(), new_key()
    stored = FileCipher(old).encrypt(DATA)
    both = FileCipher(f"{new}, {old}")
    assert both.decrypt(stored) == DATA
    moved = both.rotated(stored)
    assert moved is not None
    assert FileCipher(new).decrypt(moved) == DATA
    assert both.rotated(moved) is None


def test_a_changed_bit_or_another_key_is_refused() -> None:
    cipher = FileCipher(new_key())
    stored = bytearray(cipher.encrypt(DATA))
    with pytest.raises(DecryptionError):
        FileCipher(new_key()).decrypt(bytes(stored))
    stored[40] ^= 1
    with pytest.raises(DecryptionError):
        cipher.decrypt(bytes(stored))


@pytest.mark.parametrize("keys", ["", " , ", "short", "{good},short"])
def test_wrong_keys_are_said(keys: str) -> None:
    with pytest.raises(ValueError, match="LOOMA_FILE_KEYS"):
        FileCipher(keys.format(good=new_key()))
