"""How values get into a configuration of HAProxy: quoting, names and conditions. Pure.

Everything that comes out of a Kubernetes object passes here; a value that cannot be said safely is refused by
`sayable`, and `rules` then lets the match never fit, or the rule answer 500, instead of spoiling the configuration.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence

from looma_engines.gateway.model import Endpoint

Lines = list[str]

_PLAIN = re.compile(r"[A-Za-z0-9_.:-]+")
_ARGUMENT = re.compile(r"[A-Za-z0-9_.:~@!*\[\]-]{1,256}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
MOST_WORDS = 40
"""Values in one condition: a line of HAProxy has at most 64 words."""


def quoted(text: str) -> str:
    """One word of the configuration, whatever is in it (but control characters, which `sayable` refuses)."""
    return "'" + text.replace("'", "'\\''") + "'"


def literal(text: str) -> str:
    """Text inside a log format: a percent sign stands for itself."""
    return text.replace("%", "%%")


def sayable(text: str) -> bool:
    """Whether a value can stand in a configuration, and in a header: no control characters."""
    return _CONTROL.search(text) is None


def argument_fits(name: str) -> bool:
    """Whether a header's or query parameter's name can be an argument of a sample fetch as it is."""
    return _ARGUMENT.fullmatch(name) is not None


def key(name: str) -> str:
    """A name as HAProxy takes it for variables, tables and files: the same for the same, never the same for two.

    | name                | key                  |
    | ------------------- | -------------------- |
    | looma/resume/0      | looma:resume:0       |
    | resume              | resume               |
    | a b                 | a-b.2f4d0a1b         |
    """
    known = name.replace("/", ":")
    if _PLAIN.fullmatch(known) and not (":" in name and "/" in name):
        return known
    cleaned = re.sub(r"[^A-Za-z0-9_.:-]", "-", known)[:64]
    return f"{cleaned}.{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def server_name(endpoint: Endpoint) -> str:
    """Name of an endpoint's server: `e-10-0-0-7-8000`."""
    return f"e-{re.sub(r'[.:]', '-', endpoint.address)}-{endpoint.port}"


def socket_address(address: str, port: int) -> str:
    """Address and port in one word; IPv6 stands in brackets."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def is_one_of(variable: str, values: Iterable[str]) -> Iterator[str]:
    """Conditions of which one holds where a variable is one of `values`; none for no values."""
    words = sorted(set(values))
    for start in range(0, len(words), MOST_WORDS):
        chunk = " ".join(quoted(word) for word in words[start : start + MOST_WORDS])
        yield f"{{ var({variable}) -m str -- {chunk} }}"


def mark(variable: str, value: str, of: str, values: Iterable[str], *, stage: str = "http-request") -> Lines:
    """Lines that set `variable` to the expression `value` where the variable `of` is one of `values`."""
    return [f"{stage} set-var({variable}) {value} if {condition}" for condition in is_one_of(of, values)]


def section(head: str, lines: Sequence[str]) -> Lines:
    """A section: its head, its lines set in, and an empty line."""
    return [head, *(f"    {line}" for line in lines), ""]
