"""Hostnames of listeners and routes: where they meet, and which is the more exact."""

from __future__ import annotations


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


def exactness(hostname: str) -> tuple[int, int]:
    """Sorts hostnames by precedence: those without a wildcard first, then the longer ones."""
    return (0 if hostname and not hostname.startswith("*") else 1, -len(hostname))
