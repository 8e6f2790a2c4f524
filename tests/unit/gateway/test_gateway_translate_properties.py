"""Whatever objects there are: they are translated, the same in any order."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import json

from looma_engines.gateway.model import TokenKey
from looma_engines.gateway.translate import Here, translate
from support.gateway_translation import made
from support.gateway_world import (
    Object,
    ai_service,
    endpoint,
    gateway,
    listener,
    match,
    route,
    rule,
    service,
    slice_of,
    small_world,
    snapshot,
    to,
)

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
    shadow=_maybe(service=_NAMES, percent=st.integers(-1, 101), methods=_list(_TEXTS), ignore=_list(_TEXTS)),
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
