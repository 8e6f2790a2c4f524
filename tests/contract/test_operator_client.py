"""The operator's client against a real API server: what is made only where it is not, and what is served."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from looma_core.kube import load_configuration
from looma_operator.kube import client, kinds
from looma_operator.kube.client import ConflictError, Kube
from support.operator_process import Looma

pytestmark = pytest.mark.control_plane
MADE = (*kinds.CHILDREN, *kinds.OPTIONAL_CHILDREN)


@pytest.fixture
async def kube(looma: Looma) -> AsyncIterator[Kube]:
    made = Kube(await load_configuration(str(looma.plane.kubeconfig)))
    yield made
    await made.close()


@pytest.mark.parametrize("kind", MADE, ids=lambda kind: kind.name)
async def test_what_is_there_is_not_made_again_and_not_taken_over(looma: Looma, kube: Kube, kind: kinds.Kind):
    looma.apply("there", route={"pathPrefixes": ["/api/v1/there"]})
    path = f"{kind.path(looma.namespace)}?labelSelector=app.kubernetes.io/instance%3Dthere"

    def children() -> list[dict[str, Any]]:
        code, answer = looma.plane.request("GET", path)
        assert code == 200, answer
        return list(answer["items"])

    looma.until(lambda: bool(children()), f"there is a {kind.name}")
    (before,) = children()
    meta = before["metadata"]
    body = {key: value for key, value in before.items() if key not in ("metadata", "status")}
    for address in ("clusterIP", "clusterIPs"):
        body.get("spec", {}).pop(address, None)
    body |= {"apiVersion": kind.api_version, "kind": kind.name}
    named = {"name": meta["name"], "namespace": meta["namespace"], "labels": {"taken": "over"}}
    with pytest.raises(ConflictError):
        await kube.apply(kind, body | {"metadata": named}, absent=True)
    (after,) = children()
    assert after["metadata"]["resourceVersion"] == meta["resourceVersion"]
    # Where nothing has the name, the same write makes it.
    elsewhere = named | {"name": f"{meta['name']}-other"}
    made = await kube.apply(kind, body | {"metadata": elsewhere}, absent=True)
    assert made["metadata"]["labels"] == {"taken": "over"}
    assert [entry["operation"] for entry in made["metadata"]["managedFields"]] == ["Apply"]


async def test_whether_a_kind_is_served_is_asked_once_in_a_while(kube: Kube, monkeypatch: pytest.MonkeyPatch):
    assert await kube.serves(kinds.HTTP_ROUTE)
    nowhere = kinds.Kind(name="Nothing", prefix="/apis/nothing.example/v1", plural="nothings")
    unknown = kinds.Kind(name="Unknown", prefix="/apis/apps/v1", plural="unknowns")
    assert not await kube.serves(nowhere)
    assert not await kube.serves(unknown)
    asked: list[str] = []

    async def refuse(method: str, path: str, **_: object) -> dict[str, Any]:
        asked.append(f"{method} {path}")
        return {"resources": [{"name": "unknowns"}]}

    kube.request = refuse  # type: ignore[method-assign]
    assert await kube.serves(kinds.HTTP_ROUTE)
    assert asked == []
    # What was not served may be by now, and what was need not be once its time is over.
    monkeypatch.setattr(client, "SERVED_SECONDS", 0.0)
    assert await kube.serves(unknown)
    assert await kube.serves(unknown)
    assert asked == ["GET /apis/apps/v1"] * 2
