"""Matches and filters of HTTPRoutes: what is taken over, and what cannot be made and is said."""

from __future__ import annotations

from typing import Any

import pytest

from looma_engines.gateway.findings import Translation
from looma_engines.gateway.model import (
    HeaderChange,
    Match,
    MatchKind,
    NamedMatch,
    PathRewrite,
    Redirect,
    Target,
)
from support.gateway_translation import finding, made, the_rule, with_match
from support.gateway_world import Object, gateway, match, route, rule, service, to


def test_a_match_is_taken_over_with_all_of_its_parts() -> None:
    given = match(
        "/a/",
        method="POST",
        headers=[
            {"name": "X-One", "value": "1"},
            {"name": "x-one", "value": "2"},
            {"name": "X-Two", "value": "a+", "type": "RegularExpression"},
        ],
        queryParams=[{"name": "Q", "value": "1"}],
    )
    translation = made(gateway(), service(), with_match("resume", given))
    assert the_rule(translation).matches == (
        Match(
            path="/a",
            method="POST",
            headers=(
                NamedMatch(name="x-one", value="1"),
                NamedMatch(name="x-two", value="a+", kind=MatchKind.REGEX),
            ),
            query=(NamedMatch(name="Q", value="1"),),
        ),
    )


def test_a_rule_without_matches_takes_every_request() -> None:
    bare = route({"backendRefs": [to("resume-stable")]})
    assert the_rule(made(gateway(), service(), bare)).matches == (Match(),)


def with_filters(*filters: Object, **more: Any) -> Translation:
    path = more.pop("path", "/")
    backends = [to("resume-stable")] if not any("requestRedirect" in item for item in filters) else []
    return made(
        gateway(),
        service(),
        route(rule(*backends, matches=[match(path, **more)], filters=list(filters))),
    )


def test_headers_are_changed() -> None:
    change = {"set": [{"name": "A", "value": "1"}], "add": [{"name": "B", "value": "2"}], "remove": ["C"]}
    only = the_rule(
        with_filters(
            {"type": "RequestHeaderModifier", "requestHeaderModifier": change},
            {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"remove": ["D"]}},
        )
    )
    assert only.request_headers == HeaderChange(set=(("A", "1"),), add=(("B", "2"),), remove=("C",))
    assert only.response_headers == HeaderChange(remove=("D",))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"scheme": "https", "statusCode": 301}, Redirect(status=301, scheme="https", port=443)),
        ({"hostname": "B.example.org"}, Redirect(hostname="b.example.org")),
        ({"port": 8443, "scheme": "https"}, Redirect(scheme="https", port=8443)),
        (
            {"path": {"type": "ReplaceFullPath", "replaceFullPath": "/new"}},
            Redirect(path=PathRewrite(value="/new")),
        ),
        (
            {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": ""}},
            Redirect(path=PathRewrite(value="/", prefix=True)),
        ),
    ],
)
def test_a_redirect(asked: Object, expected: Redirect) -> None:
    only = the_rule(with_filters({"type": "RequestRedirect", "requestRedirect": asked}))
    assert (only.redirect, only.targets) == (expected, ())


def test_host_and_path_are_rewritten() -> None:
    asked = {
        "hostname": "inside.example.org",
        "path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/x"},
    }
    only = the_rule(with_filters({"type": "URLRewrite", "urlRewrite": asked}, path="/old"))
    assert only.rewrite_hostname == "inside.example.org"
    assert only.rewrite_path == PathRewrite(value="/x", prefix=True)


_REWRITE: Object = {"type": "URLRewrite"}


@pytest.mark.parametrize(
    ("filters", "reason"),
    [
        ([{"type": "RequestMirror", "requestMirror": {}}], "UnsupportedValue"),
        ([{"type": "ExtensionRef", "extensionRef": {}}], "UnsupportedValue"),
        ([_REWRITE, _REWRITE], "IncompatibleFilters"),
        (
            [
                {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["A"]}},
                {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplaceFullPath"}}},
            ],
            "UnsupportedValue",
        ),
        (
            [
                {
                    "type": "RequestHeaderModifier",
                    "requestHeaderModifier": {"set": [{"name": "A", "value": "a\nX-Evil: 1"}]},
                }
            ],
            "UnsupportedValue",
        ),
        (
            [
                {
                    "type": "URLRewrite",
                    "urlRewrite": {"path": {"type": "ReplaceFullPath", "replaceFullPath": "/a b"}},
                }
            ],
            "UnsupportedValue",
        ),
    ],
)
def test_a_filter_that_is_not_known_answers_500_and_is_said(filters: list[Object], reason: str) -> None:
    translation = with_filters(*filters)
    assert the_rule(translation).targets == (Target(backend=""),)
    assert the_rule(translation).request_headers == HeaderChange()
    assert finding(translation, "Accepted") == (False, reason)


def test_filters_of_a_single_backend_are_not_known() -> None:
    backend = to("resume-stable", filters=[{"type": "RequestHeaderModifier"}])
    translation = made(gateway(), service(), route(rule(backend)))
    assert the_rule(translation).targets == (Target(backend=""),)


def test_one_wrong_rule_of_two_leaves_the_other() -> None:
    wrong = rule(to("resume-stable"), matches=[match("/w")], filters=[{"type": "RequestMirror"}])
    translation = made(gateway(), service(), route(wrong, rule(to("resume-stable"))))
    assert [item.targets[0].backend for item in translation.plane.rules] == ["", "looma_resume-stable_80"]
    assert finding(translation, "Accepted") == (True, "Accepted")
    assert finding(translation, "PartiallyInvalid") == (True, "UnsupportedValue")


@pytest.mark.parametrize(
    "pattern", ["(", "(?P<x>a)", r"\Aa", r"a\1", "[[:alpha:]]", "(?#x)", "(*FAIL)", "a\nb", "(?<=a)b"]
)
def test_a_regular_expression_that_haproxy_may_read_otherwise_is_refused(pattern: str) -> None:
    translation = made(gateway(), service(), with_match("resume", match(pattern, "RegularExpression")))
    assert translation.plane.rules == ()
    assert finding(translation, "Accepted") == (False, "UnsupportedValue")


@pytest.mark.parametrize("pattern", [r"/v\d+/.*", "/(?:a|b)", "/(?=a)a", "(?i)/a", r"/a\.b", "/a{2,3}"])
def test_a_plain_regular_expression_is_taken(pattern: str) -> None:
    translation = made(gateway(), service(), with_match("resume", match(pattern, "RegularExpression")))
    assert the_rule(translation).matches[0].path == pattern


@pytest.mark.parametrize(
    "given",
    [
        match("/a", "Somehow"),
        match("no-slash"),
        match("/a\x00"),
        match("/a", method="G T"),
        match("/a", headers=[{"name": "a b", "value": "1"}]),
        match("/a", headers=[{"name": "a", "value": "1\n2"}]),
        match("/a", headers=[{"name": "a", "value": "1", "type": "PathPrefix"}]),
        match("/a", queryParams=[{"name": "a", "value": "(", "type": "RegularExpression"}]),
        match("/a", queryParams=[{"name": "a", "value": "[a--b]", "type": "RegularExpression"}]),
    ],
)
def test_a_match_that_cannot_be_made_is_said(given: Object) -> None:
    translation = made(gateway(), service(), with_match("resume", given, match("/good")))
    # Its other match is answered with 500: which requests were meant is not known.
    assert [(item.matches[0].path, item.targets) for item in translation.plane.rules] == [
        ("/good", (Target(backend=""),))
    ]
    assert finding(translation, "Accepted") == (False, "UnsupportedValue")


def _redirect(**asked: Any) -> Object:
    return {"type": "RequestRedirect", "requestRedirect": asked}


@pytest.mark.parametrize(
    "given",
    [
        {"type": "RequestRedirect"},
        _redirect(scheme="ftp"),
        _redirect(statusCode=200),
        _redirect(hostname="a b"),
        _redirect(path={"type": "Other", "replaceFullPath": "/a"}),
        _redirect(path={"type": "ReplaceFullPath", "replaceFullPath": "/a?b"}),
        {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["a b"]}},
        {"type": "RequestHeaderModifier", "requestHeaderModifier": {"add": [{"name": "", "value": "1"}]}},
    ],
)
def test_a_filter_that_cannot_be_made_is_said(given: Object) -> None:
    translation = made(gateway(), service(), route(rule(filters=[given])))
    assert the_rule(translation).targets == (Target(backend=""),)
    assert the_rule(translation).redirect is None
    assert finding(translation, "Accepted") == (False, "UnsupportedValue")


def test_a_prefix_is_replaced_only_where_one_matched() -> None:
    asked = {
        "type": "URLRewrite",
        "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}},
    }
    exact = rule(to("resume-stable"), matches=[match("/a", "Exact")], filters=[asked])
    assert finding(made(gateway(), service(), route(exact)), "Accepted") == (False, "UnsupportedValue")


def test_a_redirect_goes_with_no_backend() -> None:
    both = rule(to("resume-stable"), filters=[_redirect(scheme="https")])
    assert finding(made(gateway(), service(), route(both)), "Accepted") == (False, "IncompatibleFilters")
