"""The real HAProxy's check of tokens: every forged shape is refused, and what holds comes to the engine as it is."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from joserfc.jwk import RSAKey

from looma_engines.gateway.model import (
    Auth,
    Backend,
    DataPlane,
    Endpoint,
    Match,
    Policy,
    Rule,
    Target,
    TokenKey,
    Tokens,
)
from support.tokens import AUDIENCE, ISSUER, bearer, private_key

ENGINE = "looma_engine-stable_80"
KEY = RSAKey.import_key(private_key())
PUBLIC = KEY.as_pem(private=False)
OTHER = private_key("somebody else")
NOW = int(time.time())
HEADER = {"alg": "RS256", "typ": "JWT", "kid": KEY.thumbprint()}
CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "aud": AUDIENCE,
    "sub": "ada",
    "tenant": "demo",
    "roles": ["recruiter", "admin"],
    "nbf": NOW - 5,
    "exp": NOW + 3600,
}


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(claims: Any = CLAIMS, header: Any = HEADER, pem: bytes = private_key()) -> str:
    """A token with whatever header and claims, signed by RS256 all the same."""
    text = f"{part(header)}.{part(claims)}"
    key: Any = serialization.load_pem_private_key(pem, None)
    return f"{text}.{part(key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def by_secret(secret: bytes) -> str:
    text = f"{part(HEADER | {'alg': 'HS256'})}.{part(CLAIMS)}"
    return f"{text}.{part(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"


def without(name: str) -> dict[str, Any]:
    return {known: value for known, value in CLAIMS.items() if known != name}


GOOD = signed()
HEAD, BODY, SIGNATURE = GOOD.split(".")

FORGED = {
    "no header": None,
    "an empty header": "",
    "the scheme alone": "Bearer",
    "another scheme": f"Basic {GOOD}",
    "no scheme": GOOD,
    "two spaces": f"Bearer  {GOOD}",
    "something after it": f"Bearer {GOOD} x",
    "two parts": f"Bearer {HEAD}.{BODY}",
    "four parts": f"Bearer {GOOD}.x",
    "no signature": f"Bearer {HEAD}.{BODY}.",
    "garbage": "Bearer a.b.c",
    "garbage in the header": f"Bearer !!!.{BODY}.{SIGNATURE}",
    "standard base64": f"Bearer {HEAD}.{BODY}+/.{SIGNATURE}",
    "padding": f"Bearer {HEAD}=.{BODY}.{SIGNATURE}",
    "a changed claim": f"Bearer {HEAD}.{part(CLAIMS | {'sub': 'eve'})}.{SIGNATURE}",
    "a changed signature": f"Bearer {HEAD}.{BODY}.{SIGNATURE[:-6]}AAAAAA",
    "a shortened signature": f"Bearer {HEAD}.{BODY}.{SIGNATURE[:-8]}",
    "too long": f"Bearer {signed(CLAIMS | {'x': 'y' * 7000})}",
    "alg none": f"Bearer {part(HEADER | {'alg': 'none'})}.{BODY}.",
    "alg none with a signature": f"Bearer {part(HEADER | {'alg': 'none'})}.{BODY}.{SIGNATURE}",
    "alg None, signed": f"Bearer {signed(header=HEADER | {'alg': 'None'})}",
    "the public key as a secret": f"Bearer {by_secret(PUBLIC)}",
    "an empty secret": f"Bearer {by_secret(b'')}",
    "another algorithm's name": f"Bearer {signed(header=HEADER | {'alg': 'RS512'})}",
    "no algorithm": f"Bearer {signed(header={'kid': KEY.thumbprint()})}",
    "a critical extension": f"Bearer {signed(header=HEADER | {'crit': ['exp']})}",
    "somebody else's key": f"Bearer {signed(pem=OTHER)}",
    "an unknown key": f"Bearer {signed(header=HEADER | {'kid': 'unknown'}, pem=OTHER)}",
    "no key's id": f"Bearer {signed(header={'alg': 'RS256'})}",
    "a path for a key's id": f"Bearer {signed(header=HEADER | {'kid': '../../etc/passwd'})}",
    "a list for a key's id": f"Bearer {signed(header=HEADER | {'kid': [KEY.thumbprint()]})}",
    "another issuer": f"Bearer {signed(CLAIMS | {'iss': 'https://evil.example'})}",
    "an issuer that begins like ours": f"Bearer {signed(CLAIMS | {'iss': ISSUER + '.evil'})}",
    "no issuer": f"Bearer {signed(without('iss'))}",
    "a list of issuers": f"Bearer {signed(CLAIMS | {'iss': [ISSUER]})}",
    "another audience": f"Bearer {signed(CLAIMS | {'aud': 'others'})}",
    "audiences without ours": f"Bearer {signed(CLAIMS | {'aud': ['others', 'looma-x']})}",
    "no audience": f"Bearer {signed(without('aud'))}",
    "an empty list of audiences": f"Bearer {signed(CLAIMS | {'aud': []})}",
    "a text that looks like a list": f"Bearer {signed(CLAIMS | {'aud': json.dumps([AUDIENCE])})}",
    "an audience within another": "Bearer " + signed(CLAIMS | {"aud": ['x","looma","y']}),
    "an object for an audience": f"Bearer {signed(CLAIMS | {'aud': {'0': AUDIENCE}})}",
    "expired": f"Bearer {signed(CLAIMS | {'exp': NOW - 60})}",
    "no end": f"Bearer {signed(without('exp'))}",
    "an end as a text": f"Bearer {signed(CLAIMS | {'exp': str(NOW + 3600)})}",
    "an end that is true": f"Bearer {signed(CLAIMS | {'exp': True})}",
    "an end that is null": f"Bearer {signed(CLAIMS | {'exp': None})}",
    "an end before all time": f"Bearer {signed(CLAIMS | {'exp': -1})}",
    "an end beyond all time": f"Bearer {signed(CLAIMS | {'exp': 10**30})}",
    "not yet": f"Bearer {signed(CLAIMS | {'nbf': NOW + 600})}",
    "a beginning as a text": f"Bearer {signed(CLAIMS | {'nbf': str(NOW - 5)})}",
    "no subject": f"Bearer {signed(without('sub'))}",
    "a subject of two lines": "Bearer " + signed(CLAIMS | {"sub": "ada\r\nX-Looma-Roles: admin"}),
    "no tenant": f"Bearer {signed(without('tenant'))}",
    "an empty tenant": f"Bearer {signed(CLAIMS | {'tenant': ''})}",
    "no roles": f"Bearer {signed(without('roles'))}",
    "roles as a text": f"Bearer {signed(CLAIMS | {'roles': 'admin'})}",
    "roles as a text that looks like a list": "Bearer " + signed(CLAIMS | {"roles": '["admin"]'}),
    "roles as an object": f"Bearer {signed(CLAIMS | {'roles': {'admin': True}})}",
    "a role that fakes another": "Bearer " + signed(CLAIMS | {"roles": ['x","admin']}),
    "a role with a comma": f"Bearer {signed(CLAIMS | {'roles': ['x,admin']})}",
    "claims that are no object": f"Bearer {signed(b'[]')}",
    "claims that are no JSON": f"Bearer {signed(b'nonsense')}",
}


def plane(port: int, keys: tuple[TokenKey, ...]) -> DataPlane:
    def rule(path: str, auth: Auth) -> Rule:
        return Rule(
            name=f"looma/{path}/0",
            matches=(Match(path=f"/{path}"),),
            targets=(Target(backend=ENGINE),),
            policy=Policy(auth=auth),
        )

    return DataPlane(
        ready=True,
        pod="gateway-1",
        rules=(
            rule("any", Auth(required=True)),
            rule("admin", Auth(required=True, roles=("admin", "operator"))),
            rule("hr", Auth(required=True, roles=("h.r",))),
            rule("open", Auth()),
        ),
        backends=(
            Backend(
                name=ENGINE,
                service="engine-stable",
                endpoints=(Endpoint(address="127.0.0.1", port=port),),
            ),
        ),
        tokens=Tokens(issuer=ISSUER, audience=AUDIENCE, keys=keys),
    )


OURS = TokenKey(id=KEY.thumbprint(), pem=PUBLIC.decode())


@pytest.fixture
def guarded(new_gateway, new_engine):
    engine = new_engine()
    second = TokenKey(id="second/../key 'x'", pem=RSAKey.import_key(OTHER).as_pem(private=False).decode())
    return new_gateway(plane(engine.port, (OURS, second))), engine


def ask(gateway: Any, path: str, authorization: str | None) -> httpx.Response:
    headers = {} if authorization is None else {"Authorization": authorization}
    answer: httpx.Response = gateway.client.get(path, headers=headers)
    return answer


def test_every_forged_shape_is_refused(guarded):
    gateway, engine = guarded
    assert len(FORGED) >= 25
    let_in = {}
    for shape, authorization in FORGED.items():
        answer = ask(gateway, "/any", authorization)
        if answer.status_code != 401 or answer.json()["type"] != "urn:looma:problem:unauthenticated":
            let_in[shape] = answer.text
        elif not answer.headers["www-authenticate"].startswith("Bearer error="):
            let_in[shape] = str(answer.headers)
    assert let_in == {}
    assert engine.asked == []


def test_two_headers_and_a_token_elsewhere_are_refused(guarded):
    gateway, engine = guarded
    both = [("Authorization", f"Bearer {GOOD}"), ("Authorization", f"Bearer {GOOD}")]
    assert gateway.client.get("/any", headers=both).status_code == 401
    assert gateway.client.get(f"/any?access_token={GOOD}").status_code == 401
    assert gateway.client.get("/any", cookies={"token": GOOD}).status_code == 401
    assert engine.asked == []


ACCEPTED = {
    "as Looma issues it": bearer(roles=("recruiter", "admin"))["Authorization"],
    "as it is": f"Bearer {GOOD}",
    "the scheme in small letters": f"bearer {GOOD}",
    "a list of audiences": f"Bearer {signed(CLAIMS | {'aud': ['others', AUDIENCE]})}",
    "a list of one audience": f"Bearer {signed(CLAIMS | {'aud': [AUDIENCE]})}",
    "no beginning": f"Bearer {signed(without('nbf'))}",
    "a clock that differs": f"Bearer {signed(CLAIMS | {'nbf': NOW + 3, 'exp': NOW + 3600})}",
    "further claims": "Bearer " + signed(CLAIMS | {"note": 'a "exp": b', "n": {"a": [1]}}),
    "the second key": "Bearer " + signed(header=HEADER | {"kid": "second/../key 'x'"}, pem=OTHER),
}


@pytest.mark.parametrize("shape", sorted(ACCEPTED))
def test_what_holds_comes_to_the_engine_as_it_is(guarded, shape):
    gateway, _ = guarded
    forged = {"X-Looma-Roles": "operator", "X-Looma-Subject": "eve", "X-Looma-Tenant": "others"}
    answer = gateway.client.get("/admin", headers={"Authorization": ACCEPTED[shape]} | forged)
    assert answer.status_code == 200, answer.text
    headers = answer.json()["headers"]
    known = dict(headers)
    assert (known["x-looma-subject"], known["x-looma-tenant"]) == ("ada", "demo")
    assert set(known["x-looma-roles"].split(",")) == {"recruiter", "admin"}
    assert known["authorization"] == ACCEPTED[shape]
    assert sum(name.startswith("x-looma-") for name, _ in headers) == 3


@pytest.mark.parametrize(
    ("path", "roles", "status"),
    [
        ("/any", [], 200),
        ("/any", ["recruiter"], 200),
        ("/admin", ["recruiter"], 403),
        ("/admin", [], 403),
        ("/admin", ["admins"], 403),
        ("/admin", ["xadmin", "Admin"], 403),
        ("/admin", ["operator"], 200),
        ("/hr", ["h.r"], 200),
        ("/hr", ["hxr"], 403),
        ("/open", [], 200),
    ],
)
def test_one_of_the_roles_is_enough(guarded, path, roles, status):
    gateway, _ = guarded
    answer = ask(gateway, path, f"Bearer {signed(CLAIMS | {'roles': roles})}")
    assert answer.status_code == status, answer.text
    if status == 403:
        assert answer.json()["type"] == "urn:looma:problem:forbidden"
        assert "roles is needed" in answer.json()["detail"]


def test_an_open_rule_asks_nobody_and_believes_nobody(guarded):
    gateway, _ = guarded
    answer = gateway.client.get(
        "/open", headers={"Authorization": "Bearer nonsense", "X-Looma-Roles": "admin"}
    )
    assert answer.status_code == 200
    assert "x-looma-roles" not in dict(answer.json()["headers"])


def test_without_keys_it_is_the_gateway_that_is_not_ready(new_gateway, new_engine):
    engine = new_engine()
    gateway = new_gateway(plane(engine.port, ()))
    answer = ask(gateway, "/any", f"Bearer {GOOD}")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["type"] == "urn:looma:problem:not-ready"
    assert ask(gateway, "/open", None).status_code == 200
    gateway.apply(plane(engine.port, (OURS,)))
    assert ask(gateway, "/any", f"Bearer {GOOD}").status_code == 200


def test_a_token_ends_while_it_is_used(guarded):
    gateway, _ = guarded
    # The leeway is ten seconds: this one has two left.
    token = f"Bearer {signed(CLAIMS | {'exp': int(time.time()) - 8})}"
    assert ask(gateway, "/any", token).status_code == 200
    gateway.until(lambda: ask(gateway, "/any", token).status_code == 401)
