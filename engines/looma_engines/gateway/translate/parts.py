"""One rule of an HTTPRoute: its matches and filters as the data plane has them.

Whatever reaches HAProxy's configuration from a route passes here, so what could not be written there safely, or would
be refused there and with it every other change, is refused here.
"""

from __future__ import annotations

import re
import warnings

import msgspec

from looma_engines.gateway.model import HeaderChange, Match, MatchKind, NamedMatch, PathRewrite, Redirect
from looma_engines.gateway.objects import (
    Filter,
    Header,
    HeaderModifier,
    PathModifier,
    RouteMatch,
    RouteRule,
    ValueMatch,
)

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_VISIBLE_PATH = re.compile(r"[!-~]*")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HOSTNAME = re.compile(r"(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
# What differs between Python's regular expressions and HAProxy's (PCRE2) begins with `(?` or a backslash and a letter.
_STRANGE = re.compile(r"\(\?(?![:=!i])|\(\?i(?!\))|\\[^dDwWsSbB\W_]|\[\[|\(\*")
_PORTS = {"http": 80, "https": 443}


class Unsupported(Exception):
    """The rule asks for what the gateway cannot do; its requests get 500. `reason` is a condition's."""

    def __init__(self, message: str, *, reason: str = "UnsupportedValue") -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Steps(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule does with a request beside choosing a backend."""

    request_headers: HeaderChange = HeaderChange()
    response_headers: HeaderChange = HeaderChange()
    redirect: Redirect | None = None
    rewrite_hostname: str = ""
    rewrite_path: PathRewrite | None = None


def plain(value: str, what: str) -> str:
    """The value, if it holds no control characters.

    Raises:
        Unsupported: if it does.
    """
    if _CONTROL.search(value):
        raise Unsupported(f"{what} holds control characters: write it without.")
    return value


def _regular(pattern: str, what: str) -> str:
    strange = _STRANGE.search(plain(pattern, what))
    if strange is not None:
        raise Unsupported(f"{what} uses {strange[0]!r}, which regular expressions of routes may not.")
    try:
        with warnings.catch_warnings():
            # What Python may read another way one day, PCRE2 may read another way already.
            warnings.simplefilter("error")
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        raise Unsupported(f"{what} is no regular expression: {error}.") from error
    return pattern


def _kind(said: str, what: str) -> MatchKind:
    try:
        return MatchKind(said)
    except ValueError as error:
        raise Unsupported(f"{what} is compared by {said!r}, which is not known here.") from error


def _named(given: list[ValueMatch] | None, what: str, *, fold: bool) -> tuple[NamedMatch, ...]:
    """Matches by name, of which the first counts; header names are the same in either case."""
    found: dict[str, NamedMatch] = {}
    for item in given or ():
        name = item.name.lower() if fold else item.name
        if not _TOKEN.fullmatch(name):
            raise Unsupported(f"{what} {item.name!r} is no name.")
        kind = _kind(item.type, f"{what} {item.name}")
        if kind is MatchKind.PREFIX:
            raise Unsupported(f"{what} {item.name} is compared by 'PathPrefix', which is for paths.")
        value = _regular(item.value, f"{what} {item.name}") if kind is MatchKind.REGEX else item.value
        found.setdefault(name, NamedMatch(name=name, value=plain(value, f"{what} {item.name}"), kind=kind))
    return tuple(found.values())


def match(given: RouteMatch) -> Match:
    """One match.

    Raises:
        Unsupported: if it compares what cannot be compared here.
    """
    kind, path = MatchKind.PREFIX, "/"
    if given.path is not None:
        kind, path = _kind(given.path.type, "The path"), plain(given.path.value, "The path")
    if kind is MatchKind.REGEX:
        _regular(path, "The path")
    elif not path.startswith("/"):
        raise Unsupported(f"The path {path!r} does not begin with '/'.")
    if kind is MatchKind.PREFIX:
        # By whole segments, so that a slash at the end says nothing.
        path = path.rstrip("/") or "/"
    if given.method and not _TOKEN.fullmatch(given.method):
        raise Unsupported(f"{given.method!r} is no method.")
    return Match(
        path=path,
        path_kind=kind,
        method=given.method,
        headers=_named(given.headers, "The header", fold=True),
        query=_named(given.query_params, "The query parameter", fold=False),
    )


def matches(rule: RouteRule) -> tuple[Match, ...]:
    """The rule's matches; a rule without any takes every request.

    Raises:
        Unsupported: if one of them compares what cannot be compared here.
    """
    return tuple(match(item) for item in rule.matches or ()) or (Match(),)


def _header(item: Header) -> tuple[str, str]:
    if not _TOKEN.fullmatch(item.name):
        raise Unsupported(f"{item.name!r} is no name of a header.")
    return item.name, plain(item.value, f"The header {item.name}")


def _change(given: HeaderModifier | None) -> HeaderChange:
    if given is None:
        return HeaderChange()
    for name in given.remove or ():
        if not _TOKEN.fullmatch(name):
            raise Unsupported(f"{name!r} is no name of a header.")
    return HeaderChange(
        set=tuple(_header(item) for item in given.set or ()),
        add=tuple(_header(item) for item in given.add or ()),
        remove=tuple(given.remove or ()),
    )


def _hostname(name: str) -> str:
    if name and not _HOSTNAME.fullmatch(name.lower()):
        raise Unsupported(f"{name!r} is no hostname.")
    return name.lower()


def _path(given: PathModifier | None, made: tuple[Match, ...]) -> PathRewrite | None:
    if given is None:
        return None
    by_prefix = given.type == "ReplacePrefixMatch"
    value = given.replace_prefix_match if by_prefix else given.replace_full_path
    if value is None or given.type not in ("ReplacePrefixMatch", "ReplaceFullPath"):
        raise Unsupported(f"The path is changed by {given.type!r} without a value for it.")
    if by_prefix and any(item.path_kind is not MatchKind.PREFIX for item in made):
        raise Unsupported("A prefix can be replaced only where the rule matches by PathPrefix.")
    if not _VISIBLE_PATH.fullmatch(value) or "?" in value or "#" in value:
        raise Unsupported(f"The path {value!r} holds characters that a path may not: write them as %XX.")
    return PathRewrite(value=value if value.startswith("/") else f"/{value}", prefix=by_prefix)


def _redirect(given: Filter, made: tuple[Match, ...]) -> Redirect:
    asked = given.request_redirect
    if asked is None:
        raise Unsupported("A filter of type RequestRedirect says not where to.")
    if asked.scheme not in ("", *_PORTS) or asked.status_code not in (301, 302, 303, 307, 308):
        raise Unsupported(f"A redirect to {asked.scheme!r} with {asked.status_code} is not known here.")
    return Redirect(
        status=asked.status_code,
        scheme=asked.scheme,
        hostname=_hostname(asked.hostname),
        # Another scheme has its own port; without one the caller's port stays as it was asked for.
        port=asked.port or _PORTS.get(asked.scheme),
        path=_path(asked.path, made),
    )


def steps(rule: RouteRule, made: tuple[Match, ...]) -> Steps:
    """What the rule's filters do; `made` are its matches.

    Raises:
        Unsupported: if it has a filter that the gateway does not know, or one twice, or two that exclude each other.
    """
    by_type: dict[str, Filter] = {}
    for item in rule.filters or ():
        if item.type in by_type:
            raise Unsupported(f"The filter {item.type} is there twice.", reason="IncompatibleFilters")
        by_type[item.type] = item
    known = {"RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect", "URLRewrite"}
    if not by_type.keys() <= known:
        names = ", ".join(sorted(by_type.keys() - known))
        raise Unsupported(f"The gateway has no filter {names}.")
    redirect, rewrite = by_type.get("RequestRedirect"), by_type.get("URLRewrite")
    if redirect is not None and (rewrite is not None or rule.backend_refs):
        raise Unsupported(
            "A redirect goes with neither URLRewrite nor backendRefs.", reason="IncompatibleFilters"
        )
    if any(reference.filters for reference in rule.backend_refs or ()):
        raise Unsupported("The gateway has no filters of single backendRefs: write them beside backendRefs.")
    asked = rewrite.url_rewrite if rewrite is not None else None
    request, response = by_type.get("RequestHeaderModifier"), by_type.get("ResponseHeaderModifier")
    return Steps(
        request_headers=_change(request.request_header_modifier if request else None),
        response_headers=_change(response.response_header_modifier if response else None),
        redirect=_redirect(redirect, made) if redirect else None,
        rewrite_hostname=_hostname(asked.hostname) if asked else "",
        rewrite_path=_path(asked.path, made) if asked else None,
    )
