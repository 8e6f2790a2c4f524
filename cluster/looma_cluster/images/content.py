"""Content hashes: the tag of an image is a hash of all that goes into it.

The same inputs give the same tag on every machine, so "is it built already?" is a look at a file name, and a pod's
image reference changes exactly when what it runs has changed.
"""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

TAG_LENGTH = 12
"""Hexadecimal digits of a tag: 48 bits, enough that two of one project's builds never meet."""


def tree(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (relative path, content) of every file below `folder`, in a fixed order.

    A symbolic link yields its target as its content; a file's executable bit is part of its path, since it is part
    of the image.
    """
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            yield f"{path.relative_to(folder)}@", str(path.readlink()).encode()
        elif path.is_file():
            executable = "*" if path.stat().st_mode & 0o100 else ""
            yield f"{path.relative_to(folder)}{executable}", path.read_bytes()


def digest(parts: Iterable[tuple[str, bytes]]) -> str:
    """Hash named parts into `TAG_LENGTH` hexadecimal digits.

    Names and contents are hashed with their lengths, so no two lists of parts run into one another.
    """
    whole = hashlib.sha256()
    for name, content in parts:
        for piece in (name.encode(), content):
            whole.update(len(piece).to_bytes(8, "big"))
            whole.update(piece)
    return whole.hexdigest()[:TAG_LENGTH]
