"""What one measurement comes to. Pure; fails closed: what is not known to be good is never Successful.

| what was read                               | verdict      |
| ------------------------------------------- | ------------ |
| nothing could be read, or not one number    | Error        |
| no data, or a value that is no number       | Inconclusive |
| fewer requests than minSamples              | Inconclusive |
| above max, or below min                     | Failed       |
| the canary is worse than chance explains    | Failed       |
| it is worse, and chance hardly explains it  | Suspicious   |
| a Job failed                                | Failed       |
| anything else                               | Successful   |
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ..resources_analysis import (
    ERROR_RATE,
    LATENCY,
    LATENCY_P95,
    LATENCY_P99,
    QUANTILES,
    SATURATION,
    SHADOW_DIFFERENCE,
    Measurement,
    Metric,
    Verdict,
)
from .comparing import LEAST_OF_NORMAL, fails_more, is_slower, quantile, slower_share
from .saturation import CPU, MEMORY, REQUESTS, RESOURCE

LEAST_DIFFERENCE = 0.1
"""Percentage points: with enough requests any difference is more than chance, and a smaller one harms nobody."""
LEAST_SHARE = 0.64
"""Share of pairs in which the canary is slower: a medium effect by Vargha and Delaney; 0.5 is none. A new pod is a
little slower for many reasons that are no fault of its revision."""
SUSPICION = 0.05
"""p-value below which a comparison that finds nothing says nothing good either, by Fisher's convention (Statistical
Methods for Research Workers, 1925): a canary that fails 5 of 100 requests has such a one long before it is below
`level`, and one that is as good gets over it with the next requests."""
MESSAGE_LIMIT = 300
MOST_COUNTED = 1e12
"""Requests in one window: far more than any service has, and few enough for 64-bit floats in Fisher's test."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One value with its labels."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What came back: values, or why there are none to be had.

    `count` is of how many requests the value is, None where that is not known; `note` says more of it in words.
    `passed` is what a Job found; `pending` where there is nothing to judge yet, and a later look asks again.
    """

    samples: tuple[Sample, ...] = ()
    error: str = ""
    count: int | None = None
    note: str = ""
    passed: bool | None = None
    pending: bool = False


@dataclass(frozen=True, kw_only=True)
class Case:
    """By what a reading is judged. `level` is the p-value below which a comparison finds the canary worse."""

    revision: str
    stable: str
    min_samples: int
    level: float
    at: datetime


def judge(metric: Metric, reading: Reading, case: Case) -> Measurement:
    """The measurement that a reading is; see the module's table."""
    if reading.error:
        return _said(case, Verdict.ERROR, reading.error)
    if any(sample.value < 0 for sample in reading.samples) and (metric.built_in or metric.compare):
        return _said(case, Verdict.ERROR, "a counter has less than nothing")
    if any(source is not None for source in (metric.prometheus, metric.http, metric.probes)):
        return _value(metric, reading, case)
    if metric.job is not None:
        return _job(reading, case)
    judged = _JUDGES.get((metric.built_in, metric.compare))
    if judged is None:
        # Of a newer definition than this operator knows.
        return _said(case, Verdict.ERROR, "this release does not know the metric's source")
    return judged(metric, reading, case)


def _said(
    case: Case,
    verdict: Verdict,
    message: str,
    *,
    value: float | None = None,
    baseline: float | None = None,
    samples: int | None = None,
) -> Measurement:
    def kept(number: float | None) -> float | None:
        # JSON has no infinity.
        return None if number is None or not math.isfinite(number) else round(number, 6)

    return Measurement(
        at=case.at,
        verdict=verdict,
        message=message[:MESSAGE_LIMIT],
        value=kept(value),
        baseline=kept(baseline),
        samples=samples,
    )


def _too_few(case: Case, whose: str, samples: int, least: int) -> Measurement:
    if not samples:
        return _said(case, Verdict.INCONCLUSIVE, f"no data: no requests of {whose} are counted", samples=0)
    return _said(
        case, Verdict.INCONCLUSIVE, f"{samples} requests of {whose}, {least} are needed", samples=samples
    )


def _within(metric: Metric, case: Case, value: float, what: str, samples: int | None = None) -> Measurement:
    """The verdict by `max` and `min`; `what` is the value in words."""
    verdict, limit = Verdict.SUCCESSFUL, ""
    if metric.max is None and metric.min is None:
        return _said(case, Verdict.ERROR, "it has neither max nor min", value=value, samples=samples)
    # Not `value > max`: what cannot be compared must not be taken for good.
    if metric.min is not None and not value >= metric.min:
        verdict, limit = Verdict.FAILED, f", less than {metric.min:g}"
    if metric.max is not None and not value <= metric.max:
        verdict, limit = Verdict.FAILED, f", more than {metric.max:g}"
    return _said(case, verdict, what + limit, value=value, samples=samples)


def _value(metric: Metric, reading: Reading, case: Case) -> Measurement:
    if not reading.samples:
        return _said(case, Verdict.INCONCLUSIVE, "no data: the query answers nothing")
    if len(reading.samples) > 1:
        message = (
            f"the query answers {len(reading.samples)} values: write one that answers one, as with sum()"
        )
        return _said(case, Verdict.ERROR, message)
    value = reading.samples[0].value
    if not math.isfinite(value):
        return _said(case, Verdict.INCONCLUSIVE, f"the value is {value}, no number")
    what = f"{value:g} ({reading.note})" if reading.note else f"{value:g}"
    return _within(metric, case, value, what, reading.count)


def _job(reading: Reading, case: Case) -> Measurement:
    if reading.passed is None:
        return _said(case, Verdict.ERROR, "the Job says nothing")
    return _said(case, Verdict.SUCCESSFUL if reading.passed else Verdict.FAILED, reading.note)


def _is_bad(code: str) -> bool:
    """Answers of 500 and more, and attempts without an answer."""
    return code.startswith("5") or code == "none"


def _compared(chance: float, level: float, *, matters: bool) -> tuple[Verdict, str]:
    """What a comparison comes to, and its p-value in words.

    | p-value            | matters | verdict    |
    | ------------------ | ------- | ---------- |
    | below level        | yes     | Failed     |
    | level to SUSPICION | yes     | Suspicious |
    | any other          |         | Successful |
    | any                | no      | Successful |

    Args:
        chance: p-value of the test.
        level: p-value below which the canary is found worse.
        matters: the difference is large enough to harm somebody.
    """
    words = f"by chance with p = {chance:.2g}, {'less' if chance < level else 'not less'} than {level:.2g}"
    if chance < level and matters:
        return Verdict.FAILED, words
    if chance < SUSPICION and matters:
        return Verdict.SUSPICIOUS, f"{words} but less than {SUSPICION:g}: more requests must tell"
    return Verdict.SUCCESSFUL, words


def _is_count(value: float) -> bool:
    """Whether it can be a number of requests; beyond `MOST_COUNTED` the tests' logarithms of factorials say nothing."""
    return math.isfinite(value) and value < MOST_COUNTED


def _failures(reading: Reading, revision: str) -> tuple[int, int]:
    """Failures and all requests of a revision, as whole numbers: Prometheus extrapolates to the window's ends."""
    bad = whole = 0.0
    for sample in reading.samples:
        if sample.labels.get("revision") == revision and _is_count(sample.value):
            whole += sample.value
            bad += sample.value if _is_bad(sample.labels.get("code", "none")) else 0.0
    return min(round(bad), round(whole)), round(whole)


def _error_rate(metric: Metric, reading: Reading, case: Case) -> Measurement:
    bad, whole = _failures(reading, case.revision)
    if whole < max(1, case.min_samples):
        return _too_few(case, case.revision, whole, case.min_samples)
    percent = 100 * bad / whole
    return _within(metric, case, percent, f"{percent:.3g} % of {whole} requests failed", whole)


def _compare_errors(_: Metric, reading: Reading, case: Case) -> Measurement:
    bad, whole = _failures(reading, case.revision)
    stable_bad, stable_whole = _failures(reading, case.stable)
    for name, count in ((case.revision, whole), (case.stable, stable_whole)):
        if count < max(1, case.min_samples):
            return _too_few(case, name, count, case.min_samples)
    percent, baseline = 100 * bad / whole, 100 * stable_bad / stable_whole
    chance = fails_more(bad=bad, of=whole, stable_bad=stable_bad, stable_of=stable_whole)
    verdict, words = _compared(chance, case.level, matters=percent - baseline >= LEAST_DIFFERENCE)
    what = (
        f"{percent:.3g} % of {whole} requests failed, {baseline:.3g} % of {stable_whole} with {case.stable}"
    )
    return _said(
        case,
        verdict,
        f"{what}; {words}",
        value=percent,
        baseline=baseline,
        samples=whole,
    )


def _buckets(reading: Reading, *revisions: str) -> tuple[list[float], list[list[int]]]:
    """Upper ends of the buckets that all of the revisions have, and the counts in each, by revision.

    None at all where one lacks the infinite bucket: how many requests it had is not known then.
    """
    below: dict[str, dict[float, float]] = {name: defaultdict(float) for name in revisions}
    for sample in reading.samples:
        name, bound = sample.labels.get("revision", ""), _bound(sample.labels.get("le", ""))
        if name in below and _is_count(sample.value) and not math.isnan(bound):
            below[name][bound] += sample.value
    # A release may have other buckets than the one before.
    bounds = sorted(set.intersection(*(set(counts) for counts in below.values())))
    if not bounds or not math.isinf(bounds[-1]):
        return [], [[] for _ in revisions]
    return bounds, [_counts(bounds, below[name]) for name in revisions]


def _bound(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _counts(bounds: Sequence[float], below: Mapping[float, float]) -> list[int]:
    counts, before = [], 0.0
    for bound in bounds:
        # Extrapolated by itself, a bucket can have a little less than the one below it.
        upto = max(before, round(below[bound]))
        counts.append(int(upto - before))
        before = upto
    return counts


def _latency(metric: Metric, reading: Reading, case: Case) -> Measurement:
    q = QUANTILES[metric.built_in or ""]
    bounds, (counts,) = _buckets(reading, case.revision)
    whole = sum(counts)
    if whole < max(1, case.min_samples):
        return _too_few(case, case.revision, whole, case.min_samples)
    seconds = quantile(bounds, counts, q)
    # Over the highest finite bound.
    over = f"over {bounds[-2]:g}" if math.isinf(seconds) and len(bounds) > 1 else f"{seconds:.3g}"
    return _within(metric, case, seconds, f"{100 * q:g} % of {whole} requests took up to {over} s", whole)


def _compare_latency(_: Metric, reading: Reading, case: Case) -> Measurement:
    bounds, (canary, stable) = _buckets(reading, case.revision, case.stable)
    least = max(LEAST_OF_NORMAL, case.min_samples)
    for name, counts in ((case.revision, canary), (case.stable, stable)):
        if sum(counts) < least:
            return _too_few(case, name, sum(counts), least)
    chance, share = is_slower(canary, stable), slower_share(canary, stable)
    verdict, words = _compared(chance, case.level, matters=share >= LEAST_SHARE)
    what = f"slower than {case.stable} in {100 * share:.3g} % of all pairs of {sum(canary)} and {sum(stable)} requests"
    return _said(
        case,
        verdict,
        f"{what}; {words}",
        value=quantile(bounds, canary, 0.5),
        baseline=quantile(bounds, stable, 0.5),
        samples=sum(canary),
    )


def _saturation(metric: Metric, reading: Reading, case: Case) -> Measurement:
    """The resource of which the largest share is used; both must be known, and requests be there that used them."""
    values = {
        sample.labels.get(RESOURCE, ""): sample.value
        for sample in reading.samples
        if sample.labels.get("revision") == case.revision and _is_count(sample.value)
    }
    whole = round(values.get(REQUESTS, 0.0))
    if whole < max(1, case.min_samples):
        return _too_few(case, case.revision, whole, case.min_samples)
    lacking = [resource for resource in (CPU, MEMORY) if resource not in values]
    if lacking:
        what = f"no data: what the pods of {case.revision} use of {' and '.join(lacking)} is not told"
        return _said(case, Verdict.INCONCLUSIVE, what, samples=whole)
    fuller, other = sorted((CPU, MEMORY), key=lambda resource: values[resource], reverse=True)
    what = f"{fuller} {values[fuller]:.3g} % used ({other} {values[other]:.3g} %) with {whole} requests"
    return _within(metric, case, values[fuller], what, whole)


def _shadow_difference(metric: Metric, reading: Reading, case: Case) -> Measurement:
    """Copies that got another answer, or none, of those that could be compared."""
    counts = {
        sample.labels.get("outcome", ""): sample.value
        for sample in reading.samples
        if _is_count(sample.value)
    }
    other = counts.get("different", 0.0) + counts.get("failed", 0.0)
    whole = round(other + counts.get("same", 0.0))
    if whole < max(1, case.min_samples):
        hint = "" if whole else ": set route.shadow with canary: true, and an engine that sends copies"
        few = (
            f"{whole} answers of copies to {case.revision} were compared, {case.min_samples} are needed{hint}"
        )
        return _said(case, Verdict.INCONCLUSIVE, few if whole else f"no data: {few}", samples=whole)
    percent = 100 * min(round(other), whole) / whole
    silent = round(counts.get("failed", 0.0))
    what = f"{percent:.3g} % of {whole} copies to {case.revision} were answered otherwise"
    return _within(metric, case, percent, f"{what} ({silent} not at all)" if silent else what, whole)


_JUDGES: Mapping[tuple[str | None, str | None], Callable[[Metric, Reading, Case], Measurement]] = {
    (ERROR_RATE, None): _error_rate,
    (LATENCY_P95, None): _latency,
    (LATENCY_P99, None): _latency,
    (SATURATION, None): _saturation,
    (SHADOW_DIFFERENCE, None): _shadow_difference,
    (None, ERROR_RATE): _compare_errors,
    (None, LATENCY): _compare_latency,
}
"""By what is built in, and what is compared."""
