"""Which requests the log has, and which of those the controller hears of: the samples. Pure.

A line for each would cost more than its request, most of that in the container runtime, which copies it. So fewer of
many are told; but a latency is compared by revision, so each Service has enough of its own, also beside one that has a
hundred times as many requests:

| requests to the Service | of them are told                |
| ----------------------- | ------------------------------- |
| fewer than 50 a second  | all; one of 8 at a busy gateway |
| fewer than 400          | one of 8                        |
| fewer than 1600         | one of 64                       |
| more                    | one of 256                      |

Of requests that the gateway answers itself, all are told while it is not busy, else one of 256. Busy it is from 400
requests a second on, of all Services together.
"""

from __future__ import annotations

from looma_engines.gateway.haproxy.text import Lines

FRONTEND = "gateway"
BUSY_FROM = 400
ALL_BELOW = 50
STEPS = ((400, 8), (1600, 64))
"""Below so many requests a second of a Service, one of so many is a sample."""
ELSE_ONE_OF = 256

_SAMPLED = "{ var(txn.sampled) -m bool }"
_CALM = f"{{ fe_req_rate({FRONTEND}) lt {BUSY_FROM} }}"


def gateway_lines() -> Lines:
    """Lines of the frontend: for requests that no Service gets, and for what fails."""
    return [
        f"http-request set-var(txn.sampled) bool(true) if {_CALM} || {{ rand({ELSE_ONE_OF}) eq 0 }}",
        *_levels(),
        # A failure is told, but is no sample: there would be too many slow ones among them.
        f"http-after-response set-log-level info if {{ status ge 500 }} !{_SAMPLED}",
    ]


def backend_lines() -> Lines:
    """Lines of a Service's section, which choose anew by its own requests."""
    few = f"{{ be_sess_rate lt {ALL_BELOW} }} {_CALM}"
    more = [f"{{ be_sess_rate lt {below} }} {{ rand({one_of}) eq 0 }}" for below, one_of in STEPS]
    chosen = " || ".join([few, *more, f"{{ rand({ELSE_ONE_OF}) eq 0 }}"])
    return [
        "http-request set-var(txn.sampled) bool(false)",
        f"http-request set-var(txn.sampled) bool(true) if {chosen}",
        *_levels(),
    ]


def _levels() -> Lines:
    return [
        f"http-request set-log-level notice if {_SAMPLED}",
        f"http-request set-log-level silent if !{_SAMPLED}",
    ]
