"""One artifact into one file: whole and verified under its name, or not there at all.

What has come so far is kept in `NAME.part` beside it, so that a connection that breaks, or a container that is started
again, goes on at the byte where it ended. The file gets its name only when its digest and its format are right.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from looma_core.api.models import PodModel, UnreadableError, check_file

from .registry import Blob, FetchError, InterruptedFetchError, Registry, parse_uri

TRIES = 8
"""Tries in a row that may bring no further byte; then the container ends, and the kubelet starts it again."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 10.0
CHUNK = 1024 * 1024
TIMEOUT = httpx.Timeout(30.0, connect=10.0)


def new_client() -> httpx.Client:
    """A client for registries; many answer a request for a blob with the address of a store."""
    return httpx.Client(timeout=TIMEOUT, follow_redirects=True)


def fetch(
    model: PodModel,
    *,
    client: httpx.Client,
    plain_http: bool,
    login: str = "",
    first_wait: float = FIRST_WAIT,
    report: Callable[[str], None] = lambda _: None,
) -> Path:
    """Bring the model's file to its path; the path.

    Raises:
        FetchError: if it could not be fetched, or is not what it should be; nothing is at the path then.
    """
    path = Path(model.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    registry = Registry(client, parse_uri(model.uri), plain_http=plain_http, login=login)
    tries = _tries(first_wait, report)
    try:
        blob = tries(registry.blob)
        if _is_whole(path, blob):
            return path
        # A part that was kept may be what is wrong: the second time it is fetched from its first byte.
        for last in (False, True):
            found = _fetch_blob(registry, blob, part, first_wait=first_wait, report=report)
            if found == blob.digest:
                break
            part.unlink()
            if last:
                raise FetchError("DigestMismatch", f"the file has {found}, not {blob.digest}")
    except InterruptedFetchError as error:
        raise FetchError("FetchFailed", f"given up after {TRIES} tries: {error}") from error
    try:
        check_file(part, model.format)
    except UnreadableError as error:
        part.unlink()
        raise FetchError("UnreadableFormat", f"the file is said to be {model.format}, but {error}") from None
    part.chmod(0o444)
    part.replace(path)
    return path


def _tries(first_wait: float, report: Callable[[str], None]) -> Retrying:
    def before_sleep(state: object) -> None:
        outcome = getattr(state, "outcome", None)
        report(f"again after: {outcome.exception() if outcome else ''}")

    return Retrying(
        stop=stop_after_attempt(TRIES),
        wait=wait_exponential_jitter(initial=first_wait, max=LONGEST_WAIT, jitter=first_wait),
        retry=retry_if_exception_type(InterruptedFetchError),
        before_sleep=before_sleep,
        reraise=True,
    )


def _is_whole(path: Path, blob: Blob) -> bool:
    """Whether an earlier start of the container fetched it: then it only has to be hashed."""
    if not path.is_file() or path.stat().st_size != blob.size:
        return False
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}" == blob.digest


def _fetch_blob(
    registry: Registry, blob: Blob, part: Path, *, first_wait: float, report: Callable[[str], None]
) -> str:
    """Fill `part` to the blob's size and return its digest; tries that bring nothing are counted, others are not."""
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            return _tries(first_wait, report)(_attempt, registry, blob, part, before)
        except _ProgressedError as error:
            report(str(error))


class _ProgressedError(RuntimeError):
    """It broke off again, but further on: the tries begin anew."""


def _attempt(registry: Registry, blob: Blob, part: Path, before: int) -> str:
    try:
        _append(registry, blob, part)
    except InterruptedFetchError as error:
        size = part.stat().st_size if part.exists() else 0
        if size > before:
            raise _ProgressedError(
                f"broke off after {size} of {blob.size} bytes, goes on there: {error}"
            ) from error
        raise
    with part.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _append(registry: Registry, blob: Blob, part: Path) -> None:
    """Read from where `part` ends to the end of the blob."""
    have = part.stat().st_size if part.exists() else 0
    if have > blob.size:
        part.unlink()
        have = 0
    if have == blob.size and part.exists():
        return
    with registry.read(blob, have) as (begins, chunks), part.open("ab") as file:
        if begins != have:
            # The registry knows no ranges, or gave another one.
            file.truncate(0)
            have = 0
            if begins:
                raise InterruptedFetchError("the registry gave another part than was asked for")
        for chunk in chunks:
            have += len(chunk)
            if have > blob.size:
                raise FetchError(
                    "DigestMismatch", f"the registry sends more than the {blob.size} bytes of its file"
                )
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    if have < blob.size:
        raise InterruptedFetchError(f"ended after {have} of {blob.size} bytes")
