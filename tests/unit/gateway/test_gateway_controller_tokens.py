"""The issuer's keys: which are taken, and that the last good ones stay."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey
from structlog.testing import CapturingLogger

from looma_engines.gateway import tokens
from looma_engines.gateway.files import remove_others, write_all, write_atomically
from looma_engines.gateway.tokens import IssuerKeys, NoKeysError, all_keys, keys_of

RSA = RSAKey.generate_key(2048, auto_kid=False)
PUBLIC = RSA.as_dict(private=False)


def jwks(*keys: Any) -> bytes:
    return json.dumps({"keys": list(keys)}).encode()


def key(kid: str = "k1", **more: Any) -> dict[str, Any]:
    return {**PUBLIC, "kid": kid, **more}


def test_an_rsa_key_becomes_pem_and_nothing_private_is_kept() -> None:
    (only,) = keys_of(jwks({**RSA.as_dict(private=True), "kid": "k1", "use": "sig", "alg": "RS256"}))
    assert only.id == "k1"
    assert only.pem.startswith("-----BEGIN PUBLIC KEY-----")
    assert "PRIVATE" not in only.pem


@pytest.mark.parametrize(
    "wrong",
    [
        key(use="enc"),
        key(alg="RS512"),
        key(kid="../../etc/passwd"),
        key(kid=".hidden"),
        key(kid=""),
        {name: value for name, value in PUBLIC.items() if name != "kid"},
        {"kty": "RSA", "kid": "k2"},
        {"kty": "RSA", "kid": "k2", "n": "!", "e": 3},
        {**ECKey.generate_key("P-256").as_dict(private=False), "kid": "k2"},
        {**OctKey.generate_key(256).as_dict(), "kid": "k2"},
        "no key",
        None,
    ],
)
def test_a_key_that_cannot_be_used_is_passed_over(wrong: Any) -> None:
    assert [item.id for item in keys_of(jwks(key("good"), wrong))] == ["good"]
    with pytest.raises(NoKeysError):
        keys_of(jwks(wrong))


def test_a_short_key_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "LEAST_BITS", 4096)
    with pytest.raises(NoKeysError):
        keys_of(jwks(key()))


@pytest.mark.parametrize("document", [b"", b"{}", b"[]", b'{"keys": 3}', b'{"keys": []}', b"<html>"])
def test_what_is_no_key_set_is_said(document: bytes) -> None:
    with pytest.raises(NoKeysError):
        keys_of(document)


class Issuer:
    """Answers as the test says."""

    def __init__(self) -> None:
        self.answer: bytes | Exception = jwks(key())

    async def __call__(self, url: str) -> bytes:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def issuer_keys(folder: Path, issuer: Issuer) -> tuple[IssuerKeys, list[None]]:
    told: list[None] = []
    made = IssuerKeys("http://issuer/jwks", folder=folder, on_change=lambda: told.append(None), fetch=issuer)
    return made, told


async def test_keys_are_told_when_they_change_and_stay_when_the_issuer_is_away(tmp_path: Path) -> None:
    issuer = Issuer()
    keys, told = issuer_keys(tmp_path, issuer)
    assert keys.keys == ()
    assert await keys.refresh()
    assert await keys.refresh()
    assert len(told) == 1
    known = keys.keys
    for failure in (httpx.ConnectError("away"), httpx.InvalidURL("bad"), OSError("no"), b"<html>"):
        issuer.answer = failure
        assert not await keys.refresh()
        assert keys.keys == known
    issuer.answer = jwks(key("k2"))
    assert await keys.refresh()
    assert [item.id for item in keys.keys] == ["k2"]
    assert len(told) == 2
    # A controller that starts anew while the issuer is away has them still.
    issuer.answer = httpx.ConnectError("away")
    assert issuer_keys(tmp_path, issuer)[0].keys == keys.keys


async def test_it_asks_often_for_the_first_keys_and_seldom_once_it_has_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer = Issuer()
    away = httpx.ConnectError("away")
    keys, _ = issuer_keys(tmp_path, issuer)
    pauses: list[float] = []
    # What is answered after each pause.
    answers = [away, jwks(key()), away]
    issuer.answer = away

    class Enough(Exception):
        pass

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if not answers:
            raise Enough
        issuer.answer = answers.pop(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    log = CapturingLogger()
    monkeypatch.setattr(tokens, "log", log)
    with pytest.raises(Enough):
        await keys.run()
    first, later = tokens.FIRST_RETRY_SECONDS, tokens.RETRY_SECONDS
    assert pauses == [first, first, tokens.REFRESH_SECONDS, later]
    events = [call.args[0] for call in log.calls]
    assert events == ["issuer keys not read", "issuer keys changed", "issuer keys not read"], "once each time"


def test_a_kept_file_that_is_damaged_is_no_key(tmp_path: Path) -> None:
    (tmp_path / tokens.kept_in("http://issuer/jwks")).write_text("{")
    assert issuer_keys(tmp_path, Issuer())[0].keys == ()


def by(url: str, folder: Path, issuer: Issuer, told: list[str]) -> IssuerKeys:
    return IssuerKeys(url, folder=folder, on_change=lambda: told.append(url), fetch=issuer)


async def test_keys_of_several_issuers_wait_for_one_another_once(tmp_path: Path) -> None:
    theirs, ours, told = Issuer(), Issuer(), []
    theirs.answer, ours.answer = jwks(key("a"), key("b")), jwks(key("b"), key("c"))
    issuers = [by("http://theirs", tmp_path, theirs, told), by("http://ours", tmp_path, ours, told)]
    assert await issuers[1].refresh()
    # Else a token of theirs would be a stranger's for a moment.
    assert all_keys(issuers) == ()
    theirs_answer, theirs.answer = theirs.answer, httpx.ConnectError("away")
    assert not await issuers[0].refresh()
    assert not await issuers[0].refresh()
    assert told == ["http://ours", "http://theirs"], "who waits for it hears of it, once"
    assert [item.id for item in all_keys(issuers)] == ["b", "c"]
    theirs.answer = theirs_answer
    assert await issuers[0].refresh()
    assert [item.id for item in all_keys(issuers)] == ["a", "b", "c"]
    assert next(item for item in all_keys(issuers) if item.id == "b") in issuers[0].keys
    # Each keeps its own: a controller that starts anew while both are away has all of them.
    theirs.answer = ours.answer = httpx.ConnectError("away")
    again = [by(url, tmp_path, theirs, told) for url in ("http://theirs", "http://ours")]
    assert all_keys(again) == all_keys(issuers)


# Files


def test_files_are_written_whole_last_the_one_that_names_the_others(tmp_path: Path) -> None:
    files = {"haproxy.cfg": "cfg", "a/key.pem": b"key", "weights.map": "map"}
    assert write_all(tmp_path, files, last="haproxy.cfg") == 3
    assert (tmp_path / "a/key.pem").read_bytes() == b"key"
    assert (tmp_path / "haproxy.cfg").stat().st_mode & 0o777 == 0o600
    assert write_all(tmp_path, files, last="haproxy.cfg") == 0
    assert write_all(tmp_path, {**files, "weights.map": "other"}, last="haproxy.cfg") == 1
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [
        "haproxy.cfg",
        "key.pem",
        "weights.map",
    ]


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomically(tmp_path / "file", b"old")

    def refuse(self: Path, target: Path) -> Path:
        raise OSError("no room")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="no room"):
        write_atomically(tmp_path / "file", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"old")]


def test_keys_of_earlier_times_are_removed_and_nothing_else(tmp_path: Path) -> None:
    write_all(tmp_path, {"haproxy.cfg": "c", "keys/old.pem": "o", "keys/new.pem": "n"}, last="haproxy.cfg")
    write_atomically(tmp_path / "worker.sock", b"")
    remove_others(tmp_path, {"haproxy.cfg": "c", "keys/new.pem": "n"})
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [
        "haproxy.cfg",
        "new.pem",
        "worker.sock",
    ]
