"""The check of tokens at the gateway: RS256 only, by the issuer's keys, and whose token it is for the engine. Pure.

The same answers as `looma_core.auth` gives, which the engines still ask for themselves: the gateway keeps strangers
away from them, and is not the only lock. The first reason against a token stays in `txn.why`, which is empty while
there is none and `-` where no token is asked for. The algorithm is fixed in the configuration, so a token cannot choose
one; the signature is checked before any claim is believed.

What a token is does not change, so it is not computed again for a while once it held: the signature, the issuer, the
audience, the form of each claim, and that its `nbf` is over. It is remembered twice:

- The digest of the whole token, its three parts, stands in a table of good ones, with its `exp`. The table is no peers'
  table, so it begins empty with each worker: where a key goes, a reload comes, and with it no verdict stays. (Envoy's
  JWT filter keeps such a cache, `jwt_cache_config`, for the same reason.)
- A connection knows the last good header that came on it, byte for byte, and whose it is, so that a client that sends
  the same one again and again is neither digested nor read anew.

`exp` and the rule's roles are asked for each request.

| txn.reading | the token                                                        |
| ----------- | ---------------------------------------------------------------- |
| 0           | is not asked for                                                 |
| 1           | has to be read; `txn.new_token` tells whether it is in the table |
| 2           | is the last good one of this connection                          |
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping

from looma_core.auth import ALGORITHM, LEEWAY_SECONDS, MAX_TOKEN_LENGTH
from looma_core.claims import ClaimNames
from looma_engines.gateway.haproxy import answers
from looma_engines.gateway.haproxy.text import Lines, key, literal, mark, quoted, sayable, section
from looma_engines.gateway.model import DataPlane, Rule, TokenKey

_UNASKED = "-"
_HOLDS = "{ var(txn.why) -m len 0 }"
_SCHEME = "bearer "
_FORM = "^bearer [A-Za-z0-9_-]+[.][A-Za-z0-9_-]+[.][A-Za-z0-9_-]+$"
_HEADER_LENGTH = MAX_TOKEN_LENGTH + len(_SCHEME)
_OTHER = "Only `Authorization: Bearer ...` with a signed token is understood."

# A number in quotes is a text to JSON, but would be compared like a number; a text in brackets is no list.
_TEXT_FOR_NUMBER = r'"(?:exp|nbf|iat|{roles})"\s*:\s*"'
_WHOLE_EXP = r'"exp"\s*:\s*[0-9]{1,11}\s*[,}]'
_NAME = r"^[^\x00-\x1f\x7f]{1,255}$"
_ROLE = re.compile(r"[A-Za-z0-9_.:-]+")
_EXTENSIONS = '"crit"'
_NEW = f"{{ var(txn.new_token) -m bool }} {_HOLDS}"
_READ = f"{{ var(txn.reading) -m int 1 }} {_HOLDS}"
_SAME = "{ var(txn.reading) -m int 2 }"
_GOOD = "good_tokens"
_REMEMBERED = 20_000
"""Tokens that are known to be good, about 2 MB; the oldest give way."""
_REMEMBERED_FOR = "10m"
_MOST_ON_CONNECTION = 2048
"""Characters of a header that a connection remembers: 20 MB where ten thousand do."""
_TELLABLE = f"{{ var(txn.exp) -m int 1:{2**32 - 1} }}"
"""An `exp` that fits into the table; a token that holds beyond the year 2106 is computed each time."""
_ROLES = r'^\[\s*(?:"[A-Za-z0-9_.:-]+"\s*(?:,\s*"[A-Za-z0-9_.:-]+"\s*)*)?\]$'


def key_file(token_key: TokenKey) -> str:
    """Path of a key's file. What an issuer names a key need not be a name of a file."""
    return f"keys/{hashlib.sha256(token_key.id.encode()).hexdigest()[:32]}.pem"


def key_files(plane: DataPlane) -> Mapping[str, str]:
    """The keys' files, by path."""
    return {key_file(known): known.pem for known in _usable(plane)}


def table_lines(rules: Iterable[Rule]) -> Lines:
    """The table of tokens that are known to be good, where a rule asks for tokens."""
    if not any(rule.policy.auth.asks for rule in rules):
        return []
    shape = f"type binary len 32 size {_REMEMBERED} expire {_REMEMBERED_FOR} store gpt0"
    return section(f"backend {_GOOD}", [f"stick-table {shape}"])


def first_lines(rules: Iterable[Rule]) -> Lines:
    """Lines before all others of a request, where a rule asks for tokens.

    HAProxy keeps a request's variables in a list, in the order in which they were set first, and looks for each from
    the beginning; one that was never set costs the whole list. These are asked for in each line of the check.
    """
    if not any(rule.policy.auth.asks for rule in rules):
        return []
    return [
        "http-request set-var(txn.reading) int(0)",
        "http-request set-var(txn.new_token) bool(false)",
        f"http-request set-var(txn.why) str({_UNASKED})",
    ]


def check_lines(
    plane: DataPlane, rules: Iterable[Rule], *, folder: str, names: ClaimNames | None = None
) -> Lines:
    """Lines that refuse requests without a good token to rules that ask for one, and name its holder to the engine."""
    asking = [rule for rule in rules if rule.policy.auth.asks]
    if not asking:
        return []
    lines = mark("txn.why", "str()", "txn.rule", [key(rule.name) for rule in asking])
    keys = _usable(plane)
    if not keys:
        return [*lines, answers.refuse(answers.NO_KEYS, _HOLDS)]
    against = f"!{_HOLDS} !{{ var(txn.why) -m str -- {_UNASKED} }}"
    return [
        *lines,
        *_known(),
        *_bearer(),
        *_form(),
        *_signature(keys, folder),
        *_claims(plane, names or ClaimNames()),
        *_moment(),
        *_remember(),
        f"http-request set-var(txn.auth_error) str(invalid_token) if {against} !{{ var(txn.auth_error) -m found }}",
        answers.refuse(answers.UNAUTHENTICATED, against),
        *_roles(asking),
        # A caller's own are gone by now (`requests.state_anew`).
        f"http-request add-header X-Looma-Subject %[var(txn.subject)] if {_HOLDS}",
        f"http-request add-header X-Looma-Tenant %[var(txn.tenant)] if {_HOLDS}",
        f"http-request add-header X-Looma-Roles %[var(txn.role_names)] if {_HOLDS}",
    ]


_OF_HOLDER = ("exp", "subject", "tenant", "role_names")
"""What a connection remembers with a token."""


def _known() -> Lines:
    """Whether the connection knows the header, and whose it is then."""
    other = f"{_HOLDS} !{{ req.fhdr(authorization),strcmp(sess.authorization) eq 0 }}"
    several = f"{_HOLDS} {{ req.fhdr_cnt(authorization) gt 1 }}"
    return [
        f"http-request set-var(txn.reading) int(2) if {_HOLDS}",
        f"http-request set-var(txn.reading) int(1) if {other} || {several}",
        *(f"http-request set-var(txn.{name}) var(sess.{name}) if {_SAME}" for name in _OF_HOLDER),
    ]


def _remember() -> Lines:
    """A token that holds goes into the table, and takes the place of the connection's last one.

    The header goes first and comes last, so that it never stands beside what is another's.
    """
    short = f"{{ req.fhdr(authorization),length le {_MOST_ON_CONNECTION} }}"
    return [
        f"http-request track-sc5 var(txn.digest) table {_GOOD} if {_NEW} {_TELLABLE}",
        f"http-request sc-set-gpt0(5) var(txn.exp) if {_NEW} {_TELLABLE}",
        f"http-request unset-var(sess.authorization) if {_READ}",
        *(f"http-request set-var(sess.{name}) var(txn.{name}) if {_READ}" for name in _OF_HOLDER),
        f"http-request set-var(sess.authorization) req.fhdr(authorization) if {_READ} {short}",
    ]


def _usable(plane: DataPlane) -> list[TokenKey]:
    named = (plane.tokens.issuer, plane.tokens.audience)
    if not all(named) or not all(sayable(name) for name in named):
        return []
    return [known for known in plane.tokens.keys if known.id and sayable(known.id)]


def _bearer() -> Lines:
    """What the header has to be for a token to be found in it; the token, and whether it is a new one."""
    missing = f"{_READ} !{{ req.fhdr(authorization) -m found }}"
    other = f"{_READ} !{{ req.fhdr(authorization) -m beg -i -- {quoted(_SCHEME)} }}"
    return [
        f"http-request set-var(txn.auth_error) str(missing_token) if {missing}",
        answers.explain("txn.why", "Send a token as `Authorization: Bearer ...`.", missing),
        answers.explain(
            "txn.why", "Send one header Authorization.", f"{_READ} {{ req.fhdr_cnt(authorization) gt 1 }}"
        ),
        f"http-request set-var(txn.auth_error) str(invalid_request) if {other}",
        answers.explain("txn.why", _OTHER, other),
        f"http-request set-var(txn.token) req.fhdr(authorization),bytes({len(_SCHEME)}) if {_READ}",
        f"http-request set-var(txn.digest) var(txn.token),sha2(256) if {_READ}",
        f"http-request set-var(txn.exp) var(txn.digest),table_gpt0({_GOOD}) if {_READ}",
        f"http-request set-var(txn.new_token) bool(true) if {_READ} {{ var(txn.exp) -m int 0 }}",
        f"http-request unset-var(txn.exp) if {_NEW}",
    ]


def _form() -> Lines:
    malformed = f"{_NEW} !{{ req.fhdr(authorization) -m reg -i -- {quoted(_FORM)} }}"
    return [
        answers.explain(
            "txn.why",
            "The token is too long.",
            f"{_NEW} {{ req.fhdr(authorization),length gt {_HEADER_LENGTH} }}",
        ),
        f"http-request set-var(txn.auth_error) str(invalid_request) if {malformed}",
        answers.explain("txn.why", _OTHER, malformed),
    ]


def _signature(keys: Iterable[TokenKey], folder: str) -> Lines:
    lines = [
        answers.explain(
            "txn.why",
            f"The token must be signed with {ALGORITHM}.",
            f"{_NEW} !{{ var(txn.token),jwt_header_query('$.alg') -m str {ALGORITHM} }}",
        ),
        # Extensions that must be understood (RFC 7515, 4.1.11) are not.
        answers.explain(
            "txn.why",
            "The token's header has extensions that are not understood.",
            f"{_NEW} {{ var(txn.token),word(1,.),ub64dec -m sub -- {quoted(_EXTENSIONS)} }}",
        ),
        f"http-request set-var(txn.kid) var(txn.token),jwt_header_query('$.kid') if {_NEW}",
    ]
    for known in keys:
        path = f"{folder}/{key_file(known)}"
        lines.append(
            f'http-request set-var(txn.signed) var(txn.token),jwt_verify({ALGORITHM},"{path}")'
            f" if {_NEW} {{ var(txn.kid) -m str -- {quoted(known.id)} }}"
        )
    return [
        *lines,
        answers.explain(
            "txn.why",
            "The token is signed with a key that the issuer does not have.",
            f"{_NEW} !{{ var(txn.signed) -m found }}",
        ),
        answers.explain(
            "txn.why", "The token's signature does not hold.", f"{_NEW} !{{ var(txn.signed) -m int 1 }}"
        ),
    ]


def _claims(plane: DataPlane, names: ClaimNames) -> Lines:
    def claim(path: str, kind: str = "") -> str:
        return f"var(txn.claims),json_query('$.{path}'{kind})"

    def against(text: str, condition: str) -> str:
        return answers.explain("txn.why", text, f"{_NEW} {condition}")

    audience = plane.tokens.audience
    listed = rf"[\[,]\s*{re.escape(json.dumps(audience))}\s*[,\]]"
    texts = _TEXT_FOR_NUMBER.format(roles=names.roles.split(".")[-1])
    return [
        f"http-request set-var(txn.claims) var(txn.token),word(2,.),ub64dec if {_READ}",
        f"http-request set-var(txn.exp) {claim('exp', ',int')} if {_NEW}",
        f"http-request set-var(txn.nbf) {claim('nbf', ',int')} if {_NEW}",
        f"http-request set-var(txn.subject) {claim('sub')} if {_READ}",
        f"http-request set-var(txn.tenant) {claim(names.tenant)} if {_READ}",
        f"http-request set-var(txn.roles) {claim(names.roles)} if {_READ}",
        f"""http-request set-var(txn.role_names) 'var(txn.roles),regsub("[^A-Za-z0-9_.:,-]+",,g)' if {_READ}""",
        against(
            "The token's claims have a text where a number or a list belongs.",
            f"{{ var(txn.claims) -m reg -- {quoted(texts)} }}",
        ),
        against(
            "The token is of another issuer.",
            f"!{{ {claim('iss')} -m str -- {quoted(plane.tokens.issuer)} }}",
        ),
        f"http-request set-var(txn.aud) {claim('aud')} if {_NEW}",
        f"http-request set-var(txn.for_us) bool(true) if {_NEW} {{ var(txn.aud) -m str -- {quoted(audience)} }}",
        (
            f"http-request set-var(txn.for_us) bool(true) if {_NEW} {{ var(txn.aud) -m reg -- {quoted(listed)} }}"
            f" {{ {claim('aud[0]')} -m found }}"
        ),
        against("The token is for another audience.", "!{ var(txn.for_us) -m bool }"),
        against("The token has no claim `exp`.", "!{ var(txn.exp) -m found }"),
        against(
            "The token's claim `exp` is no time.", f"!{{ var(txn.claims) -m reg -- {quoted(_WHOLE_EXP)} }}"
        ),
        against(
            "The token's claim `sub` is not a name.", f"!{{ var(txn.subject) -m reg -- {quoted(_NAME)} }}"
        ),
        against(
            f"The token's claim `{names.tenant}` is not a name.",
            f"!{{ var(txn.tenant) -m reg -- {quoted(_NAME)} }}",
        ),
        against(
            f"The token's claim `{names.roles}` is not a list of names.",
            f"!{{ var(txn.roles) -m reg -- {quoted(_ROLES)} }}",
        ),
    ]


def _moment() -> Lines:
    apart = f"gt {LEEWAY_SECONDS}"
    return [
        answers.explain("txn.why", "The token has expired.", f"{_HOLDS} {{ date,sub(txn.exp) {apart} }}"),
        answers.explain(
            "txn.why",
            "The token does not hold yet.",
            f"{_NEW} {{ var(txn.nbf) -m found }} {{ date,neg,add(txn.nbf) {apart} }}",
        ),
    ]


def _roles(rules: Iterable[Rule]) -> Lines:
    by_roles: dict[tuple[str, ...], list[str]] = {}
    for rule in rules:
        if rule.policy.auth.roles:
            by_roles.setdefault(tuple(sorted(set(rule.policy.auth.roles))), []).append(key(rule.name))
    lines: Lines = []
    for number, (roles, names) in enumerate(sorted(by_roles.items())):
        lines += mark("txn.roles_asked", f"int({number})", "txn.rule", names)
        # A role's name that a token cannot carry is nobody's, and an empty choice fits nothing.
        allowed = "|".join(re.escape(role) for role in roles if _ROLE.fullmatch(role)) or "(?!)"
        one_of_them = f"(?:^|,)(?:{allowed})(?:,|$)"
        forbidden = answers.Answer(
            name="forbidden",
            status=403,
            title="The token's roles do not allow this",
            detail=f"One of these roles is needed: {literal(', '.join(roles))}.",
        )
        lines.append(
            answers.refuse(
                forbidden,
                f"{{ var(txn.roles_asked) -m int {number} }} "
                f"!{{ var(txn.role_names) -m reg -- {quoted(one_of_them)} }}",
            )
        )
    return lines
