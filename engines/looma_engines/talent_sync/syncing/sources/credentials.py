"""The keys of the source's Secret, as files of a folder that the operator mounts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from looma_engines.sync_worker.inputs import BadInputError


@dataclass(frozen=True)
class Secrets:
    """Reads them each time anew, so that a changed password is taken at the next connection.

    Args:
        folder: with a file for each key; it need not exist.
    """

    folder: Path

    def text(self, key: str) -> str | None:
        """The value of a key without the end of its line, or None where there is none.

        Raises:
            BadInputError: it cannot be read, or is no text.
        """
        try:
            return (self.folder / key).read_text(encoding="utf-8").rstrip("\r\n")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, UnicodeDecodeError):
            raise BadInputError(f"spec.source.credentials: {key} of the Secret cannot be read") from None

    def file(self, key: str) -> Path | None:
        """Where a key is, for what wants a file, as `ca.crt`; None where there is none."""
        path = self.folder / key
        return path if path.is_file() else None
