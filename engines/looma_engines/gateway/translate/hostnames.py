"""Hostnames of listeners and routes: where they meet, and which is the more exact."""

from __future__ import annotations

from collections.abc import Iterable


def _below(name: str, wildcard: str) -> bool:
    """Whether `name`, itself perhaps a wildcard, lies below `*.example.org`; one or more labels fit."""
    return name.endswith(wildcard[1:]) and len(name) > len(wildcard) - 1


def intersection(listener: str, route: str) -> str | None:
    """The hostname for which both hold, lower case; empty is any, None is nowhere.

    | listener      | route         | both          |
    | ------------- | ------------- | ------------- |
    |               | a.example.org | a.example.org |
    | a.example.org |               | a.example.org |
    | a.example.org | a.example.org | a.example.org |
    | a.example.org | b.example.org | None          |
    | *.example.org | a.example.org | a.example.org |
    | *.example.org | b.a.example.org | b.a.example.org |
    | *.example.org | example.org   | None          |
    | a.example.org | *.example.org | a.example.org |
    | *.example.org | *.a.example.org | *.a.example.org |
    | *.a.example.org | *.example.org | *.a.example.org |
    | *.example.org | *.example.com | None          |
    """
    one, other = listener.lower(), route.lower()
    if not one or not other or one == other:
        return one or other
    if one.startswith("*.") and _below(other.removeprefix("*"), one):
        return other
    if other.startswith("*.") and _below(one.removeprefix("*"), other):
        return one
    return None


def narrower(known: Iterable[str], than: str) -> tuple[str, ...]:
    """Those of the known hostnames of listeners, lower case, that stand for a part of what `than` stands for."""
    return tuple(sorted(name for name in set(known) if name != than and intersection(name, than) == name))


def left_of(hostname: str, others: Iterable[str]) -> tuple[str, ...] | None:
    """What of `others` is to be left out of the hostname; None if one of them has all of it.

    | hostname        | others          | answer          |
    | --------------- | --------------- | --------------- |
    |                 | *.example.org   | *.example.org   |
    | *.example.org   | a.example.org   | a.example.org   |
    | a.example.org   | *.example.org   | None            |
    | a.example.org   | a.example.org   | None            |
    | *.a.example.org | *.example.org   | None            |
    | *.example.org   | *.example.com   |                 |
    """
    met = [(other, intersection(hostname, other)) for other in others]
    if any(both == hostname for _, both in met):
        return None
    return tuple(sorted(other for other, both in met if both is not None))


def exactness(hostname: str) -> tuple[int, int]:
    """Sorts hostnames by precedence: those without a wildcard first, then the longer ones."""
    return (0 if hostname and not hostname.startswith("*") else 1, -len(hostname))
