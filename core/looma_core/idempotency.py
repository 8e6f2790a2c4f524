"""`Idempotency-Key`: a request that is sent twice is carried out once. Pure.

The header is draft-ietf-httpapi-idempotency-key-header's. `key_of` reads it, `identity` says which requests are the
same one sent again, `fingerprint` whether they ask for the same, and `verdict` what becomes of one.
`db.idempotency` keeps the answers, `http.idempotency` gives them.
"""

from __future__ import annotations

import enum
import hashlib
import re
from typing import TYPE_CHECKING

import msgspec

from looma_core.api.gateway import COST_HEADER
from looma_core.problems import BadRequest, FieldError, ProblemError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotent-Replayed"
"""`true` on an answer that was given before."""

MAX_KEY_LENGTH = 255
RETRY_AFTER_SECONDS = 1

KEY_PATTERN = r'^([!#-~][!-~]*|"([!#-\[\]-~]|\\["\\])+")$'
"""What the header is, for its document: visible ASCII characters, as they are or in quotation marks."""

_PLAIN = re.compile(r"[\x21\x23-\x7e][\x21-\x7e]{0,254}")
# RFC 9651's String: a quotation mark or a backslash inside it has a backslash before it.
_QUOTED = re.compile(r'"((?:[\x21\x23-\x5b\x5d-\x7e]|\\["\\])+)"')
_BOUNDARY = re.compile(
    r'multipart/[^;]+;(?:.*;)?\s*boundary=(?:"(?P<quoted>[^"]{1,70})"|(?P<plain>[^\s;"]{1,70}))',
    re.IGNORECASE,
)

# What belongs to the connection or to this very answer, and what a repetition does not cost.
_NOT_KEPT = frozenset({"connection", "content-length", "date", "set-cookie", COST_HEADER.lower()})


class KeyReused(ProblemError):
    """The key came before with a request that asked for something else."""

    name, status, title = "idempotency-key-reused", 422, "The Idempotency-Key belongs to another request"

    def __init__(self) -> None:
        super().__init__(
            f"A request with this {HEADER} came before and asked for something else.",
            errors=[FieldError(field=HEADER, message="send a new key with a new request")],
        )


class KeyUnderWay(ProblemError):
    """The request that first had the key is not answered yet."""

    name, status, title = (
        "idempotency-key-under-way",
        409,
        "The request with this Idempotency-Key is under way",
    )

    def __init__(self) -> None:
        super().__init__(
            f"The first request with this {HEADER} is not answered yet: send it again with the same key.",
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
        )


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """An answer as it is kept: status, headers in order, body."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Stored(msgspec.Struct, frozen=True):
    """What is known of a key: what was asked for, and the answer once there is one."""

    fingerprint: bytes
    answer: Answer | None = None


class Verdict(enum.Enum):
    """What becomes of a request with a key."""

    FIRST = "first"
    REPLAYED = "replayed"
    MISMATCH = "mismatch"


def key_of(values: Sequence[str]) -> str | None:
    r"""Return the key of the header's values, one for each line of it.

    | header     | answer     |
    | ---------- | ---------- |
    | none       | None       |
    | abc        | abc        |
    | "abc"      | abc        |
    | "a\"c"     | a"c        |
    | (empty)    | BadRequest |
    | two lines  | BadRequest |

    Raises:
        BadRequest: it is no text of 1 to 255 visible ASCII characters.
    """
    if not values:
        return None
    value = values[0].strip(" \t")
    if len(values) == 1:
        if _PLAIN.fullmatch(value):
            return value
        if quoted := _QUOTED.fullmatch(value):
            key = re.sub(r"\\(.)", r"\1", quoted[1])
            if len(key) <= MAX_KEY_LENGTH:
                return key
    message = f"send one, of 1 to {MAX_KEY_LENGTH} visible ASCII characters, as it is or in quotation marks"
    raise BadRequest(
        f"The header {HEADER} cannot be read: {message}.", errors=[FieldError(field=HEADER, message=message)]
    )


def identity(*, subject: str, method: str, route: str, key: str) -> bytes:
    """Digest (32 bytes) of what makes two requests of one tenant the same one sent again.

    Args:
        subject: who calls; two people may choose the same key.
        method: of the request.
        route: the path's template, so that a key taken for two records is found out.
        key: as `key_of` gives it. It is kept nowhere else, since a caller may have put anything into it.
    """
    return _digest(subject.encode(), method.encode(), route.encode(), key.encode())


def fingerprint(*, method: str, path: str, query: bytes, body: bytes, content_type: str = "") -> bytes:
    """Digest (32 bytes) of what a request asks for.

    A form's boundary is a new random text each time it is put together, so it is left out of the body.
    """
    if match := _BOUNDARY.match(content_type):
        boundary = (match["quoted"] or match["plain"]).encode("latin-1", "replace")
        body = body.replace(b"--" + boundary, b"--")
    return _digest(method.encode(), path.encode(), query, body)


def verdict(stored: Stored | None, asked: bytes) -> Verdict:
    """Decide what becomes of a request whose fingerprint is `asked`.

    | stored                       | answer   |
    | ---------------------------- | -------- |
    | nothing                      | FIRST    |
    | another fingerprint          | MISMATCH |
    | the same, not answered       | FIRST    |
    | the same, with its answer    | REPLAYED |

    One that is not answered, and that nobody works on, is of a process that ended between two of its steps.
    """
    if stored is None:
        return Verdict.FIRST
    if stored.fingerprint != asked:
        return Verdict.MISMATCH
    return Verdict.FIRST if stored.answer is None else Verdict.REPLAYED


def is_kept(status: int) -> bool:
    """Whether an answer is given again: 2xx and 3xx. A refusal changed nothing, so it is decided anew."""
    return 200 <= status < 400


def kept_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Headers that are given again."""
    return [(name, value) for name, value in headers if name.lower() not in _NOT_KEPT]


def _digest(*parts: bytes) -> bytes:
    """SHA-256 of parts, each after its length, so that no two lists of parts look alike."""
    made = hashlib.sha256()
    for part in parts:
        made.update(len(part).to_bytes(8, "big"))
        made.update(part)
    return made.digest()
