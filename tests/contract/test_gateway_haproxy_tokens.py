"""The real HAProxy's check of tokens: every forged shape is refused, and what holds comes to the engine as it is."""

from __future__ import annotations

import json
import random
import time
from http.client import HTTPConnection
from typing import Any

import httpx
import msgspec
import pytest
from joserfc.jwk import RSAKey

from looma_engines.gateway.model import Auth, DataPlane, Peer, Policy, TokenKey, Tokens
from support import http2
from support.forgeries import CLAIMS, GOOD, HEADER, NOW, OTHER, signed, without
from support.gateway_planes import OURS, plane, rule_at
from support.haproxy import free_ports
from support.tokens import AUDIENCE, ISSUER, bearer


def asking(port: int, *keys: TokenKey) -> DataPlane:
    """Rules that ask for any token, for roles, and for none."""
    return plane(
        rule_at("/any", Policy(auth=Auth(required=True))),
        rule_at("/admin", Policy(auth=Auth(required=True, roles=("admin", "operator")))),
        rule_at("/hr", Policy(auth=Auth(required=True, roles=("h.r",)))),
        rule_at("/open", Policy()),
        port=port,
        # Without any key as well.
        tokens=Tokens(issuer=ISSUER, audience=AUDIENCE, keys=keys),
    )


@pytest.fixture
def guarded(new_gateway, new_engine):
    engine = new_engine()
    second = TokenKey(id="second/../key 'x'", pem=RSAKey.import_key(OTHER).as_pem(private=False).decode())
    return new_gateway(asking(engine.port, OURS, second)), engine


def ask(gateway: Any, path: str, authorization: str | None) -> httpx.Response:
    headers = {} if authorization is None else {"Authorization": authorization}
    answer: httpx.Response = gateway.client.get(path, headers=headers)
    return answer


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
    gateway = new_gateway(asking(engine.port))
    answer = ask(gateway, "/any", f"Bearer {GOOD}")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["type"] == "urn:looma:problem:not-ready"
    assert ask(gateway, "/open", None).status_code == 200
    gateway.apply(asking(engine.port, OURS))
    assert ask(gateway, "/any", f"Bearer {GOOD}").status_code == 200


def test_a_token_ends_while_it_is_used(guarded):
    gateway, _ = guarded
    # The leeway is ten seconds: this one has two left.
    token = f"Bearer {signed(CLAIMS | {'exp': int(time.time()) - 8})}"
    assert ask(gateway, "/any", token).status_code == 200
    gateway.until(lambda: ask(gateway, "/any", token).status_code == 401)


def remembered(gateway: Any) -> int:
    """Tokens that HAProxy knows to be good."""
    said: str = gateway.haproxy.command("show table good_tokens")
    return int(said.partition("used:")[2].split()[0])


def test_a_token_that_held_is_remembered_and_one_that_did_not_is_not(guarded):
    gateway, _ = guarded
    forged = f"Bearer {signed(pem=OTHER)}"
    assert ask(gateway, "/any", forged).status_code == 401
    assert remembered(gateway) == 0
    for _ in range(3):
        assert ask(gateway, "/any", f"Bearer {GOOD}").status_code == 200
    assert remembered(gateway) == 1
    # Each part of the token is in what is remembered.
    head, payload, signature = GOOD.split(".")
    others = signed(CLAIMS | {"roles": ["admin"]}, pem=OTHER).split(".")
    for mixed in (
        (head, others[1], signature),
        (head, payload, others[2]),
        (signed(header=HEADER | {"kid": "second/../key 'x'"}).split(".")[0], payload, signature),
    ):
        assert ask(gateway, "/any", f"Bearer {'.'.join(mixed)}").status_code == 401, mixed
    assert ask(gateway, "/any", forged).status_code == 401
    assert remembered(gateway) == 1


@pytest.mark.parametrize(("exp", "known"), [(2**32 - 1, 1), (2**32, 0), (2**32 + 1, 0), (99_999_999_999, 0)])
def test_a_token_that_holds_for_longer_than_the_table_can_tell_is_computed_each_time(guarded, exp, known):
    gateway, _ = guarded
    token = f"Bearer {signed(CLAIMS | {'exp': exp})}"
    assert [ask(gateway, "/any", token).status_code for _ in range(3)] == [200, 200, 200]
    assert remembered(gateway) == known


@pytest.mark.parametrize("claims", [{"exp": 1}, {"exp": 0}, {"nbf": 99_999_999_999}])
def test_a_token_that_does_not_hold_now_is_not_remembered(guarded, claims):
    gateway, _ = guarded
    token = f"Bearer {signed(CLAIMS | claims)}"
    assert [ask(gateway, "/any", token).status_code for _ in range(2)] == [401, 401]
    assert remembered(gateway) == 0


def test_a_remembered_token_is_still_held_against_the_roles_of_each_rule(guarded):
    gateway, _ = guarded
    token = f"Bearer {signed(CLAIMS | {'roles': ['recruiter']})}"
    assert [ask(gateway, path, token).status_code for path in ("/any", "/admin", "/any")] == [200, 403, 200]
    assert remembered(gateway) == 1


@pytest.mark.parametrize(
    "said", ["Basic  {}", "Digest {}", "Bearer{}", "Bearer  {}", "{}", "Bearer {} x", "Bearer {},x"]
)
def test_a_remembered_token_is_taken_in_one_form_alone(guarded, said):
    gateway, _ = guarded
    assert ask(gateway, "/any", f"Bearer {GOOD}").status_code == 200
    refused = ask(gateway, "/any", said.format(GOOD))
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == 'Bearer error="invalid_request"'


def on(connection: HTTPConnection, path: str, *authorization: str) -> tuple[int, dict[str, str]]:
    """Status and headers that the engine saw, of a request on this very connection: it is never opened again."""
    connection.putrequest("GET", path)
    for said in authorization:
        connection.putheader("Authorization", said)
    connection.endheaders()
    answer = connection.getresponse()
    connection.auto_open = 0
    body = json.loads(answer.read())
    return answer.status, dict(body.get("headers", {}))


def test_a_connection_knows_its_last_good_header(guarded):
    gateway, _ = guarded
    connection, other = (HTTPConnection("127.0.0.1", gateway.port, timeout=10) for _ in range(2))
    assert on(connection, "/any", f"Bearer {GOOD}")[0] == 200
    gateway.haproxy.command("clear table good_tokens")
    status, headers = on(connection, "/any", f"Bearer {GOOD}")
    assert (status, headers["x-looma-subject"], headers["x-looma-tenant"]) == (200, "ada", "demo")
    assert set(headers["x-looma-roles"].split(",")) == set(CLAIMS["roles"])
    assert remembered(gateway) == 0, "it was not computed again"
    assert on(other, "/any", f"Bearer {GOOD}")[0] == 200
    assert remembered(gateway) == 1, "another connection knows nothing"


def test_a_header_that_is_long_is_read_each_time(guarded):
    gateway, _ = guarded
    long = f"Bearer {signed(CLAIMS | {'note': 'x' * 2000})}"
    connection = HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    for said, known in ((f"Bearer {GOOD}", 1), (long, 1), (long, 1), (f"Bearer {GOOD}", 1)):
        gateway.haproxy.command("clear table good_tokens")
        assert on(connection, "/any", said)[0] == 200
        assert remembered(gateway) == known


@pytest.mark.parametrize("seed", range(3))
def test_whatever_came_before_on_a_connection_each_request_is_its_own_callers(guarded, seed):
    gateway, _ = guarded
    draw = random.Random(seed)  # noqa: S311 - an order of requests
    people = {
        name: f"Bearer {signed(CLAIMS | {'sub': name, 'tenant': tenant, 'roles': roles})}"
        for name, tenant, roles in (("ada", "demo", ["recruiter"]), ("bob", "others", ["admin"]))
    }
    people["eve"] = f"Bearer {signed(CLAIMS | {'sub': 'eve', 'note': 'x' * 2000})}"
    refused = {
        "none": (),
        "two": (people["ada"], people["bob"]),
        "twice": (people["ada"], people["ada"]),
        "forged": (f"Bearer {signed(CLAIMS | {'sub': 'ada'}, pem=OTHER)}",),
        "over": (f"Bearer {signed(CLAIMS | {'exp': NOW - 3600})}",),
        "begun": (people["ada"][:-1],),
        "longer": (people["ada"] + "A",),
    }
    connection = HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    for number in range(150):
        who = draw.choice([*people, *refused, "ada", "bob"])
        path = draw.choice(["/any", "/any", "/admin", "/open"])
        status, headers = on(connection, path, *refused.get(who, (people.get(who),)))
        said = (number, who, path, status, headers.get("x-looma-subject"))
        if path == "/open":
            assert (status, "x-looma-subject" in headers) == (200, False), said
        elif who in refused:
            assert status == 401, said
        elif path == "/admin" and who == "ada":
            assert status == 403, said
        else:
            assert (status, headers["x-looma-subject"]) == (200, who), said
            assert headers["x-looma-tenant"] == ("others" if who == "bob" else "demo"), said


def test_requests_side_by_side_on_one_connection_are_each_their_own_callers(guarded):
    gateway, _ = guarded
    tokens = [f"Bearer {signed(CLAIMS | {'sub': f'person-{number}'})}" for number in range(3)]
    asked = b"".join(
        http2.asking("/any", stream=2 * number + 1, method="GET", authorization=tokens[number % 3])
        for number in range(30)
    )
    answers = http2.bodies(gateway.raw(http2.opening() + asked))
    assert sorted(answers) == [2 * number + 1 for number in range(30)]
    for stream, body in answers.items():
        headers = dict(json.loads(body)["headers"])
        assert headers["x-looma-subject"] == f"person-{stream // 2 % 3}"


def test_a_token_ends_while_one_connection_uses_it(guarded):
    gateway, _ = guarded
    # The leeway is ten seconds: this one has two left.
    token = f"Bearer {signed(CLAIMS | {'exp': int(time.time()) - 8})}"
    connection = HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    assert on(connection, "/any", token)[0] == 200
    gateway.until(lambda: on(connection, "/any", token)[0] == 401)


def test_a_remembered_token_holds_no_longer_than_its_key(new_gateway, new_engine):
    engine = new_engine()
    other = TokenKey(id="other", pem=RSAKey.import_key(OTHER).as_pem(private=False).decode())
    gateway = new_gateway(asking(engine.port, OURS, other))
    assert ask(gateway, "/any", f"Bearer {GOOD}").status_code == 200
    gateway.apply(asking(engine.port, other))
    assert ask(gateway, "/any", f"Bearer {GOOD}").status_code == 401
    assert remembered(gateway) == 0
    # Another key by the same name: whoever rotates so is not answered by what the first one had signed.
    gateway.apply(asking(engine.port, OURS))
    assert ask(gateway, "/any", f"Bearer {GOOD}").status_code == 200
    gateway.apply(asking(engine.port, TokenKey(id=OURS.id, pem=other.pem)))
    assert ask(gateway, "/any", f"Bearer {GOOD}").status_code == 401


def test_gateways_with_peers_forget_with_their_reload_too(new_gateway, new_engine):
    """Counters of limits outlive a reload by the peers' section; verdicts must not."""
    engine = new_engine()
    (peers_port,) = free_ports(1)
    peers = (Peer(name="gateway-1", address="127.0.0.1"),)
    first = msgspec.structs.replace(asking(engine.port, OURS), peers=peers)
    gateway = new_gateway(first, peers_port=peers_port)
    assert ask(gateway, "/any", f"Bearer {GOOD}").status_code == 200
    assert remembered(gateway) == 1
    other = TokenKey(id="other", pem=RSAKey.import_key(OTHER).as_pem(private=False).decode())
    gateway.apply(
        msgspec.structs.replace(first, tokens=Tokens(issuer=ISSUER, audience=AUDIENCE, keys=(other,)))
    )
    assert ask(gateway, "/any", f"Bearer {GOOD}").status_code == 401
    assert remembered(gateway) == 0
