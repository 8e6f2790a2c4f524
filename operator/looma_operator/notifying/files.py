"""Settings and Secrets of notifications, as the chart mounts them.

FOLDER/settings.json               who is told of what; read once, at the start
FOLDER/RECEIVER/url                where; read before each try, so that a changed Secret needs no restart
FOLDER/RECEIVER/signing-secret     optional
FOLDER/RECEIVER/ca.crt             optional: the authorities that its certificate may be from
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ..plan.receivers import NONE, ROBOTS, NotificationSettings, Receiver, read_settings

SETTINGS = "settings.json"
URL, SIGNING_SECRET, AUTHORITIES = "url", "signing-secret", "ca.crt"


class UnusableError(Exception):
    """What a Secret holds, or lacks, is of no use; the message never has it."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Address:
    """Where a receiver is and how it is proven to be who it is: all of it secret."""

    url: str
    signing_secret: str = ""
    authorities: str = ""


def load_settings(folder: Path | None) -> NotificationSettings:
    """The settings in a folder, or those of nobody for none.

    Raises:
        ValueError: if they cannot be read or are wrong, with a message that says where and what to write.
    """
    if folder is None:
        return NONE
    file = folder / SETTINGS
    try:
        text = file.read_bytes()
    except OSError as error:
        raise ValueError(f"LOOMA_NOTIFICATIONS_DIR: {file} cannot be read: {error.strerror}") from error
    try:
        return read_settings(text)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error


def read_address(folder: Path, receiver: Receiver) -> Address:
    """The receiver's address as its Secrets have it now.

    Raises:
        UnusableError: if there is none, or one that no message can be sent to.
    """
    url = _read(folder / receiver.name / URL)
    if url is None:
        raise UnusableError("its address is not there: has the Secret that the settings name that key?")
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise UnusableError("its address cannot be read") from None
    if (
        parts.scheme not in ("http", "https")
        or not usable
        or parts.fragment
        or not url.isascii()
        or " " in url
    ):
        raise UnusableError("its address is none: the Secret must have one as https://HOST/PATH")
    if receiver.type in ROBOTS and parts.scheme != "https":
        raise UnusableError("its address is without TLS: that of a robot begins with https://")
    return Address(
        url=url,
        signing_secret=_read(folder / receiver.name / SIGNING_SECRET) or "",
        authorities=_read(folder / receiver.name / AUTHORITIES) or "",
    )


def _read(file: Path) -> str | None:
    """The text of a file without what surrounds it, None where there is none."""
    try:
        text = file.read_text().strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError):
        raise UnusableError(f"{file.name} of its Secret cannot be read as text") from None
    return text or None
