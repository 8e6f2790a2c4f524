"""What translation finds out about Gateways and routes, and that no object can stop it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import json

from looma_engines.gateway.findings import Translation
from looma_engines.gateway.model import TokenKey
from looma_engines.gateway.translate import Here, translate
from looma_engines.gateway.translate.listeners import secrets_wanted
from support.gateway_world import (
    Object,
    ai_service,
    endpoint,
    gateway,
    gateway_class,
    grant,
    https,
    listener,
    match,
    pem,
    route,
    rule,
    secret,
    service,
    slice_of,
    small_world,
    snapshot,
    to,
)


def made(*documents: Object) -> Translation:
    return translate(snapshot(*documents), here=Here(), keys=())


def of_listener(translation: Translation, number: int = 0, gateway_number: int = 0) -> dict[str, Any]:
    found = translation.gateways[gateway_number].listeners[number]
    return {one.type: (one.holds, one.reason) for one in found.findings} | {"open": found.open}


# GatewayClass


@pytest.mark.parametrize(
    ("classes", "served"),
    [
        ([gateway_class()], True),
        ([], True),
        ([gateway_class(controller="example.org/other")], False),
        ([gateway_class("other", controller="example.org/other")], True),
    ],
)
def test_whose_gateways_are_ours(classes: list[Object], served: bool) -> None:
    translation = made(*classes, *small_world()[1:])
    assert bool(translation.plane.rules) is served
    assert bool(translation.gateways) is served
    assert bool(translation.routes) is served


def test_a_gateway_of_another_class_is_left_alone() -> None:
    translation = made(gateway(class_name="other"), service(), route())
    assert (translation.gateways, translation.routes, translation.plane.rules) == ((), (), ())


def test_the_class_is_accepted() -> None:
    (found,) = made(gateway_class()).gateway_classes
    assert [(one.type, one.holds) for one in found.findings] == [("Accepted", True)]
    assert list(found.features) == sorted(found.features)
    assert "HTTPRoute" in found.features
    assert made(gateway_class(controller="example.org/other")).gateway_classes == ()


def test_a_class_that_names_us_by_a_name_that_nobody_serves_is_refused() -> None:
    known, stray = made(gateway_class("stray"), gateway_class()).gateway_classes
    assert (known.name, stray.name) == ("looma", "stray")
    assert [(one.holds, one.reason) for one in stray.findings] == [(False, "Unsupported")]
    assert stray.features == ()


# Gateways


@pytest.mark.parametrize(
    "more",
    [
        {"addresses": [{"value": "1.2.3.4"}]},
        {"infrastructure": {"parametersRef": {"kind": "X", "name": "x", "group": "y"}}},
        {"tls": {"frontend": {"default": {}}}},
    ],
)
def test_a_gateway_that_asks_for_what_there_is_not_opens_nothing(more: Object) -> None:
    translation = made(gateway(**more), service(), route())
    assert translation.plane.listeners == ()
    (said,) = translation.gateways[0].findings
    assert (said.type, said.holds) == ("Accepted", False)


@pytest.mark.parametrize(
    ("spec", "condition", "reason"),
    [
        (listener(protocol="TCP"), "Accepted", "UnsupportedProtocol"),
        (listener(port=8080), "Accepted", "PortUnavailable"),
        (listener(port=443), "Accepted", "PortUnavailable"),
        (
            listener(port=443, protocol="HTTPS", tls={"mode": "Passthrough"}),
            "Accepted",
            "UnsupportedProtocol",
        ),
        (listener(port=443, protocol="HTTPS", tls={}), "ResolvedRefs", "InvalidCertificateRef"),
        (https(of="nobody"), "ResolvedRefs", "InvalidCertificateRef"),
        (https(of="broken"), "ResolvedRefs", "InvalidCertificateRef"),
        (https(of="mixed"), "ResolvedRefs", "InvalidCertificateRef"),
        (
            listener(
                port=443, protocol="HTTPS", tls={"certificateRefs": [{"name": "tls", "kind": "ConfigMap"}]}
            ),
            "ResolvedRefs",
            "InvalidCertificateRef",
        ),
        (
            listener(
                port=443, protocol="HTTPS", tls={"certificateRefs": [{"name": "tls", "namespace": "other"}]}
            ),
            "ResolvedRefs",
            "RefNotPermitted",
        ),
        (listener(allowedRoutes={"kinds": [{"kind": "TCPRoute"}]}), "ResolvedRefs", "InvalidRouteKinds"),
    ],
)
def test_a_listener_that_cannot_be_opened(spec: Object, condition: str, reason: str) -> None:
    _, other_key = pem("another.example.org")
    translation = made(
        gateway(spec),
        secret(),
        secret("broken", certificate="no certificate"),
        secret("mixed", key=other_key),
        secret("tls", namespace="other"),
    )
    assert of_listener(translation)[condition] == (False, reason)
    assert not of_listener(translation)["open"]
    assert translation.plane.listeners == ()
    assert translation.gateways[0].findings[0].reason == "ListenersNotValid"


def test_one_listener_of_two_makes_a_gateway_accepted() -> None:
    translation = made(gateway(listener(), https(of="nobody")), service(), route())
    (said,) = translation.gateways[0].findings
    assert (said.holds, said.reason) == (True, "ListenersNotValid")
    assert [item.name for item in translation.plane.listeners] == ["looma_looma_http"]
    assert len(translation.plane.rules) == 1


def test_a_kind_that_is_known_beside_one_that_is_not() -> None:
    kinds = {"kinds": [{"kind": "TCPRoute"}, {"kind": "HTTPRoute"}]}
    translation = made(gateway(listener(allowedRoutes=kinds)), service(), route())
    assert of_listener(translation)["ResolvedRefs"] == (False, "InvalidRouteKinds")
    assert translation.gateways[0].listeners[0].kinds == ("HTTPRoute",)
    assert len(translation.plane.rules) == 1


def test_a_certificate_opens_https_with_chain_and_key() -> None:
    certificate, key = pem()
    (only,) = made(gateway(https(hostname="A.example.org")), secret()).plane.listeners
    assert (only.port, only.hostname) == (8443, "a.example.org")
    assert only.certificate == certificate + key


def test_a_certificate_of_another_namespace_needs_a_grant() -> None:
    far = listener(
        port=443, protocol="HTTPS", tls={"certificateRefs": [{"name": "tls", "namespace": "other"}]}
    )
    permit = grant(namespace="other", by="looma", kind="Gateway", to_kind="Secret")
    assert made(gateway(far), secret(namespace="other"), permit).plane.listeners
    assert secrets_wanted(snapshot(gateway(far)), "looma") == {("other", "tls")}
    assert secrets_wanted(snapshot(gateway(far, class_name="other")), "looma") == set()


def test_the_older_gateway_has_the_port() -> None:
    old, new = (
        gateway(name="old"),
        gateway(listener(), listener("more", hostname="a.example.org"), name="new"),
    )
    new["metadata"]["creationTimestamp"] = "2025-06-01T00:00:00Z"
    translation = made(new, old)
    assert [item.name for item in translation.gateways] == ["old", "new"]
    assert of_listener(translation)["Conflicted"] == (False, "NoConflicts")
    assert of_listener(translation, 0, 1)["Conflicted"] == (True, "HostnameConflict")
    assert of_listener(translation, 1, 1)["Conflicted"] == (False, "NoConflicts")
    assert [item.name for item in translation.plane.listeners] == ["looma_old_http", "looma_new_more"]


# Attachment


def selector(**more: Any) -> Object:
    return {"allowedRoutes": {"namespaces": {"from": "Selector", "selector": more}}}


_NAMED = {"matchLabels": {"kubernetes.io/metadata.name": "far"}}


@pytest.mark.parametrize(
    ("spec", "of_route", "reason"),
    [
        (listener(), {}, "Accepted"),
        (listener(), {"parents": [{"name": "looma", "sectionName": "https"}]}, "NoMatchingParent"),
        (listener(), {"parents": [{"name": "looma", "sectionName": "http", "port": 80}]}, "Accepted"),
        (listener(), {"parents": [{"name": "looma", "port": 81}]}, "NoMatchingParent"),
        (listener(), {"namespace": "far"}, "NotAllowedByListeners"),
        (listener(allowedRoutes={"namespaces": {"from": "All"}}), {"namespace": "far"}, "Accepted"),
        (listener(**selector(**_NAMED)), {"namespace": "far"}, "Accepted"),
        (listener(**selector(**_NAMED)), {}, "NotAllowedByListeners"),
        (listener(**selector(matchLabels={"team": "far"})), {"namespace": "far"}, "NotAllowedByListeners"),
        (
            listener(
                **selector(
                    matchExpressions=[
                        {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["far"]}
                    ]
                )
            ),
            {"namespace": "far"},
            "Accepted",
        ),
        (listener(hostname="a.example.org"), {"hostnames": ["b.example.org"]}, "NoMatchingListenerHostname"),
        (https(of="nobody"), {}, "NoOpenListener"),
        (listener(allowedRoutes={"kinds": [{"kind": "TCPRoute"}]}), {}, "NotAllowedByListeners"),
    ],
)
def test_whether_a_route_is_taken(spec: Object, of_route: dict[str, Any], reason: str) -> None:
    translation = made(gateway(spec), service(), service(namespace="far"), route(**of_route))
    (found,) = translation.routes
    said = {one.type: one for one in found.parents[0].findings}
    assert said["Accepted"].reason == reason
    assert said["Accepted"].holds is (reason == "Accepted")
    assert bool(translation.plane.rules) is (reason == "Accepted")
    assert translation.gateways[0].listeners[0].attached == int(reason in ("Accepted", "NoOpenListener"))


@pytest.mark.parametrize(
    "parents",
    [
        [],
        [{"name": "nobody"}],
        [{"name": "looma", "kind": "Service", "group": ""}],
        [{"name": "looma", "namespace": "other"}],
    ],
)
def test_a_route_of_somebody_elses_parent_is_left_alone(parents: list[Object]) -> None:
    translation = made(gateway(), service(), route(parents=parents))
    assert (translation.routes, translation.plane.rules) == ((), ())


def test_a_route_counts_once_at_a_listener_however_often_it_names_it() -> None:
    twice = [{"name": "looma", "sectionName": "http"}, {"name": "looma", "sectionName": "more"}]
    spec = gateway(listener(), listener("more", hostname="a.example.org"))
    translation = made(spec, service(), route(parents=twice), route(name="other"))
    assert [item.attached for item in translation.gateways[0].listeners] == [2, 2]
    assert [len(item.parents) for item in translation.routes] == [1, 2]


# Whatever the objects hold

_NAMES = st.sampled_from(["looma", "other", "resume", "resume-stable", "resume-canary", "http", "tls", ""])
_TEXTS = st.one_of(
    _NAMES, st.text(max_size=8), st.sampled_from(["/", "/a", "*.example.org", "a.example.org"])
)
_PORTS = st.sampled_from([80, 443, 8080, 0, 65535])


def _maybe(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Object]:
    return st.fixed_dictionaries({}, optional=fields)


def _list(of: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), st.lists(of, max_size=3))


_OWNERS = st.fixed_dictionaries(
    {"kind": st.just("AIService"), "name": _NAMES},
    optional={"uid": _TEXTS, "apiVersion": st.just("looma.dev/v1alpha1")},
)
_META = st.fixed_dictionaries(
    {"name": _NAMES, "namespace": st.sampled_from(["looma", "other"])},
    optional={
        "uid": _TEXTS,
        "creationTimestamp": st.sampled_from(["", "2025-01-01T00:00:00Z", "2025-02-01T00:00:00Z"]),
        "labels": st.dictionaries(
            st.sampled_from(["kubernetes.io/service-name", "app.kubernetes.io/part-of"]), _NAMES
        ),
        "annotations": st.dictionaries(st.just("looma.dev/revision"), _TEXTS),
        "ownerReferences": _list(_OWNERS),
    },
)
_PATH_CHANGE = _maybe(
    type=st.sampled_from(["ReplaceFullPath", "ReplacePrefixMatch", ""]),
    replaceFullPath=_TEXTS,
    replacePrefixMatch=_TEXTS,
)
_HEADERS = _list(st.fixed_dictionaries({"name": _TEXTS, "value": _TEXTS}))
_CHANGE = _maybe(set=_HEADERS, add=_HEADERS, remove=_list(_TEXTS))
_FILTERS = _list(
    _maybe(
        type=st.sampled_from(
            ["RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect", "URLRewrite", "CORS"]
        ),
        requestHeaderModifier=_CHANGE,
        responseHeaderModifier=_CHANGE,
        requestRedirect=_maybe(
            scheme=st.sampled_from(["", "http", "https", "ftp"]),
            hostname=_TEXTS,
            path=_PATH_CHANGE,
            port=_PORTS,
            statusCode=st.sampled_from([301, 302, 200]),
        ),
        urlRewrite=_maybe(hostname=_TEXTS, path=_PATH_CHANGE),
    )
)
_KINDS = st.sampled_from(["Exact", "PathPrefix", "RegularExpression", "Other"])
_VALUES = _list(st.fixed_dictionaries({"name": _TEXTS, "value": _TEXTS}, optional={"type": _KINDS}))
_MATCHES = _list(
    _maybe(
        path=_maybe(type=_KINDS, value=_TEXTS),
        method=st.sampled_from(["GET", "", "G T"]),
        headers=_VALUES,
        queryParams=_VALUES,
    )
)
_REFERENCES = _list(
    _maybe(
        name=_NAMES,
        namespace=_NAMES,
        kind=st.sampled_from(["Service", "Bucket"]),
        group=st.sampled_from(["", "x"]),
        port=_PORTS,
        weight=st.integers(-1, 100),
        filters=_FILTERS,
    )
)
_ROUTES = _maybe(
    parentRefs=st.just([{"name": "looma", "namespace": "looma"}])
    | _list(_maybe(name=_NAMES, namespace=_NAMES, sectionName=_NAMES, port=_PORTS, kind=_NAMES)),
    hostnames=_list(_TEXTS),
    rules=_list(
        _maybe(
            matches=_MATCHES,
            filters=_FILTERS,
            backendRefs=_REFERENCES,
            timeouts=_maybe(request=_TEXTS, backendRequest=st.sampled_from(["1s", "0s", "5h"])),
        )
    ),
)
_SELECTORS = _maybe(
    matchLabels=st.dictionaries(_TEXTS, _TEXTS, max_size=2),
    matchExpressions=_list(_maybe(key=_TEXTS, operator=_TEXTS, values=_list(_TEXTS))),
)
_GATEWAYS = _maybe(
    gatewayClassName=st.just("looma"),
    listeners=_list(
        st.fixed_dictionaries(
            {"name": _NAMES, "port": _PORTS, "protocol": st.sampled_from(["HTTP", "HTTPS", "TCP"])},
            optional={
                "hostname": _TEXTS,
                "tls": _maybe(
                    mode=_TEXTS, certificateRefs=_list(_maybe(name=_NAMES, kind=_NAMES, namespace=_NAMES))
                ),
                "allowedRoutes": _maybe(
                    namespaces=_maybe(
                        **{"from": st.sampled_from(["Same", "All", "Selector", "?"]), "selector": _SELECTORS}
                    ),
                    kinds=_list(_maybe(kind=st.sampled_from(["HTTPRoute", "TCPRoute"]))),
                ),
            },
        )
    ),
)
_SERVICES = _maybe(
    type=st.sampled_from(["ClusterIP", "ExternalName"]),
    ports=_list(
        st.fixed_dictionaries(
            {"port": _PORTS},
            optional={"name": _NAMES, "protocol": st.sampled_from(["TCP", "UDP"]), "appProtocol": _TEXTS},
        )
    ),
    ipFamilies=_list(st.sampled_from(["IPv4", "IPv6"])),
)
_SLICES = _maybe(
    addressType=st.sampled_from(["IPv4", "IPv6", "FQDN"]),
    endpoints=_list(
        _maybe(
            addresses=_list(st.sampled_from(["10.0.0.1", "10.0.0.2", "fd00::1"])),
            conditions=_maybe(
                ready=st.one_of(st.none(), st.booleans()),
                serving=st.one_of(st.none(), st.booleans()),
                terminating=st.one_of(st.none(), st.booleans()),
            ),
            targetRef=_maybe(name=_NAMES),
        )
    ),
    ports=_list(_maybe(name=_NAMES, port=_PORTS, protocol=st.sampled_from(["TCP", "UDP"]))),
)
_AI_SERVICES = _maybe(
    timeoutSeconds=st.integers(1, 3600),
    retries=st.integers(0, 5),
    auth=_maybe(required=st.booleans(), roles=_list(_NAMES)),
    rateLimit=st.fixed_dictionaries({"requestsPerSecond": st.integers(1, 10)}, optional={"per": _TEXTS}),
    circuitBreaker=_maybe(windowSeconds=st.integers(1, 10)),
    fallback=_maybe(service=_NAMES),
)


def _objects(kind: str, spec: st.SearchStrategy[Object]) -> st.SearchStrategy[Object]:
    return st.builds(
        lambda meta, given: {"kind": kind, "metadata": meta, "spec": given}, meta=_META, given=spec
    )


_ANY_OBJECT = st.one_of(
    _objects("Gateway", _GATEWAYS),
    _objects("HTTPRoute", _ROUTES),
    _objects("Service", _SERVICES),
    _objects("AIService", st.builds(lambda given: {"route": given}, _AI_SERVICES)),
    st.builds(lambda meta, given: {"kind": "EndpointSlice", "metadata": meta, **given}, _META, _SLICES),
    st.builds(
        lambda meta, given: {"kind": "Secret", "metadata": meta, "data": given},
        _META,
        st.dictionaries(st.sampled_from(["tls.crt", "tls.key"]), _TEXTS),
    ),
)


def _by_name(documents: list[Object]) -> list[Object]:
    """Of each kind one object of a name, as an API server has them."""
    return list(
        {
            (item["kind"], item["metadata"]["namespace"], item["metadata"]["name"]): item
            for item in documents
        }.values()
    )


_START = [
    gateway(listener(allowedRoutes={"namespaces": {"from": "All"}})),
    service(),
    service("resume-canary"),
]


@settings(max_examples=80)
@given(documents=st.lists(_ANY_OBJECT, max_size=8), data=st.data())
def test_whatever_there_is_it_is_translated_the_same_in_any_order(
    documents: list[Object], data: st.DataObject
) -> None:
    objects = _by_name([*_START, *documents])
    one = made(*objects)
    assert made(*data.draw(st.permutations(objects))) == one
    # It survives being kept on disk, and no text from outside could break out of its place.
    encoded = json.encode(one.plane)
    assert json.decode(encoded, type=type(one.plane)) == one.plane
    names = [item.name for item in one.plane.rules]
    assert len(names) == len(set(names))
    known = {item.name for item in one.plane.backends}
    for item in one.plane.rules:
        assert {target.backend for target in item.targets} <= known | {""}
        assert item.policy.fallback in known | {""}
        assert all(target.weight >= 0 for target in item.targets)
        assert len({target.backend for target in item.targets}) == len(item.targets)


@settings(max_examples=60)
@given(weights=st.lists(st.integers(0, 100), min_size=1, max_size=4), twice=st.booleans())
def test_shares_are_those_of_the_backend_references(weights: list[int], twice: bool) -> None:
    names = [f"s{number}" for number in range(len(weights))]
    references = [to(name, weight) for name, weight in zip(names, weights, strict=True)]
    translation = made(
        gateway(),
        *(service(name) for name in names),
        route(rule(*references, *(references if twice else []))),
    )
    (only,) = translation.plane.rules
    if any(weights):
        factor = 2 if twice else 1
        assert [target.weight for target in only.targets] == [weight * factor for weight in weights]
    else:
        assert [target.backend for target in only.targets] == [""]


def test_what_is_not_routed_to_makes_no_backend() -> None:
    translation = made(
        gateway(),
        service(),
        service("unused"),
        slice_of("unused", endpoint("10.0.0.9")),
        ai_service(),
        route(rule(to("resume-stable"), matches=[match("/a"), match("/b")])),
    )
    assert [item.name for item in translation.plane.backends] == ["looma_resume-stable_80"]


def test_an_unknown_token_key_changes_nothing_else() -> None:
    found = snapshot(*small_world())
    bare = translate(found, here=Here(), keys=())
    keyed = translate(found, here=Here(), keys=(TokenKey(id="k", pem="P"),))
    assert keyed.plane.rules == bare.plane.rules
    assert keyed.plane.tokens != bare.plane.tokens
