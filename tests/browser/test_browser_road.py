"""The whole road in a browser: a résumé, a new version seen live, and the way back."""

from __future__ import annotations

import dataclasses
import json
import re
import secrets
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from support.cluster import Cluster, Object
from support.resume_files import ADA, LIN, pdf_encrypted, pdf_image_only, pdf_one_column

pytestmark = [pytest.mark.cluster, pytest.mark.road]

ROLLOUT_MILLISECONDS = 240_000


def pdf(name: str) -> dict[str, object]:
    """An English résumé with two jobs, as a browser's file input takes it."""
    content = pdf_one_column(dataclasses.replace(ADA, name=name))
    return {"name": f"{secrets.token_hex(4)}.pdf", "mimeType": "application/pdf", "buffer": content}


def settled(service: Object) -> bool:
    """Ready, for the spec as it is now."""
    status = service.get("status", {})
    return (
        status.get("observedGeneration") == service["metadata"]["generation"]
        and status.get("phase") == "Ready"
    )


def test_given_a_pdf_when_it_is_dropped_then_the_person_and_two_jobs_are_seen(visit, somebody: str) -> None:
    browser = visit()
    browser.sign_in()
    browser.open("/resumes/upload")
    browser.page.set_input_files("#file", [pdf(somebody)])
    browser.page.get_by_role("link", name=somebody).click()

    expect(browser.page.get_by_role("heading", level=1)).to_have_text(somebody)
    jobs = browser.page.locator(".timeline.kind-job li")
    expect(jobs).to_have_count(2)
    expect(jobs.first).to_contain_text(ADA.jobs[0].company)
    # How good the record is; two jobs with their dates, a school and skills are more than half of it.
    score = browser.page.locator("#quality-score")
    expect(score).to_have_text(re.compile(r"^\d{2,3}$"))
    assert 50 < int(score.inner_text()) <= 100
    # Beside it stands the text, with what was found marked where it was found.
    text = browser.page.locator(".resume-text")
    expect(text).to_contain_text(ADA.jobs[1].lines[0][:30])
    expect(text.locator("mark.kind-contact").first).to_have_text(somebody)
    assert text.locator("mark.kind-skill").count() >= 3
    with browser.page.expect_download() as download:
        browser.page.get_by_role("link", name="Original file").click()
    assert download.value.path().read_bytes().startswith(b"%PDF")

    browser.open("/people")
    browser.page.fill("#q", somebody)
    expect(browser.page.locator(".person-row")).to_have_count(1)
    assert "q=Rosalind" in browser.page.url


def test_given_a_chinese_resume_when_it_is_dropped_then_its_own_words_are_marked(visit) -> None:
    browser = visit(locale="zh-CN")
    browser.sign_in()
    browser.open("/resumes/upload")
    file = {
        "name": f"{secrets.token_hex(4)}.pdf",
        "mimeType": "application/pdf",
        "buffer": pdf_one_column(LIN),
    }
    browser.page.set_input_files("#file", [file])
    browser.page.get_by_role("link", name=LIN.name).click()
    expect(browser.page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(browser.page.get_by_role("heading", level=1)).to_have_text(LIN.name)
    expect(browser.page.locator(".timeline.kind-job li")).to_have_count(len(LIN.jobs))
    expect(browser.page.locator(".resume-text mark.kind-contact").first).to_have_text(LIN.name)


@pytest.mark.parametrize(
    ("content", "words"),
    [(pdf_image_only, "holds pictures only"), (lambda: pdf_encrypted(ADA), "protected by a password")],
    ids=["a scan", "locked"],
)
def test_given_a_file_that_cannot_be_read_then_the_page_says_what_to_do(visit, content, words: str) -> None:
    browser = visit()
    browser.sign_in()
    browser.open("/resumes/upload")
    browser.page.set_input_files(
        "#file", [{"name": "x.pdf", "mimeType": "application/pdf", "buffer": content()}]
    )
    expect(browser.page.locator(".upload.failed")).to_contain_text(words)


def test_given_no_script_when_a_resume_is_uploaded_then_the_person_is_seen_all_the_same(
    visit, somebody: str
) -> None:
    browser = visit(script=False)
    browser.sign_in()
    browser.open("/resumes/upload")
    browser.page.set_input_files("#file", [pdf(somebody)])
    browser.page.get_by_role("button", name="Upload").click()
    browser.page.get_by_role("link", name=somebody).click()
    expect(browser.page.get_by_role("heading", level=1)).to_have_text(somebody)


@pytest.fixture
def resume_service(cluster: Cluster) -> Iterator[Object]:
    """The résumé engine's AIService, put back as it was found."""
    service = cluster.watch("aiservice", "resume", settled, sentence="the résumé engine is ready")
    yield service
    patch = [{"op": "replace", "path": "/spec", "value": service["spec"]}]
    cluster.kubectl("patch", "aiservice", "resume", "--type", "json", "-p", json.dumps(patch))
    cluster.watch("aiservice", "resume", settled, sentence="the résumé engine is back as found", seconds=240)


def test_given_a_new_version_when_it_is_applied_then_the_page_shows_it_live_and_the_button_goes_back(
    visit, cluster: Cluster, resume_service: Object, somebody: str
) -> None:
    first = resume_service["status"]["stableRevision"]
    browser = visit()
    browser.sign_in()
    browser.open("/services/resume")
    stable = browser.page.locator("#stable-revision")
    expect(stable).to_have_text(first)
    expect(browser.page.locator("#live")).to_have_class(re.compile("is-live"))
    browser.page.evaluate("window.neverReloaded = true")

    # When a changed spec is applied, as a person does it
    note = {"metadata": {"annotations": {"example.org/note": secrets.token_hex(4)}}}
    identity = {"apiVersion": "looma.dev/v1alpha1", "kind": "AIService", "metadata": {"name": "resume"}}
    cluster.apply(identity | {"spec": resume_service["spec"] | {"podTemplate": note}})

    # Then the new revision is seen, on the page that was open all along
    expect(stable).not_to_have_text(first, timeout=ROLLOUT_MILLISECONDS)
    second = stable.inner_text()
    assert browser.page.evaluate("window.neverReloaded") is True
    expect(browser.page.locator("#event-list")).to_contain_text(second)
    with cluster.api() as api:
        assert api.get("/api/v1/resumes?limit=1").headers["X-Looma-Revision"] == second

    # The dialog opens and closes by keyboard, and gives the focus back
    button = browser.page.locator(f"#back-to-{first}")
    dialog = browser.page.get_by_role("dialog")
    button.focus()
    browser.page.keyboard.press("Space")
    expect(dialog.get_by_label("Why?")).to_be_focused()
    browser.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(button).to_be_focused()

    # When the button is pressed and a reason given
    button.click()
    expect(dialog.get_by_label("Why?")).to_be_focused()
    dialog.get_by_label("Why?").fill("the new one reads dates wrongly")
    dialog.get_by_role("button", name="Roll back").click()

    # Then the old one serves again, and who and why are seen
    expect(browser.page.locator(".notice.done")).to_contain_text(first)
    expect(stable).to_have_text(first, timeout=ROLLOUT_MILLISECONDS)
    expect(browser.page.locator("#overview")).to_contain_text("the new one reads dates wrongly")
    back = cluster.watch("aiservice", "resume", settled, sentence="the first revision serves again")
    assert back["status"]["lastRollback"]["requestedBy"] == "admin"
    assert back["status"]["lastRollback"]["reason"] == "the new one reads dates wrongly"

    # And what the pages show comes from the old pods
    with cluster.api() as api:
        assert api.get("/api/v1/resumes?limit=1").headers["X-Looma-Revision"] == first
    browser.open("/resumes/upload")
    browser.page.set_input_files("#file", [pdf(somebody)])
    expect(browser.page.get_by_role("link", name=somebody)).to_be_visible()
    browser.open("/audit")
    expect(browser.page.locator("tbody tr").filter(has_text="Roll back").first).to_contain_text(
        "aiservice/resume"
    )
