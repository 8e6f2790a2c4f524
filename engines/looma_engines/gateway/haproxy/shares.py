"""Which part of a rule's requests goes to which of its targets. Pure.

Each rule with several targets has a counter. The n-th request stands at the place n*STRIDE mod 1000 and goes to the
first target whose threshold is above it. STRIDE and 1000 have no common factor, so that any 1,000 requests in a row
stand at each place once: shares are exact, and they interleave. One entry of the map moves one threshold.
"""

from __future__ import annotations

from collections.abc import Sequence

from looma_engines.gateway.haproxy.text import key, mark
from looma_engines.gateway.model import WEIGHT_SCALE, DataPlane, Rule, Target

STRIDE = 633
"""The one at which shares interleave best: of any requests in a row, no share is more than 3.5 off. With 617, near the
golden section, it is 7.1, which two gateway pods together showed as more than one percent of a thousand requests."""

MAP = "weights.map"


def is_shared(rule: Rule) -> bool:
    """Whether there is anything to choose."""
    return len(rule.targets) > 1


def thresholds(targets: Sequence[Target]) -> tuple[int, ...]:
    """Upper ends of the targets' shares, in thousandths; the last is 1000, or all are 0 where no weight is.

    | weights    | thresholds      |
    | ---------- | --------------- |
    | 100, 0     | 1000, 1000      |
    | 95, 5      | 950, 1000       |
    | 1, 1, 1    | 333, 667, 1000  |
    | 0, 0       | 0, 0            |
    """
    total = sum(target.weight for target in targets)
    ends, sum_until = [], 0
    for target in targets:
        sum_until += target.weight
        # Halves round up: integers alone, so that every machine says the same.
        ends.append((2 * WEIGHT_SCALE * sum_until + total) // (2 * total) if total else 0)
    return tuple(ends)


def map_key(rule: Rule, index: int) -> str:
    """Key of a target's threshold."""
    return f"{key(rule.name)}:{index}"


def map_entries(plane: DataPlane) -> dict[str, int]:
    """The whole map: thresholds of all rules that have something to choose."""
    return {
        map_key(rule, index): end
        for rule in plane.rules
        if is_shared(rule)
        for index, end in enumerate(thresholds(rule.targets))
    }


def map_file(plane: DataPlane) -> str:
    """Content of the map's file."""
    return "".join(f"{name} {value}\n" for name, value in map_entries(plane).items())


def lead(rules: Sequence[Rule]) -> list[str]:
    """Lines that put the backend of rules with one target into `txn.backend`; `-` stands for one that is not there."""
    leading: dict[str, list[str]] = {}
    for rule in rules:
        for target in rule.targets:
            if not is_shared(rule) and target.weight > 0:
                leading.setdefault(target.backend or "-", []).append(key(rule.name))
    return [
        line
        for backend, names in leading.items()
        for line in mark("txn.backend", f"str({backend})", "txn.rule", names)
    ]


def choose(rule: Rule, *, map_path: str, table: str) -> list[str]:
    """Lines that put the chosen backend into `txn.backend`; `-` stands for a share that leads nowhere."""
    if not is_shared(rule):
        return []
    this = f"{{ var(txn.rule) -m str -- {key(rule.name)} }}"
    lines = [
        f"http-request track-sc0 var(txn.rule) table {table} if {this}",
        f"http-request set-var(txn.place) sc_inc_gpc(0,0),mul({STRIDE}),mod({WEIGHT_SCALE}) if {this}",
    ]
    for index, target in enumerate(rule.targets):
        end = f"str({map_key(rule, index)}),map_str_int({map_path},0),sub(txn.place)"
        lines.append(
            f"http-request set-var(txn.backend) str({target.backend or '-'}) if {this} "
            f"!{{ var(txn.backend) -m found }} {{ {end} gt 0 }}"
        )
    return lines
