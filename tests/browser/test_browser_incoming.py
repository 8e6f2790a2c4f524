"""What a sync job brought, in a browser: a record is put right, another thrown away, and the run is reported."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from support.cluster import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.road]


@pytest.fixture
def synced(cluster: Cluster) -> Iterator[str]:
    """Name of a SyncJob that ended with two records in quarantine."""
    name = f"web-{secrets.token_hex(3)}"
    rows: list[dict[str, Any]] = [
        {"id": "good", "full_name": f"Ada {name}"},
        {"id": f"{name}-right", "full_name": f"Maya {name}", "email": "nobody", "skills": ["Go", "SQL"]},
        {"id": f"{name}-away", "full_name": "", "email": "nobody"},
    ]
    text = "\n".join(json.dumps(row) for row in rows)
    files = {"metadata": {"name": f"{name}-files"}, "data": {"people.jsonl": text}}
    cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", **files})
    mount = {"name": "files", "mountPath": "/data", "readOnly": True}
    template = {
        "spec": {
            "containers": [{"name": "worker", "volumeMounts": [mount]}],
            "volumes": [{"name": "files", "configMap": {"name": f"{name}-files"}}],
        }
    }
    spec = {
        "source": {"type": "jsonl", "path": "people.jsonl"},
        "target": {"tenant": "demo", "entity": "talent"},
        "podTemplate": template,
    }
    cluster.apply(
        {"apiVersion": "looma.dev/v1alpha1", "kind": "SyncJob", "metadata": {"name": name}, "spec": spec}
    )
    cluster.watch(
        "syncjob",
        name,
        lambda item: item.get("status", {}).get("phase") == "Succeeded",
        sentence=f"{name} has brought its records",
        seconds=180,
    )
    yield name
    cluster.kubectl("delete", "sj", name, "--ignore-not-found", "--wait=false")
    cluster.kubectl("delete", "configmap", f"{name}-files", "--ignore-not-found")


def test_given_refused_records_when_they_are_settled_then_one_is_stored_and_the_run_tells(
    visit, synced: str
) -> None:
    browser = visit()
    browser.sign_in()
    page = browser.page
    page.get_by_role("link", name="Incoming").click()
    page.get_by_role("link", name=re.compile(f"{synced}-right")).click()
    expect(page.locator("#wrong")).to_contain_text("email")
    wrong = page.get_by_label("email", exact=True)
    expect(wrong).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("skills", exact=True)).to_have_value("Go\nSQL")
    wrong.fill("still nobody")
    browser.expect_failure(422)
    page.get_by_role("button", name="Store the record").click()
    expect(wrong).to_have_value("still nobody")
    wrong.fill("maya@mail.example.org")
    page.get_by_role("button", name="Store the record").click()
    expect(page.locator(".notice.done")).to_contain_text("stored")

    page.get_by_role("link", name=re.compile(f"{synced}-away")).click()
    page.locator("summary", has_text="Throw away").click()
    page.get_by_role("button", name="Throw away").click()
    expect(page.locator(".notice.done")).to_contain_text("Thrown away")
    expect(page.get_by_role("link", name=re.compile(f"{synced}-"))).to_have_count(0)

    page.get_by_role("link", name="Runs", exact=True).click()
    page.get_by_role("link", name=f"looma/{synced} 1").click()
    expect(page.locator("#counts")).to_contain_text("In quarantine")
    expect(page.locator("#held")).to_have_text("3 / 3")
    with page.expect_download() as waited:
        page.get_by_role("link", name="Report as a file").click()
    assert waited.value.suggested_filename == f"sync-run-looma-{synced}-1.html"
    browser.open(f"/syncs/{synced}")
    expect(page.locator("#target")).to_contain_text("People")
