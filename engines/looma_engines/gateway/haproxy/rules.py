"""Which rule a request fits, and what a rule does besides leading somewhere. Pure.

`match_lines` leave the rule's key in `txn.rule`; the first that fits stays. `sane` takes out of a rule what could not
be said to HAProxy: a match that no request could fit never fits, and a change that cannot be made answers 500.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

import msgspec

from looma_core.shadowing import MOST_IGNORED, is_place, is_target
from looma_engines.gateway.haproxy.text import (
    MOST_WORDS,
    Lines,
    argument_fits,
    is_one_of,
    key,
    literal,
    quoted,
    sayable,
)
from looma_engines.gateway.model import (
    HeaderChange,
    Match,
    MatchKind,
    NamedMatch,
    PathRewrite,
    Redirect,
    Rule,
    Shadow,
)

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_METHOD = re.compile(r"[A-Z]{1,32}")


def sane(rule: Rule, backends: Collection[str]) -> Rule:
    """The rule without what HAProxy could not be told; shares of backends that are not there lead nowhere."""
    matches = tuple(match for match in rule.matches if _match_fits(match))
    hostnames, others = _sayable_names(rule.hostnames), _sayable_names(rule.other_hostnames)
    if (rule.hostnames and not hostnames) or len(others) < len(rule.other_hostnames):
        matches = ()
    targets = tuple(
        target if target.backend in backends else msgspec.structs.replace(target, backend="")
        for target in rule.targets
    )
    fallback = rule.policy.fallback if rule.policy.fallback in backends else ""
    changed = msgspec.structs.replace(
        rule,
        matches=matches,
        hostnames=hostnames,
        other_hostnames=others,
        targets=targets,
        policy=msgspec.structs.replace(rule.policy, fallback=fallback, shadow=_sayable_shadow(rule)),
    )
    if all(_change_fits(change) for change in (rule.request_headers, rule.response_headers)) and sayable(
        _texts(rule)
    ):
        return changed
    return msgspec.structs.replace(
        changed,
        targets=(),
        redirect=None,
        request_headers=HeaderChange(),
        response_headers=HeaderChange(),
        rewrite_hostname="",
        rewrite_path=None,
    )


def _sayable_shadow(rule: Rule) -> Shadow | None:
    """Whom copies go to, with the methods that are methods; nobody if none is left."""
    shadow = rule.policy.shadow
    if shadow is None or not is_target(shadow.target):
        return None
    methods = tuple(method for method in shadow.methods if _METHOD.fullmatch(method))[:MOST_WORDS]
    ignored = tuple(place for place in shadow.ignored if is_place(place))[:MOST_IGNORED]
    return msgspec.structs.replace(shadow, methods=methods, ignored=ignored) if methods else None


def match_lines(rule: Rule) -> Lines:
    """Lines that find whether a request fits this rule; `sane` was asked before."""
    name = key(rule.name)
    lines: Lines = []
    host = ""
    for label, names, negation in (("host", rule.hostnames, ""), ("other", rule.other_hostnames, "!")):
        if names:
            host += f" {negation}{name}:{label}"
            lines += _host_lines(f"{name}:{label}", names)
    for index, match in enumerate(rule.matches):
        label = f"{name}:m{index}"
        named = list(_named(label, match))
        lines += [line for _, line in named]
        conditions = "".join(f" {acl}" for acl, _ in named)
        parts = f"{_ports(match)}{host}{_path(match)}{_method(match)}{conditions}"
        fits = f"!{{ var(txn.rule) -m found }}{parts}"
        if _uses_prefix(rule) and match.path_kind is MatchKind.PREFIX:
            lines.append(
                f"http-request set-var-fmt(txn.prefix) {quoted(literal(_prefix(match)) or '/')} if {fits}"
            )
        lines.append(f"http-request set-var(txn.rule) str({name}) if {fits}")
    return lines


def _host_lines(label: str, names: Iterable[str]) -> Lines:
    """The named condition that a request is for one of the hostnames."""
    exact = [known for known in names if not known.startswith("*.")]
    ends = [known.removeprefix("*") for known in names if known.startswith("*.")]
    return [
        f"acl {label} var(txn.host) -m {kind} -- {' '.join(quoted(value) for value in values)}"
        for kind, values in (("str", exact), ("end", ends))
        if values
    ]


def _sayable_names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name.lower() for name in names if sayable(name) and " " not in name)


def redirect_line(rule: Rule) -> Lines:
    """The rule's redirect, if it has one.

    | the redirect names | the address is                                              |
    | ------------------ | ----------------------------------------------------------- |
    | nothing of these   | the scheme, host and port that were asked for               |
    | scheme             | that, and the port that the scheme stands for               |
    | hostname           | that, without a port (80 and 443 are the listeners' own)    |
    | port               | that, unless the scheme stands for it                       |
    """
    if rule.redirect is None:
        return []
    this = next(is_one_of("txn.rule", [key(rule.name)]))
    return [*_new_path(rule, rule.redirect.path, this), _location(rule.redirect, this)]


def request_lines(rule: Rule, condition: str) -> Lines:
    """What the rule changes in a request on its way to an engine; `condition` is empty or `if ...`."""
    lines = [f"http-request {line}{condition}" for line in _header_lines(rule.request_headers)]
    if rule.rewrite_hostname:
        name = quoted(literal(rule.rewrite_hostname))
        lines.append(f"http-request set-header Host {name}{condition}")
    if rule.rewrite_path is not None:
        this = next(is_one_of("txn.rule", [key(rule.name)]))
        lines += _new_path(rule, rule.rewrite_path, this)
        lines.append(f"http-request set-path %[var(txn.new_path)] if {this}")
    return lines


def response_lines(rule: Rule, condition: str) -> Lines:
    """What the rule changes in an engine's answer."""
    return [f"http-response {line}{condition}" for line in _header_lines(rule.response_headers)]


def _location(redirect: Redirect, this: str) -> str:
    scheme = literal(redirect.scheme) if redirect.scheme else "%[ssl_fc,iif(https,http)]"
    usual = {"http": 80, "https": 443}.get(redirect.scheme)
    if redirect.hostname:
        host = literal(redirect.hostname)
    elif redirect.scheme or redirect.port is not None:
        host = "%[req.fhdr(host),host_only]"
    else:
        host = "%[req.fhdr(host)]"
    port = f":{redirect.port}" if redirect.port is not None and redirect.port != usual else ""
    path = "%[var(txn.new_path)]" if redirect.path is not None else "%[path]"
    query = "%[query,regsub(^,?)]"
    where = quoted(f"{scheme}://{host}{port}{path}{query}")
    return f"http-request redirect location {where} code {redirect.status} if {this}"


def _new_path(rule: Rule, rewrite: PathRewrite | None, this: str) -> Lines:
    """Lines that put the path in its new form into `txn.new_path`.

    | path     | prefix | value | new path |
    | -------- | ------ | ----- | -------- |
    | /foo/bar | /foo   | /xyz  | /xyz/bar |
    | /foo/bar | /foo/  | /xyz/ | /xyz/bar |
    | /foo/bar | /foo   | /     | /bar     |
    | /foo     | /foo   | /xyz  | /xyz     |
    | /foo/    | /foo   | /xyz  | /xyz/    |
    | /foo     | /foo   | /     | /        |
    """
    if rewrite is None:
        return []
    if not rewrite.prefix:
        whole = quoted(literal(rewrite.value or "/"))
        return [f"http-request set-var-fmt(txn.new_path) {whole} if {this}"]
    start = literal(rewrite.value.rstrip("/"))
    lines = []
    for prefix in sorted({_prefix(m) for m in rule.matches if m.path_kind is MatchKind.PREFIX}):
        rest = f"%[path,bytes({len(prefix.encode())})]" if prefix else "%[path]"
        matched = f"{{ var(txn.prefix) -m str -- {quoted(prefix or '/')} }}"
        lines.append(f"http-request set-var-fmt(txn.new_path) {quoted(start + rest)} if {this} {matched}")
    lines.append(f"http-request set-var(txn.new_path) str(/) if {this} !{{ var(txn.new_path) -m beg / }}")
    return lines


def _header_lines(change: HeaderChange) -> Iterator[str]:
    for name, value in change.set:
        yield f"set-header {quoted(name)} {quoted(literal(value))}"
    for name, value in change.add:
        yield f"add-header {quoted(name)} {quoted(literal(value))}"
    for name in change.remove:
        yield f"del-header {quoted(name)}"


def _prefix(match: Match) -> str:
    return match.path.rstrip("/")


def _uses_prefix(rule: Rule) -> bool:
    rewrites = (rule.rewrite_path, rule.redirect.path if rule.redirect else None)
    return any(rewrite is not None and rewrite.prefix for rewrite in rewrites)


def _path(match: Match) -> str:
    if match.path_kind is MatchKind.EXACT:
        return f" {{ path -m str -- {quoted(match.path)} }}"
    if match.path_kind is MatchKind.REGEX:
        return f" {{ path -m reg -- {quoted(f'^(?:{match.path})$')} }}"
    if prefix := _prefix(match):
        return f" {{ var(txn.path) -m beg -- {quoted(prefix + '/')} }}"
    return ""


def _ports(match: Match) -> str:
    return f" {{ dst_port {' '.join(str(port) for port in match.ports)} }}" if match.ports else ""


def _method(match: Match) -> str:
    return f" {{ method {match.method} }}" if match.method else ""


def _named(label: str, match: Match) -> Iterator[tuple[str, str]]:
    """Named conditions of headers and query parameters: a line has too few words for sixteen of each."""
    for index, header in enumerate(match.headers):
        yield _acl(f"{label}:h{index}", f"req.fhdr({header.name.lower()})", header)
    for index, parameter in enumerate(match.query):
        yield _acl(f"{label}:q{index}", f"url_param({parameter.name}),url_dec(1)", parameter)


def _acl(name: str, fetch: str, named: NamedMatch) -> tuple[str, str]:
    regex = named.kind is MatchKind.REGEX
    value = f"^(?:{named.value})$" if regex else named.value
    return name, f"acl {name} {fetch} -m {'reg' if regex else 'str'} -- {quoted(value)}"


def _match_fits(match: Match) -> bool:
    named = (*match.headers, *match.query)
    return (
        sayable(match.path)
        and (not match.method or _METHOD.fullmatch(match.method) is not None)
        and all(argument_fits(part.name) and sayable(part.value) for part in named)
        and all(_compiles(part.value) for part in named if part.kind is MatchKind.REGEX)
        and (match.path_kind is not MatchKind.REGEX or _compiles(match.path))
    )


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        return False
    return True


def _change_fits(change: HeaderChange) -> bool:
    pairs = (*change.set, *change.add)
    names = [name for name, _ in pairs] + list(change.remove)
    return all(_TOKEN.fullmatch(name) for name in names) and all(sayable(value) for _, value in pairs)


def _texts(rule: Rule) -> str:
    return "".join(_all_texts(rule))


def _all_texts(rule: Rule) -> Iterable[str]:
    yield rule.rewrite_hostname
    for rewrite in (rule.rewrite_path, rule.redirect.path if rule.redirect else None):
        if rewrite is not None:
            yield rewrite.value
    if rule.redirect is not None:
        yield from (rule.redirect.scheme, rule.redirect.hostname)
