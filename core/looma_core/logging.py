"""JSON logs on standard output, one line an event, without personal data.

Every process calls `configure` once. Engines bind `request_id` and `trace_id` per request through structlog's
context variables, so that each line in a request carries them. Lines of other libraries (granian, SQLAlchemy)
go through the same processors.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from structlog.tracebacks import ExceptionDictTransformer

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping, Sequence

    from structlog.typing import EventDict, Processor, WrappedLogger

REDACTED = "[redacted]"
PERSONAL_KEYS = frozenset(
    {
        "address",
        "authorization",
        "body",
        "contact",
        "cookie",
        "description",
        "education",
        "email",
        "entities",
        "experience",
        "file_name",
        "first_name",
        "full_name",
        "headline",
        "last_name",
        "location",
        "name_of_person",
        "parsed",
        "password",
        "phone",
        "q",
        "skills",
        "summary",
        "text",
        "token",
    }
)
"""Keys whose values are never written, at any depth."""

# An apostrophe may be part of a name (o'neil@...), so one before an address goes with it.
_EMAIL = re.compile(r"[^\s@<>\"(]+@[^\s@<>\"')]+\.[^\s@<>\"').,;]+")
# A number that one could dial: 8 digits or more, perhaps grouped. Ids and hashes are longer or hold letters.
_PHONE = re.compile(
    r"(?<![\w.:-])(?:\+\d{1,3}[ -]?)?(?:\(?\d{2,4}\)?[ -]){1,4}\d{3,8}(?![\w:-])|(?<!\w)1[3-9]\d{9}(?!\w)"
)
# PostgreSQL puts the offending row into DETAIL lines.
_DETAIL = re.compile(r"(DETAIL|CONTEXT|PARAMETERS|\[parameters):.*", re.IGNORECASE | re.DOTALL)


def configure(*, service: str, level: str = "info", revision: str | None = None) -> None:
    """Send all logs as JSON lines to standard output.

    Args:
        service: name of the AIService or deployable, on each line.
        level: least level that is written: debug, info, warning, error.
        revision: revision of the AIService, on each line where given.
    """
    fixed = {"service": service} | ({"revision": revision} if revision else {})
    shared = _processors(fixed)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
                redact,
                structlog.processors.JSONRenderer(serializer=_to_json),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # These would tell each request a second time, with its query string.
    for noisy in ("httpx", "httpcore", "granian.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def get(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger called `name`; safe at import time, before `configure`."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def redact(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    """Structlog processor: blanks `PERSONAL_KEYS`, and addresses and numbers inside any string."""
    return {key: _clean(key, value) for key, value in event_dict.items()}


def _clean(key: str, value: object) -> object:
    if key.lower() in PERSONAL_KEYS and value is not None:
        return REDACTED
    if isinstance(value, str):
        return value if key == "timestamp" else _clean_text(value)
    if isinstance(value, dict):
        return {inner: _clean(str(inner), item) for inner, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_clean(key, item) for item in value]
    return value


def _clean_text(value: str) -> str:
    if "@" in value:
        value = _EMAIL.sub(REDACTED, value)
    if ":" in value:
        value = _DETAIL.sub(r"\1: " + REDACTED, value)
    return _PHONE.sub(REDACTED, value)


def _processors(fixed: Mapping[str, str]) -> Sequence[Processor]:
    def add_fixed(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
        for key, value in fixed.items():
            event_dict.setdefault(key, value)
        return event_dict

    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_fixed,
    ]


def _to_json(event_dict: MutableMapping[str, Any], **_: Any) -> str:
    return msgspec.json.encode(event_dict, enc_hook=repr).decode()
