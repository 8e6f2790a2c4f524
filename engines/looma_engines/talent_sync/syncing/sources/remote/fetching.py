"""Brings a file here, whole and checked, or not at all.

No record of it is read before: a body that was cut short is never taken for the end of the file, and all that a pod
reads of the file is of one version. A fetch that is broken off goes on where it was, as long as the source says that
the file is the same.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from looma_engines.sync_worker.inputs import BadInputError

from .asking import PIECE_BYTES, Asker

_STRUCTURED_DIGEST = re.compile(r"sha-(256|512)=:([A-Za-z0-9+/=]+):")
_MD5_ETAG = re.compile(r'"([0-9a-f]{32})"')


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A file that is here: `version` is of its content alone, the same whoever fetches it."""

    path: Path
    size: int
    version: str


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """What an answer says of the file."""

    validator: str | None
    total: int | None
    digest: tuple[str, bytes] | None


class Fetch:
    """One file.

    Args:
        asker: asks for it.
        address: where it is, made anew for each question.
        into: where it is put.
        is_s3: whether its ETag may be a digest.
    """

    def __init__(self, asker: Asker, address: Callable[[], str], into: Path, *, is_s3: bool = False) -> None:
        self._asker = asker
        self._address = address
        self._into = into
        self._is_s3 = is_s3
        self._here = self._farthest = 0
        self._seen: _Seen | None = None

    def run(self) -> Fetched:
        """Fetch it.

        Raises:
            SourceAwayError: the source does not give it to the end.
            BadInputError: the source refuses, does not say where the file ends, or has more than there is room for.
        """
        part = self._into.with_name(f"{self._into.name}.part")
        part.unlink(missing_ok=True)
        address = self._address()
        while not self._asker.tried(address, lambda: self._go_on(part)):
            self._asker.asked.retries += 1
        part.replace(self._into)
        with self._into.open("rb") as file:
            version = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
        return Fetched(path=self._into, size=self._here, version=version)

    def _go_on(self, part: Path) -> bool:
        """Fetch what is missing; False where the answer was broken off and yet brought more than ever before."""
        asked: dict[str, str] = {}
        known = self._seen
        if known is not None and known.validator and 0 < self._here < (known.total or 0):
            asked = {"Range": f"bytes={self._here}-", "If-Range": known.validator}
        with self._asker.answer(self._address(), headers=asked) as answer:
            if answer.headers.get("Content-Type", "").lower().startswith("text/html"):
                # Of a proxy, or to log in: with no record in it all that is stored would be missing.
                raise self._asker.again("it answers a page for people")
            seen = _seen(answer, is_s3=self._is_s3)
            begins = _begins(answer)
            # A whole file where a part was asked for: it changed, or the source has no parts.
            if begins and (begins != self._here or not _is_same(seen, known)):
                self._here = 0
                raise self._asker.again("it answers another part than it was asked for")
            self._here, self._seen = begins, known if begins else seen
            self._make_room()
            try:
                with part.open("r+b" if begins else "wb") as file:
                    file.seek(begins)
                    file.truncate()
                    for piece in answer.iter_raw(PIECE_BYTES):
                        file.write(piece)
                        self._here += len(piece)
            except httpx.TransportError:
                if self._here <= self._farthest:
                    raise
                self._farthest = self._here
                self._asker.asked.requests["none"] += 1
                return False
        self._check(part)
        return True

    @property
    def _total(self) -> int | None:
        return self._seen.total if self._seen is not None else None

    def _make_room(self) -> None:
        room = shutil.disk_usage(self._into.parent).free
        if self._total is not None and self._total - self._here > room:
            raise BadInputError(
                f"the file has {self._total} bytes, and there is room for {room}: mount a larger volume at"
                f" {self._into.parent} by spec.podTemplate"
            )

    def _check(self, part: Path) -> None:
        """See that all of it is here, as the source says it is."""
        if self._total is not None and self._here != self._total:
            raise self._asker.again(f"{self._here} of {self._total} bytes came")
        digest = self._seen.digest if self._seen is not None else None
        if digest is None:
            return
        name, expected = digest
        with part.open("rb") as file:
            found = hashlib.file_digest(file, name).digest()
        if found != expected:
            self._here = 0
            raise self._asker.again(f"what came has another {name} than the source says")


def _seen(answer: httpx.Response, *, is_s3: bool) -> _Seen:
    """What an answer says of the whole file.

    Raises:
        BadInputError: it does not say where its body ends.
    """
    headers = answer.headers
    length = headers.get("Content-Length", "")
    if not length.isdigit() and headers.get("Transfer-Encoding", "").lower() != "chunked":
        raise BadInputError(
            "the source says neither how long its file is nor where it ends (Content-Length or chunks):"
            " nobody could tell a file that was cut short"
        )
    total = int(length) if length.isdigit() else None
    if answer.status_code == 206:
        after = headers.get("Content-Range", "").rpartition("/")[2]
        total = int(after) if after.isdigit() else None
    etag = headers.get("ETag", "")
    validator = etag if etag and not etag.startswith("W/") else headers.get("Last-Modified")
    return _Seen(validator=validator, total=total, digest=_digest(headers, is_s3=is_s3))


def _is_same(seen: _Seen, known: _Seen | None) -> bool:
    """Whether a part is of the file that was begun: not every server that has parts looks at `If-Range`."""
    return known is not None and (seen.total, seen.validator) == (known.total, known.validator)


def _begins(answer: httpx.Response) -> int:
    """At which byte of the file the body begins; -1 where a part does not say."""
    if answer.status_code != 206:
        return 0
    match = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return int(match[1]) if match is not None else -1


def _digest(headers: Mapping[str, str], *, is_s3: bool) -> tuple[str, bytes] | None:
    """The digest of the whole file that an answer has, by name.

    | header                                        | what it is                                     |
    | --------------------------------------------- | ---------------------------------------------- |
    | Repr-Digest (RFC 9530), sha-256 or sha-512    | of the file                                    |
    | ETag of 32 hexadecimal digits, of S3          | MD5, unless its keys are others (KMS, SSE-C)   |
    """
    if (found := _STRUCTURED_DIGEST.search(headers.get("Repr-Digest", ""))) is not None:
        try:
            return f"sha{found[1]}", base64.b64decode(found[2], validate=True)
        except binascii.Error:
            return None
    has_other_keys = headers.get("x-amz-server-side-encryption", "AES256") != "AES256" or (
        "x-amz-server-side-encryption-customer-algorithm" in headers
    )
    if is_s3 and not has_other_keys and (found := _MD5_ETAG.fullmatch(headers.get("ETag", ""))) is not None:
        return "md5", bytes.fromhex(found[1])
    return None
