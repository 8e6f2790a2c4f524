"""Which requests another service gets as well: HAProxy names it, the engine sends the copy. Pure.

HAProxy 3.0 cannot send a request twice. It counts the requests of a rule that may be copied and puts the other
service's name into a header of the share that is asked for; engines believe it, as callers' own are taken away.
"""

from __future__ import annotations

from looma_core.shadowing import IGNORE_HEADER, TARGET_HEADER
from looma_engines.gateway.haproxy.text import Lines, is_one_of, key, quoted
from looma_engines.gateway.model import WEIGHT_SCALE, Rule

STRIDE = 531
"""As of `shares`, but another: with the same one, a shadow of a tenth would see requests of the first target alone.
Beside that one, this spreads best: of 1,000 requests, any share of any target is copied within two requests."""


def name_lines(rule: Rule, *, table: str) -> Lines:
    """Lines that name the other service to the engine; they stand after all that may change the backend.

    Its counter is the second one of the rule's entry, beside the one by which targets are chosen.
    """
    shadow = rule.policy.shadow
    if shadow is None:
        return []
    # A canary that gets copies makes none: its own answers would be compared with themselves.
    backends = [target.backend for target in rule.targets if target.backend not in ("", shadow.spares)]
    if not backends:
        return []
    this = f"{{ var(txn.rule) -m str -- {key(rule.name)} }} {{ method {' '.join(shadow.methods)} }}"
    lines = [f"http-request track-sc0 var(txn.rule) table {table} if {this}"]
    # A fallback is not counted: what it answers is not this service's.
    for led in is_one_of("txn.backend", backends):
        may = f"{this} {led}"
        chosen = f"{may} {{ var(txn.shadow_place) -m int lt {10 * shadow.percent} }}"
        lines += [
            f"http-request set-var(txn.shadow_place) sc_inc_gpc(1,0),mul({STRIDE}),mod({WEIGHT_SCALE}) if {may}",
            f"http-request set-header {TARGET_HEADER} {shadow.target} if {chosen}",
        ]
        if shadow.ignored:
            places = quoted(",".join(shadow.ignored))
            lines.append(f"http-request set-header {IGNORE_HEADER} {places} if {chosen}")
    return lines
