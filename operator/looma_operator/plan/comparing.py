"""Whether a canary is worse than the revision that serves, beyond what chance explains. Pure statistics.

Both tests are one-sided: a canary that is better, or as good, is never found worse. They answer a p-value: how likely
it is to see so large a difference, or a larger one, if both are alike. Who looks again and again finds a small p-value
sooner or later; `level_for` is how small it must be at each look so that all looks together raise a false alarm no more
often than is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

NEGLIGIBLE = 1e-12
LEAST_OF_NORMAL = 20
"""With fewer values on one side the normal approximation of the rank test is not to be trusted (Mann and Whitney, 1947,
found it good from 8 on without ties; buckets are nothing but ties)."""


def level_for(*, false_alarm: float, look: int, looks: int | None) -> float:
    """The p-value below which look number `look` (from 1) finds the canary worse.

    With a known number of looks each gets the same part (Bonferroni). Without an end look k gets 1 / (k (k + 1)) of it:
    the parts of all looks sum to 1, however many follow (alpha spending, Lan and DeMets 1983, by a series of our
    choice).

    | false_alarm | look | looks | answer  |
    | ----------- | ---- | ----- | ------- |
    | 0.01        | 1    | 5     | 0.002   |
    | 0.01        | 5    | 5     | 0.002   |
    | 0.01        | 1    | None  | 0.005   |
    | 0.01        | 4    | None  | 0.0005  |
    """
    return false_alarm / looks if looks is not None else false_alarm / (look * (look + 1))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def fails_more(*, bad: int, of: int, stable_bad: int, stable_of: int) -> float:
    """p-value of Fisher's exact test, one-sided: does the canary fail more often than stable does?

    Of all failures together, `bad` or more fall to the canary by chance with this probability (the hypergeometric
    distribution; Fisher, The Design of Experiments, 1935). It holds for every number of requests, however small, and is
    1 where the canary does not fail more often. Linear in the number of failures.

    Raises:
        ValueError: if there are more failures than requests, or fewer than none.
    """
    if not (0 <= bad <= of and 0 <= stable_bad <= stable_of):
        raise ValueError("failures must be 0 to the number of requests")
    if of == 0 or stable_of == 0 or bad * stable_of <= stable_bad * of:
        return 1.0
    failures, whole = bad + stable_bad, of + stable_of
    base = _log_choose(whole, failures)
    total = 0.0
    for count in range(bad, min(of, failures) + 1):
        term = math.exp(_log_choose(of, count) + _log_choose(stable_of, failures - count) - base)
        total += term
        # Beyond the mean, where all of them are, each term is less than the one before.
        if term < total * NEGLIGIBLE:
            break
    return min(1.0, total)


def slower_share(canary: Sequence[int], stable: Sequence[int]) -> float:
    """How often a request to the canary is slower than one to stable; of equal ones half. 0.5 where they are alike.

    Both are counts by bucket, the fastest first, of the same buckets, with at least one each (Vargha and Delaney's
    measure A, 2000, from counts).
    """
    below, won = 0, 0.0
    for mine, theirs in zip(canary, stable, strict=True):
        won += mine * (below + theirs / 2)
        below += theirs
    return won / (sum(canary) * sum(stable))


def is_slower(canary: Sequence[int], stable: Sequence[int]) -> float:
    """p-value of the rank-sum test, one-sided: are the canary's requests slower than stable's?

    The test of Mann and Whitney (1947) on bucket counts: requests of one bucket are ties, for which the variance is
    corrected, and the normal approximation is corrected for continuity. 1 with fewer than `LEAST_OF_NORMAL` requests on
    one side, or all in one bucket.

    Raises:
        ValueError: if the two have different numbers of buckets.
    """
    mine, theirs = sum(canary), sum(stable)
    whole = mine + theirs
    if min(mine, theirs) < LEAST_OF_NORMAL:
        return 1.0
    pairs = mine * theirs
    tied = sum(both**3 - both for both in (a + b for a, b in zip(canary, stable, strict=True)))
    variance = pairs / 12 * (whole + 1 - tied / (whole * (whole - 1)))
    if variance <= 0:
        return 1.0
    beyond = pairs * (slower_share(canary, stable) - 0.5) - 0.5
    return 1.0 if beyond <= 0 else NormalDist().cdf(-beyond / math.sqrt(variance))


def quantile(bounds: Sequence[float], counts: Sequence[float], q: float) -> float:
    """The time below which a share `q` of the requests stayed, in seconds, from counts by bucket.

    `bounds` are the buckets' upper ends, ascending, the last one infinite; within a bucket times are taken as evenly
    spread, as Prometheus' `histogram_quantile` does it. Infinite where it lies in the last bucket: how much slower than
    the highest finite bound nobody knows, so no limit is kept.

    Raises:
        ValueError: if there is no request.
    """
    whole = sum(counts)
    if whole <= 0:
        raise ValueError("no requests")
    rank, seen, low = q * whole, 0.0, 0.0
    for bound, count in zip(bounds, counts, strict=True):
        if count and seen + count >= rank:
            return bound if math.isinf(bound) else low + (bound - low) * max(0.0, rank - seen) / count
        seen += count
        low = bound
    return math.inf
