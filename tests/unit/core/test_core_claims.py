"""Claims by the issuer's own names, and keys of several issuers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from looma_core.auth import JwksKeys, Principal, StaticKeys, TokenIssuer, TokenVerifier, public_jwks
from looma_core.claims import ClaimNames, claim, nested
from looma_core.key_sets import KeySets, addresses
from looma_core.problems import NotReady, Unauthenticated
from looma_core.settings import CoreSettings, SettingsError, load
from support.tokens import AUDIENCE, ISSUER, private_key

NOW = 1_800_000_000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tenant", "demo"),
        ("realm_access.roles", ["a"]),
        ("realm_access", {"roles": ["a"]}),
        ("missing", None),
        ("tenant.name", None),
        ("realm_access.roles.a", None),
        ("realm_access.missing", None),
    ],
)
def test_a_dot_leads_into_an_object(name: str, value: object) -> None:
    assert claim({"tenant": "demo", "realm_access": {"roles": ["a"]}}, name) == value


def test_names_become_objects_that_share_their_beginnings() -> None:
    made = nested({"a.b": 1, "a.c.d": 2, "e": 3})
    assert made == {"a": {"b": 1, "c": {"d": 2}}, "e": 3}
    assert [claim(made, name) for name in ("a.b", "a.c.d", "e")] == [1, 2, 3]


@pytest.mark.parametrize("name", ["", ".a", "a.", "a..b", "a b", "$.a", "a[0]", "a'b", "a\n", "x" * 65])
def test_a_name_that_could_be_read_as_something_else_is_no_setting(name: str) -> None:
    with pytest.raises(SettingsError, match="LOOMA_JWT_ROLES_CLAIM"):
        load(CoreSettings, {"LOOMA_JWT_ROLES_CLAIM": name or " "})


async def test_a_token_is_signed_and_read_by_the_issuers_names() -> None:
    names = ClaimNames(tenant="organisation", roles="realm_access.roles")
    issuer = TokenIssuer(private_key(), issuer=ISSUER, audience=AUDIENCE, names=names)
    token = issuer.issue(subject="ada", tenant="demo", roles=["admin"], now=NOW)
    keys = StaticKeys(public_jwks(private_key()))

    def verifier(names: ClaimNames) -> TokenVerifier:
        return TokenVerifier(issuer=ISSUER, audience=AUDIENCE, keys=keys, names=names, now=lambda: NOW)

    assert await verifier(names).verify(token) == Principal("ada", "demo", frozenset({"admin"}))
    with pytest.raises(Unauthenticated, match="claim `tenant` is not a name"):
        await verifier(ClaimNames()).verify(token)
    with pytest.raises(Unauthenticated, match=r"claim `realm_access\.groups` is not a list of names"):
        await verifier(ClaimNames(tenant="organisation", roles="realm_access.groups")).verify(token)


class Sets:
    """Two issuers' JWK Sets; None is one that is away."""

    def __init__(self, **sets: dict[str, Any] | None) -> None:
        self.sets = sets

    async def fetch(self, url: str) -> bytes:
        found = self.sets[url]
        if found is None:
            raise OSError("away")
        return json.dumps(found).encode()

    def keys(self) -> KeySets:
        return KeySets([JwksKeys(url, fetch=self.fetch) for url in self.sets])


def kid(name: str) -> str:
    return str(public_jwks(private_key(name))["keys"][0]["kid"])


async def test_a_key_of_any_of_the_issuers_is_found() -> None:
    keys = Sets(theirs=public_jwks(private_key("theirs")), ours=public_jwks(private_key("ours"))).keys()
    await keys.warm()
    for name in ("theirs", "ours"):
        found = await keys.find(kid(name))
        assert found is not None
        assert found.kid == kid(name)
    assert await keys.find("nobody's") is None
    await keys.loaded()


async def test_while_one_is_away_the_others_callers_go_on_and_its_own_are_not_called_strangers() -> None:
    keys = Sets(theirs=None, ours=public_jwks(private_key("ours"))).keys()
    assert await keys.find(kid("ours")) is not None
    with pytest.raises(NotReady):
        await keys.find(kid("theirs"))
    await keys.loaded()
    with pytest.raises(NotReady):
        await Sets(theirs=None, ours=None).keys().loaded()


async def test_of_two_with_the_same_id_the_first_has_it() -> None:
    theirs, ours = (public_jwks(private_key(name))["keys"][0] | {"kid": "1"} for name in ("theirs", "ours"))
    found = await Sets(theirs={"keys": [theirs]}, ours={"keys": [ours]}).keys().find("1")
    assert found is not None
    assert found.as_dict(private=False)["n"] == theirs["n"]


def test_addresses_are_named_once_each() -> None:
    assert addresses("https://a/jwks  http://b http://b") == ["https://a/jwks", "http://b"]
    given = load(CoreSettings, {"LOOMA_JWKS_URL": "https://a/jwks http://b"})
    assert addresses(given.jwks_url) == ["https://a/jwks", "http://b"]
    with pytest.raises(SettingsError, match="LOOMA_JWKS_URL"):
        load(CoreSettings, {"LOOMA_JWKS_URL": "https://a/jwks b"})
