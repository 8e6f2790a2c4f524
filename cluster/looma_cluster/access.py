"""Ways into a running Looma for a developer: a token of the development issuer, and the demonstration data."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx

from looma_cluster.kubernetes import Kubectl, Object
from looma_core.auth import issue_token

ISSUER_SECRET = "looma-issuer"  # noqa: S105 - the name of a Secret, not a secret
TOKEN_SECONDS = 12 * 3600


class NoIssuerError(RuntimeError):
    """The instance has no development issuer."""


def token(kubectl: Kubectl, *, role: str, tenant: str, subject: str = "developer") -> str:
    """A bearer token, signed with the key of the development issuer.

    Raises:
        NoIssuerError: if the instance has none, as one that trusts an issuer of its own.
    """
    key = kubectl.secret(ISSUER_SECRET).get("private.pem")
    if key is None:
        raise NoIssuerError(
            f"there is no Secret {ISSUER_SECRET} in the cluster: Looma is not installed, or trusts another issuer"
        )
    return issue_token(
        key,
        issuer="https://looma.local",
        audience="looma",
        subject=subject,
        tenant=tenant,
        roles=[role],
        seconds=TOKEN_SECONDS,
    )


def demo_people(client: httpx.Client) -> Iterator[dict[str, Any]]:
    """The people of the demonstration data, page by page."""
    cursor = ""
    while True:
        answer = client.get(
            "/api/v1/talents",
            params={"source": "demo", "limit": "100"} | ({"cursor": cursor} if cursor else {}),
        )
        answer.raise_for_status()
        page = answer.json()
        yield from page["items"]
        cursor = page.get("next_cursor") or ""
        if not cursor:
            return


def remove_demo(client: httpx.Client) -> int:
    """Delete the demonstration data through the API; how many people that were."""
    # First all, then delete: a page's cursor may stand on somebody who is gone.
    people = list(demo_people(client))
    for person in people:
        answer = client.delete(
            f"/api/v1/talents/{person['id']}", headers={"If-Match": f'"{person["version"]}"'}
        )
        if answer.status_code != 404:
            answer.raise_for_status()
    return len(people)


def demo_job(finished: Object, *, name: str) -> Object:
    """The release's demo Job as a new one: the same pod, without what belongs to the old one alone."""
    template = finished["spec"]["template"]
    labels = {
        key: value
        for key, value in template["metadata"].get("labels", {}).items()
        if "controller-uid" not in key and "job-name" not in key
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": finished["metadata"]["namespace"], "labels": labels},
        "spec": {
            "backoffLimit": 2,
            "ttlSecondsAfterFinished": 600,
            "template": {"metadata": {"labels": labels}, "spec": template["spec"]},
        },
    }


def load_demo(kubectl: Kubectl) -> None:
    """Load the demonstration data again, as the release's Job did.

    Raises:
        LookupError: if the release has no such Job, as outside of dev.
        CommandError: if the new one fails.
    """
    import json

    jobs = [job for job in kubectl.objects("jobs") if job["metadata"]["name"].startswith("looma-demo-")]
    if not jobs:
        raise LookupError("this environment has no demonstration data: dev has (`looma up -e dev`)")
    name = f"looma-demo-again-{int(time.time())}"
    kubectl.text("create", "-f", "-", stdin=json.dumps(demo_job(jobs[0], name=name)))
    kubectl.text("wait", f"job/{name}", "--for=condition=complete", "--timeout=120s", seconds=130)
