"""`Idempotency-Key`, the part without a database: how it is read, what is the same request, what becomes of it."""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looma_core.idempotency import (
    HEADER,
    KEY_PATTERN,
    MAX_KEY_LENGTH,
    Answer,
    Stored,
    Verdict,
    fingerprint,
    identity,
    is_kept,
    kept_headers,
    key_of,
    verdict,
)
from looma_core.problems import BadRequest

VISIBLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=MAX_KEY_LENGTH)


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ([], None),
        (["abc"], "abc"),
        ([" abc\t"], "abc"),
        (["a"], "a"),
        (['"abc"'], "abc"),
        ([r'"a\"c\\"'], 'a"c\\'),
        (["k" * 255], "k" * 255),
        (['"' + "k" * 255 + '"'], "k" * 255),
        (["8e03978e-40d5-43dd-bc93-6894a57f9324"], "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        (['a"b'], 'a"b'),
    ],
)
def test_a_key_is_read_as_it_is_or_in_quotation_marks(values: list[str], key: str | None) -> None:
    assert key_of(values) == key


@pytest.mark.parametrize(
    "values",
    [
        [""],
        [" "],
        ['""'],
        ["k" * 256],
        ['"' + "k" * 256 + '"'],
        ["a b"],
        ['"a b"'],
        ["schlüssel"],
        ["a\x7f"],
        ["a\tb"],
        ['"abc'],
        ['"a"b"'],
        [r'"a\b"'],
        ["abc", "abc"],
        ["a", ""],
    ],
)
def test_any_other_key_is_refused_with_what_to_write(values: list[str]) -> None:
    with pytest.raises(
        BadRequest, match=f"{HEADER} cannot be read: send one, of 1 to 255 visible ASCII"
    ) as caught:
        key_of(values)
    assert [error.field for error in caught.value.errors] == [HEADER]
    fits = len(values) == 1 and len(values[0]) <= MAX_KEY_LENGTH and re.search(KEY_PATTERN, values[0])
    assert not fits, "the document would allow it"


@given(VISIBLE)
def test_a_key_in_quotation_marks_is_the_key_without_them(key: str) -> None:
    quoted = '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'
    assert key_of([quoted]) == key
    assert re.search(KEY_PATTERN, quoted)
    if not key.startswith('"'):
        assert key_of([key]) == key
        assert re.search(KEY_PATTERN, key)


PARTS = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["POST", "PATCH"]),
        "path": st.text(max_size=20),
        "query": st.binary(max_size=20),
        "body": st.binary(max_size=40),
    }
)


@given(PARTS, PARTS)
def test_two_requests_have_one_fingerprint_only_if_they_ask_for_the_same(one: dict, other: dict) -> None:
    assert (fingerprint(**one) == fingerprint(**other)) is (one == other)


@given(st.text(max_size=8), st.text(max_size=8), st.binary(max_size=8), st.binary(max_size=8))
def test_what_is_moved_from_one_part_to_the_next_is_noticed(
    path: str, moved: str, query: bytes, body: bytes
) -> None:
    here = fingerprint(method="POST", path=path + moved, query=query, body=body)
    there = fingerprint(method="POST", path=path, query=moved.encode() + query, body=body)
    assert (here == there) is (moved == "")


def test_a_fingerprint_is_a_sha_256_that_stays_the_same_between_releases() -> None:
    # Answers kept by one revision are given again by the next: a change here would make each a mismatch.
    known = fingerprint(method="POST", path="/api/v1/talents", query=b"", body=b"{}")
    parts = [b"POST", b"/api/v1/talents", b"", b"{}"]
    framed = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    assert known == hashlib.sha256(framed).digest()


def form(boundary: str, text: str) -> dict:
    body = f'--{boundary}\r\nContent-Disposition: form-data; name="file"\r\n\r\n{text}\r\n--{boundary}--\r\n'
    return {"method": "POST", "path": "/", "query": b"", "body": body.encode()}


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data; boundary={}",
        'multipart/form-data; boundary="{}"',
        "Multipart/Form-Data; charset=utf-8; Boundary={}",
        "multipart/form-data;boundary={};charset=utf-8",
    ],
)
def test_a_form_that_is_put_together_anew_asks_for_the_same(kind: str) -> None:
    one, other = (
        fingerprint(**form(boundary, "résumé"), content_type=kind.format(boundary))
        for boundary in ("0f1e2d3c", "----WebKitFormBoundaryX")
    )
    assert one == other
    changed = fingerprint(**form("0f1e2d3c", "other"), content_type=kind.format("0f1e2d3c"))
    assert changed != one


@given(st.lists(st.sampled_from(["subject", "method", "route", "key"]), unique=True))
def test_only_the_same_key_of_the_same_person_on_the_same_route_is_the_same_request(
    changed: list[str],
) -> None:
    known = {"subject": "ada", "method": "POST", "route": "/talents", "key": "k"}
    other = {**known, **{name: known[name] + "2" for name in changed}}
    assert (identity(**known) == identity(**other)) is (changed == [])


ANSWER = Answer(status=201, headers=[], body=b"{}")


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (None, Verdict.FIRST),
        (Stored(fingerprint=b"other"), Verdict.MISMATCH),
        (Stored(fingerprint=b"other", answer=ANSWER), Verdict.MISMATCH),
        (Stored(fingerprint=b"same"), Verdict.FIRST),
        (Stored(fingerprint=b"same", answer=ANSWER), Verdict.REPLAYED),
    ],
)
def test_what_is_known_of_a_key_decides(stored: Stored | None, expected: Verdict) -> None:
    assert verdict(stored, b"same") is expected


@pytest.mark.parametrize(
    ("status", "kept"),
    [
        (200, True),
        (201, True),
        (204, True),
        (303, True),
        (400, False),
        (409, False),
        (422, False),
        (503, False),
    ],
)
def test_only_what_was_carried_out_is_given_again(status: int, kept: bool) -> None:
    assert is_kept(status) is kept


def test_headers_of_this_very_answer_are_not_kept() -> None:
    given_headers = [
        ("Content-Type", "application/json"),
        ("location", "/x/1"),
        ("etag", '"1"'),
        ("content-length", "2"),
        ("Date", "now"),
        ("x-looma-cost", "3"),
        ("set-cookie", "a=b"),
    ]
    assert kept_headers(given_headers) == given_headers[:3]
