"""Files of the gateway's folder: written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path


def write_atomically(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write a file so that a reader finds the old content or the new, never a part.

    Raises:
        OSError: if it cannot be written; what was there stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def write_all(
    folder: Path, files: Mapping[str, str] | Mapping[str, bytes] | Mapping[str, str | bytes], *, last: str
) -> int:
    """Write those files whose content differs, `last` after all others that it refers to; answers how many.

    Raises:
        OSError: if one cannot be written; those before it are.
    """
    written = 0
    for name in sorted(files, key=lambda name: (name == last, name)):
        given = files[name]
        content = given.encode() if isinstance(given, str) else given
        path = folder / name
        try:
            if path.read_bytes() == content:
                continue
        except OSError:
            pass
        write_atomically(path, content)
        written += 1
    return written


def read_all(folder: Path, names: Iterable[str]) -> dict[str, bytes]:
    """Content of those of the files that are there."""
    found = {}
    for name in names:
        with contextlib.suppress(OSError):
            found[name] = (folder / name).read_bytes()
    return found


def remove_others(
    folder: Path, files: Mapping[str, str] | Mapping[str, bytes] | Mapping[str, str | bytes]
) -> None:
    """Remove files in the sub-folders of `files` that are none of them: keys and certificates of earlier times.

    What cannot be removed stays, and does no harm.
    """
    for sub in {(folder / name).parent for name in files} - {folder}:
        for path in sub.iterdir():
            if path.is_file() and str(path.relative_to(folder)) not in files:
                with contextlib.suppress(OSError):
                    path.unlink()
