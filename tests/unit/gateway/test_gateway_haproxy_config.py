"""The rendered configuration: the same for the same, whole for whatever comes, and quoted."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from looma_core.problems import REGISTER
from looma_engines.gateway.haproxy import answers, requests, rules, shares
from looma_engines.gateway.haproxy.backends import AGAIN_MS, INTERVAL_MS, TIMEOUT_MS
from looma_engines.gateway.haproxy.config import render
from looma_engines.gateway.haproxy.rate_limits import MOST_MEAN_MS, Window, mean_window, window
from looma_engines.gateway.haproxy.text import key, quoted, server_name, socket_address
from looma_engines.gateway.model import (
    Backend,
    DataPlane,
    Endpoint,
    HeaderChange,
    Match,
    MatchKind,
    NamedMatch,
    PathRewrite,
    Policy,
    RateLimit,
    RateLimitPer,
    Redirect,
    Rule,
    Target,
)

FOLDER = Path("/run/looma")
texts = st.text(max_size=12)
named = st.builds(
    NamedMatch, name=texts, value=texts, kind=st.sampled_from((MatchKind.EXACT, MatchKind.REGEX))
)
matches = st.builds(
    Match,
    path=texts,
    path_kind=st.sampled_from(MatchKind),
    method=st.one_of(st.just(""), texts),
    headers=st.lists(named, max_size=2).map(tuple),
    query=st.lists(named, max_size=2).map(tuple),
)
pairs = st.lists(st.tuples(texts, texts), max_size=2).map(tuple)
header_changes = st.builds(HeaderChange, set=pairs, add=pairs, remove=st.lists(texts, max_size=2).map(tuple))
rewrites = st.one_of(st.none(), st.builds(PathRewrite, value=texts, prefix=st.booleans()))
any_rules = st.builds(
    Rule,
    name=texts,
    hostnames=st.lists(texts, max_size=2).map(tuple),
    matches=st.lists(matches, max_size=2).map(tuple),
    targets=st.just((Target(backend="looma_a_80"),)),
    request_headers=header_changes,
    response_headers=header_changes,
    redirect=st.one_of(st.none(), st.builds(Redirect, scheme=texts, hostname=texts, path=rewrites)),
    rewrite_hostname=texts,
    rewrite_path=rewrites,
)


@given(
    plane=st.lists(any_rules, max_size=4).map(
        lambda known: DataPlane(
            ready=True, rules=tuple(known), backends=(Backend(name="looma_a_80", service="a"),)
        )
    )
)
def test_whatever_a_rule_holds_stays_within_its_line(plane):
    files = render(plane, FOLDER)
    assert files == render(plane, FOLDER)
    for line in files["haproxy.cfg"].split("\n"):
        # Out of the quotes nothing of a value is left that HAProxy would read as its own.
        assert not re.search(r"[\x00-\x1f\x7f]", line.expandtabs()), line
        bare = re.sub(r"'[^']*'", "", line.replace("'\\''", ""))
        assert "'" not in bare, line


@given(text=st.text(alphabet=st.characters(exclude_categories=("Cc", "Cs"))))
def test_a_quoted_word_is_the_word(text):
    word = quoted(text)
    assert word.startswith("'")
    assert word.endswith("'")
    assert word[1:-1].replace("'\\''", "\0").replace("'", "").replace("\0", "'") == text


@given(names=st.lists(st.text(max_size=8), min_size=2, max_size=2, unique=True))
def test_no_two_names_have_one_key(names):
    assert key(names[0]) != key(names[1])
    assert all(re.fullmatch(r"[A-Za-z0-9_.:-]+", key(name)) for name in names)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ((100, 0), (1000, 1000)),
        ((95, 5), (950, 1000)),
        ((1, 1, 1), (333, 667, 1000)),
        ((0, 0), (0, 0)),
        ((1999, 1), (1000, 1000)),
        ((1, 999), (1, 1000)),
    ],
)
def test_thresholds(weights, expected):
    assert shares.thresholds([Target(backend="b", weight=weight) for weight in weights]) == expected


@given(
    weights=st.lists(st.integers(0, 1_000_000), min_size=1, max_size=6), start=st.integers(0, 2**32 - 2000)
)
def test_any_thousand_requests_in_a_row_are_shared_exactly(weights, start):
    ends = shares.thresholds([Target(backend="b", weight=weight) for weight in weights])
    got = Counter()
    for number in range(start, start + 1000):
        place = number * shares.STRIDE % 1000
        got[next((index for index, end in enumerate(ends) if end > place), None)] += 1
    expected = {
        index: end - before for index, (before, end) in enumerate(zip((0, *ends), ends, strict=False))
    }
    assert got == Counter(expected if sum(weights) else {None: 1000}) - Counter()


@given(share=st.integers(0, 1000), start=st.integers(0, 999))
def test_of_any_requests_in_a_row_a_share_is_never_far_off(share, start):
    got = 0
    for count in range(1, 1001):
        got += (start + count) * shares.STRIDE % 1000 < share
        assert abs(got - count * share / 1000) < 3.5


@pytest.mark.parametrize(
    ("per_second", "burst", "requests_", "milliseconds"),
    [
        (10, 20, 20, 2000),
        (1, 1, 1, 1000),
        (100, 1, 10, 100),
        (100_000, 100_000, 100_000, 1000),
        (3, 1, 1, 333),
    ],
)
def test_a_limits_window(per_second, burst, requests_, milliseconds):
    known = window(RateLimit(requests_per_second=per_second, burst=burst, per=RateLimitPer.SERVICE))
    assert (known.requests, known.milliseconds) == (requests_, milliseconds)


@given(per_second=st.integers(1, 100_000), burst=st.integers(1, 100_000))
def test_a_limits_average_is_what_was_asked_for(per_second, burst):
    known = window(RateLimit(requests_per_second=per_second, burst=burst, per=RateLimitPer.SERVICE))
    # Within the millisecond that a window is rounded by.
    assert 0 <= 1000 * known.requests / per_second - known.milliseconds < 1


@pytest.mark.parametrize(
    ("requests_", "milliseconds", "mean"),
    [
        (50, 1000, (1000, 20_000)),
        (1, 1000, (600, 600_000)),
        (3000, 60_000, (3000, 60_000)),
        (7, 900_000, (7, 900_000)),
    ],
)
def test_the_window_of_a_limits_average(requests_, milliseconds, mean):
    known = mean_window(Window(requests=requests_, milliseconds=milliseconds))
    assert (known.requests, known.milliseconds) == mean


@given(requests_=st.integers(1, 100_000), milliseconds=st.integers(100, 86_400_000))
def test_the_window_of_a_limits_average_is_many_of_the_limits_own(requests_, milliseconds):
    short = Window(requests=requests_, milliseconds=milliseconds)
    mean = mean_window(short)
    times, rest = divmod(mean.requests, short.requests)
    assert (rest, mean.milliseconds) == (0, times * short.milliseconds)
    assert times == 1 or mean.milliseconds <= MOST_MEAN_MS


def test_a_pod_that_hangs_is_out_within_two_seconds():
    assert INTERVAL_MS + TIMEOUT_MS + AGAIN_MS + TIMEOUT_MS <= 2000


@pytest.mark.parametrize(
    "name",
    [
        "X-Looma-Roles",
        "x_looma_subject",
        "X-Forwarded-For",
        "Forwarded",
        "X-Real-IP",
        "Impersonate-Group",
        "x-user",
    ],
)
def test_claims_are_known(name):
    assert re.search(requests.claimed_headers(), name.lower())


@pytest.mark.parametrize(
    "name", ["cookie", "authorization", "hx-request", "x-userful", "x-request-id", "x-looma"]
)
def test_other_headers_pass(name):
    assert not re.search(requests.claimed_headers(), name)


def test_every_answer_is_a_problem_that_is_documented():
    documented = (Path(__file__).parents[3] / "docs/problems.md").read_text()
    known = [value for value in vars(answers).values() if isinstance(value, answers.Answer)] + list(
        answers.OWN_ERRORS
    )
    assert len(known) > 15
    for answer in known:
        document = json.loads(answers.body(answer))
        assert document["type"] == f"urn:looma:problem:{answer.name}"
        assert f"| `{answer.name}` | {answer.status} | {answer.title} |" in documented
        if answer.name in REGISTER:
            assert (document["title"], document["status"]) == (
                REGISTER[answer.name].title,
                REGISTER[answer.name].status,
            )


def test_a_match_that_cannot_be_said_never_fits_and_a_change_that_cannot_answers_500():
    odd = Rule(
        name="a",
        matches=(Match(path="/a\nb"), Match(path="/ok")),
        targets=(Target(backend="b"),),
        request_headers=HeaderChange(set=(("X", "a\r\nY: b"),)),
    )
    known = rules.sane(odd, {"b"})
    assert known.matches == (Match(path="/ok"),)
    assert known.targets == ()
    assert rules.sane(msgspec.structs.replace(odd, hostnames=("a b",)), {"b"}).matches == ()


def test_a_backend_that_is_not_there_leads_nowhere():
    lost = Rule(
        name="a",
        targets=(Target(backend="b"), Target(backend="c")),
        policy=Policy(fallback="c", timeout_seconds=0),
    )
    known = rules.sane(lost, {"b"})
    assert [target.backend for target in known.targets] == ["b", ""]
    assert known.policy.fallback == ""


def test_addresses():
    assert server_name(Endpoint(address="10.0.0.7", port=8000)) == "e-10-0-0-7-8000"
    assert server_name(Endpoint(address="fd00::1", port=80)) == "e-fd00--1-80"
    assert socket_address("fd00::1", 80) == "[fd00::1]:80"
