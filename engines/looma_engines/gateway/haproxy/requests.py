"""What every request passes before a rule is looked for: ids, refusals, and whose headers are believed. Pure.

The order is the order of the lines: first the ids, so that each refusal names one; then what is refused; then the
headers are taken away that only the gateway may say.
"""

from __future__ import annotations

from collections.abc import Iterable

from looma_engines.gateway.haproxy import answers
from looma_engines.gateway.haproxy.text import Lines, quoted
from looma_engines.gateway.model import Rule

REQUEST_ID = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"
TRACEPARENT = "^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$"
HOST = r"^(?:[A-Za-z0-9_-](?:[A-Za-z0-9._-]*)|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?$"

LENGTH_DIGITS = 18
"""More than any body has, and less than what 64 bits can count."""

_TWO_READINGS = (
    r"[^\x21-\x7e]",  # control characters, spaces, and bytes that are no ASCII
    r"[#\\]",
    r"%(?![0-9A-Fa-f]{2})",  # a percent sign that encodes nothing
    r"%(?:[01][0-9A-Fa-f]|7[Ff])",  # an encoded control character
    r"%(?:2[EeFf]|5[Cc])",  # an encoded dot, slash or backslash
    # A letter, digit or other character that needs no encoding: `/%61pi` is `/api` to whoever decodes before routing.
    r"%(?:2[Dd]|3[0-9]|[46][1-9A-Fa-f]|5[0-9AaFf]|7[0-9AaEe])",
    r"%[Cc][01]",  # the beginning of an overlong form of UTF-8, never valid
    r"//",
    r"/\.{1,2}(?:;[^/]*)?(?:/|$)",  # a dot segment, also one with parameters
)

AMBIGUOUS = "|".join(_TWO_READINGS)
"""What two programs could read as two different paths, so that a rule for one would be dodged by the other."""

# The names that the console drops as well, see its forwarding; an underscore is a hyphen to some servers.
_CLAIMED = (
    "forwarded",
    "proxy",
    "proxy-connection",
    "x-real-ip",
    "x-remote-user",
    "x-remote-groups?",
    "x-user",
    "x-user-id",
    "x-email",
    "x-roles",
    "x-tenant",
    "x-ssl-client-cert",
)
_CLAIMED_PREFIXES = (
    "x-looma-",
    "x-forwarded-",
    "x-auth-",
    "x-authenticated-",
    "x-webauth-",
    "x-remote-extra-",
    "impersonate-",
)


_HEX_32 = "%[rand,hex,bytes(8)]"
"""Eight digits of chance, in capitals. Four times that costs a third of `uuid(4)` without its hyphens."""
_HEX_16 = "%[rand,hex,bytes(8),lower]" * 2


def claimed_headers() -> str:
    """Regular expression of the headers by which a caller would claim what only the gateway may say."""
    names = "|".join([f"{name}$" for name in _CLAIMED] + list(_CLAIMED_PREFIXES))
    return f"^(?:{names})".replace("-", "[-_]")


def identify() -> Lines:
    """The request's id and trace, kept where they are well-formed; what has neither gets the same number for both."""
    kept = (
        f"{{ req.fhdr(x-request-id) -m reg -- {quoted(REQUEST_ID)} }} {{ req.fhdr_cnt(x-request-id) eq 1 }}"
    )
    traced = (
        f"{{ req.fhdr(traceparent) -m reg -- {quoted(TRACEPARENT)} }} {{ req.fhdr_cnt(traceparent) eq 1 }}"
    )
    without_id = "!{ var(txn.request_id) -m found }"
    untraced = "!{ var(txn.traceparent) -m found }"
    return [
        f"http-request set-var(txn.request_id) req.fhdr(x-request-id) if {kept}",
        f"http-request set-var(txn.traceparent) req.fhdr(traceparent) if {traced}",
        f"http-request set-var-fmt(txn.chance) {_HEX_32 * 4} if {without_id} || {untraced}",
        f"http-request set-var(txn.request_id) var(txn.chance),lower if {without_id}",
        f"http-request del-header tracestate if {untraced}",
        f"http-request set-var-fmt(txn.traceparent) 00-%[var(txn.chance),lower]-{_HEX_16}-00 if {untraced}",
        "http-request set-header X-Request-Id %[var(txn.request_id)]",
        "http-request set-header traceparent %[var(txn.traceparent)]",
        "http-request set-var(txn.method) method",
        "http-request set-var(txn.asked) path",
    ]


def name_host(rules: Iterable[Rule]) -> Lines:
    """The name of the host that is asked for, where a rule asks for one."""
    if not any(rule.hostnames or rule.other_hostnames for rule in rules):
        return []
    return ["http-request set-var(txn.host) req.hdr(host),host_only,lower,rtrim(.)"]


def refuse_unsafe() -> Lines:
    """Refusals of what could be read in two ways. A path that is no path (`*`, a host and port) is one of them."""
    return [
        answers.refuse(answers.AMBIGUOUS_PATH, "!{ path -m beg / }"),
        answers.refuse(answers.AMBIGUOUS_PATH, f"{{ path -m reg -- {quoted(AMBIGUOUS)} }}"),
        # HAProxy takes a length just beyond 64 bits for a small one, and hands the header on as it is.
        answers.refuse(answers.BAD_FRAMING, f"{{ req.fhdr(content-length),length gt {LENGTH_DIGITS} }}"),
        # To a server of that age a coding is no header that it knows, and the body the next request.
        answers.refuse(answers.BAD_FRAMING, "{ req.ver 1.0 } { req.fhdr(transfer-encoding) -m found }"),
        answers.refuse(answers.BAD_HOST, f"!{{ req.fhdr(host) -m reg -- {quoted(HOST)} }}"),
    ]


def state_anew() -> Lines:
    """What the caller claims is removed, and what is known of the caller is said."""
    return [
        f"http-request del-header {quoted(claimed_headers())} -m reg",
        # An upgrade to HTTP/2 would carry requests past the rules.
        "http-request del-header http2-settings",
        "http-request del-header upgrade if { req.hdr(upgrade) -m sub -i h2c }",
        # Added, not set: those that were there are gone, and to look for them again costs as much.
        "http-request add-header X-Forwarded-For %[src]",
        "http-request add-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]",
        "http-request add-header X-Forwarded-Host %[req.fhdr(host)]",
        # With the slash at its end a prefix fits by whole segments where it is a prefix of the text.
        "http-request set-var(txn.path) path,concat(/)",
    ]


def mark_answers() -> Lines:
    """Each answer names the request, and those that the gateway made say so: an engine cannot claim it."""
    return [
        "http-response set-var(txn.engine) bool(true)",
        f"http-response del-header {answers.SOURCE_HEADER}",
        "http-after-response set-header X-Request-Id %[var(txn.request_id)] if { var(txn.request_id) -m found }",
        (
            f"http-after-response set-header {answers.SOURCE_HEADER} {answers.SOURCE}"
            " if !{ var(txn.engine) -m bool }"
        ),
        "http-after-response set-header Cache-Control no-store if !{ var(txn.engine) -m bool }",
    ]
