"""What an operator does beside services, in a browser: sync jobs, models, and two revisions side by side."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from support.cluster import Cluster, Object
from support.probe_service import Probe, probing

pytestmark = [pytest.mark.cluster, pytest.mark.road]

PHONE = {"width": 375, "height": 760}
RECORDS = 40
RUN_MILLISECONDS = 180_000
JOB = "seen-sync"
MODEL = "seen-model"


def wider_than_the_screen(page) -> int:
    return page.evaluate("document.documentElement.scrollWidth - window.innerWidth")


@pytest.fixture
def sync_job(cluster: Cluster) -> Iterator[str]:
    """A SyncJob with a schedule that is years away; its worker is Looma's, which counts."""
    lines = "\n".join(json.dumps({"id": number}) for number in range(RECORDS))
    files: Object = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{JOB}-files"},
        "data": {"people.jsonl": lines},
    }
    mount = {"name": "files", "mountPath": "/data", "readOnly": True}
    pods = {
        "containers": [{"name": "worker", "volumeMounts": [mount]}],
        "volumes": [{"name": "files", "configMap": {"name": f"{JOB}-files"}}],
    }
    cluster.apply(files)
    cluster.apply(
        {
            "apiVersion": "looma.dev/v1alpha1",
            "kind": "SyncJob",
            "metadata": {"name": JOB},
            "spec": {
                "source": {"type": "jsonl", "path": "people.jsonl"},
                "schedule": {"cron": "0 3 29 2 *"},
                "parallelism": 2,
                "podTemplate": {"spec": pods},
            },
        }
    )
    yield JOB
    cluster.kubectl("delete", f"sj/{JOB}", f"cm/{JOB}-files", "--ignore-not-found", "--wait=false")


def ask(browser, action: str, button: str, reason: str) -> None:
    """Press the button, say why in the dialog, and send it."""
    browser.page.locator(f"#ask-{action}").click()
    dialog = browser.page.get_by_role("dialog")
    expect(dialog.get_by_label("Why?")).to_be_focused()
    dialog.get_by_label("Why?").fill(reason)
    dialog.get_by_role("button", name=button).click()
    expect(browser.page.locator(".notice.done")).to_contain_text(JOB)


def test_given_a_sync_job_when_it_is_run_then_its_workers_are_seen_live_and_it_can_be_suspended(
    visit, cluster: Cluster, sync_job: str
) -> None:
    browser = visit()
    browser.sign_in()
    browser.page.get_by_role("navigation", name="Main menu").get_by_role("link", name="Syncs").click()
    expect(browser.page.get_by_role("heading", level=1)).to_have_text("Sync jobs")
    browser.page.locator(f"#sync-{sync_job}").click()
    expect(browser.page.locator("#live")).to_have_class(re.compile("is-live"))
    expect(browser.page.locator("#last-run")).to_have_text("–")

    # When a run is asked for
    ask(browser, "run", "Run now", "the browser wants it")
    browser.page.evaluate("window.neverReloaded = true")

    # Then it is seen to end, with who and why, and what each worker read
    expect(browser.page.locator("#last-run")).to_have_text("Succeeded", timeout=RUN_MILLISECONDS)
    run = browser.page.locator("#run-1")
    expect(run).to_contain_text("asked for: admin")
    expect(run).to_contain_text("the browser wants it")
    expect(run).to_contain_text(f"{RECORDS} of {RECORDS} records read")
    expect(browser.page.locator("#workers tbody tr")).to_have_count(2)
    expect(browser.page.locator("#workers")).to_contain_text("20 of 20 records read")
    expect(browser.page.locator("#event-list")).to_contain_text("RunSucceeded")
    assert browser.page.evaluate("window.neverReloaded") is True

    # And it is suspended and goes on, as the cluster has it
    ask(browser, "suspend", "Suspend", "nothing may run tonight")
    expect(browser.page.locator("#ask-resume")).to_be_visible()
    assert cluster.get("syncjob", sync_job)["spec"]["suspend"] is True
    ask(browser, "resume", "Go on", "the night is over")
    expect(browser.page.locator("#ask-run")).to_be_visible()
    assert cluster.get("syncjob", sync_job)["spec"]["suspend"] is False
    browser.open("/audit")
    expect(browser.page.locator("tbody tr").filter(has_text="Suspend").first).to_contain_text(
        f"syncjob/{sync_job}"
    )


def test_the_sync_dialog_needs_no_mouse_and_its_pages_fit_a_phone(visit, sync_job: str) -> None:
    browser = visit(viewport=PHONE, locale="zh-CN")
    browser.sign_in()
    for path in ("/syncs", f"/syncs/{sync_job}", f"/syncs/{sync_job}/requests/suspend"):
        browser.open(path)
        assert wider_than_the_screen(browser.page) <= 0, path
    browser.open(f"/syncs/{sync_job}")
    button = browser.page.locator("#ask-suspend")
    button.focus()
    browser.page.keyboard.press("Space")
    expect(browser.page.get_by_role("dialog").get_by_label("原因")).to_be_focused()
    browser.page.keyboard.press("Escape")
    expect(button).to_be_focused()


@pytest.fixture
def model(cluster: Cluster) -> Iterator[str]:
    """Two versions of a model, of which the higher one does not pass its gate."""
    for version, value in (("1.9.0", 0.9), ("1.10.0", 0.5)):
        cluster.apply(
            {
                "apiVersion": "looma.dev/v1alpha1",
                "kind": "ModelVersion",
                "metadata": {"name": f"{MODEL}-{version}", "labels": {"looma.dev/channel": "seen"}},
                "spec": {
                    "model": MODEL,
                    "version": version,
                    "artifact": {"uri": "oci://registry/models/seen@sha256:" + "a" * 64},
                    "format": "json",
                    "evaluation": {"dataset": "held-out", "metric": "f1", "value": value},
                    "gates": {"minEvaluation": 0.8},
                },
            }
        )
    yield MODEL
    for version in ("1.9.0", "1.10.0"):
        cluster.kubectl("delete", "modelversion", f"{MODEL}-{version}", "--wait=false")


def test_given_a_model_below_its_gate_then_the_models_page_says_why_it_is_rejected(
    visit, cluster: Cluster, model: str
) -> None:
    browser = visit(viewport=PHONE)
    browser.sign_in()
    browser.open("/models")
    rows = browser.page.locator(f"section[aria-labelledby='model-{model}'] tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("1.10.0")
    expect(rows.first).to_contain_text("Rejected")
    expect(rows.first).to_contain_text("below gates.minEvaluation 0.8")
    expect(rows.last).to_contain_text("Not fetched yet")
    assert wider_than_the_screen(browser.page) <= 0
    browser.page.locator(f"[id='version-{model}-1.10.0']").click()
    expect(browser.page.get_by_role("heading", level=1)).to_have_text(f"{model}-1.10.0")
    expect(browser.page.locator("#overview")).to_contain_text("sha256:" + "a" * 64)
    expect(browser.page.locator("#pinned")).to_contain_text("None.")
    assert wider_than_the_screen(browser.page) <= 0
    # What becomes of it is seen on the page that is open.
    expect(browser.page.locator("#live")).to_have_class(re.compile("is-live"))
    patch = json.dumps({"spec": {"retire": True}})
    cluster.kubectl("patch", "modelversion", f"{model}-1.10.0", "--type", "merge", "-p", patch)
    expect(browser.page.locator("#overview .badge")).to_have_text("Retired")


@pytest.fixture
def compared(cluster: Cluster) -> Iterator[Probe]:
    """A service with two revisions."""
    with probing(cluster, "compared") as probe:
        probe.apply(version="2")
        probe.wait(stable="r2", sentence="its second revision serves")
        yield probe


def test_given_two_revisions_when_they_are_chosen_then_the_diff_stands_side_by_side(
    visit, compared: Probe
) -> None:
    browser = visit()
    browser.sign_in()
    browser.open(f"/services/{compared.name}")
    browser.page.locator("#compare-r1").click()
    differences = browser.page.locator("#differences tbody tr")
    expect(differences).to_have_count(1)
    expect(differences.get_by_role("rowheader")).to_contain_text("env[PROBE_VERSION].value")
    expect(differences.get_by_role("cell")).to_have_text(["1", "2"])
    # By the keyboard, and the other way round
    browser.page.get_by_label("From").select_option("r2")
    browser.page.get_by_label("To").select_option("r1")
    browser.page.get_by_role("button", name="Compare").press("Enter")
    expect(differences.get_by_role("cell")).to_have_text(["2", "1"])
    assert browser.page.url.endswith(f"/services/{compared.name}/diff?from=r2&to=r1")
    browser.page.get_by_label("To").select_option("r2")
    browser.page.get_by_role("button", name="Compare").click()
    expect(browser.page.locator("#differences")).to_contain_text("Nothing differs")
    browser.page.set_viewport_size(PHONE)
    browser.open(f"/services/{compared.name}/diff?from=r1&to=r2")
    browser.page.locator("details.same summary").click()
    assert wider_than_the_screen(browser.page) <= 0
