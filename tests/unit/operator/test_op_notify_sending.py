"""Sending once, by real sockets and real TLS: what goes wrong is the verdict, and nobody's secret is in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from looma_operator.notifying import sending
from looma_operator.notifying.formats import Letter, Outcome, Verdict
from looma_operator.notifying.sending import Sender
from looma_operator.plan.receivers import Receiver
from looma_operator.resources_notifications import Notification
from support.control_plane import Pki, free_port
from support.operator_world import START
from support.webhook_receiver import Webhook, write_receivers

TOKEN = "a-token-that-nobody-else-may-see"
LETTER = Letter(
    kind="AIService",
    namespace="looma",
    name="resume",
    message=Notification(id="id-1", reason="RolloutFailed", note="no pod", warning=True, at=START),
)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    made = Webhook().start()
    yield made
    made.stop()


@pytest.fixture
def secure(pki: Pki) -> Iterator[Webhook]:
    made = Webhook().start(pki)
    yield made
    made.stop()


async def send(folder: Path, kind: str, url: str | None, **files: str) -> Verdict:
    told = {} if url is None else {"url": url}
    write_receivers(folder, {"name": "oncall", "type": kind, **told, **files})
    sender = Sender(folder, clock=lambda: START)
    try:
        return await sender.send(Receiver(name="oncall", type=kind), LETTER)
    finally:
        await sender.close()


async def test_generic_is_posted_with_its_id(webhook, tmp_path):
    verdict = await send(tmp_path, "generic", f"{webhook.url}/hook?key={TOKEN}")
    assert verdict == Verdict(outcome=Outcome.DELIVERED)
    (got,) = webhook.got
    assert (got.path, got.query) == ("/hook", {"key": TOKEN})
    assert got.headers["content-type"] == "application/json; charset=utf-8"
    assert got.headers["webhook-id"] == got.json["id"] == "id-1"


async def test_a_certificate_of_the_receivers_own_authority_is_trusted(secure, pki, tmp_path):
    authority = (pki.folder / "ca.crt").read_text()
    url = f"{secure.url}/robot/send?access_token={TOKEN}"
    verdict = await send(tmp_path, "dingtalk", url, **{"ca.crt": authority, "signing-secret": "SEC-1"})
    assert verdict.outcome is Outcome.DELIVERED
    assert set(secure.got[0].query) == {"access_token", "timestamp", "sign"}
    assert secure.got[0].query["access_token"] == TOKEN


async def test_a_certificate_of_anybody_else_is_not(secure, tmp_path):
    verdict = await send(tmp_path, "wecom", f"{secure.url}/send?key={TOKEN}")
    assert verdict.outcome is Outcome.RETRIED
    assert "certificate" in verdict.why
    assert secure.got == []


async def test_nobody_is_sent_elsewhere(webhook, tmp_path):
    elsewhere = Webhook().start()
    try:
        webhook.answer = (307, "", {"Location": f"{elsewhere.url}/"})
        verdict = await send(tmp_path, "generic", webhook.url)
        assert verdict == Verdict(outcome=Outcome.REFUSED, why="HTTP 307: redirects are not followed")
        assert elsewhere.got == []
    finally:
        elsewhere.stop()


async def test_a_receiver_that_is_slow_is_given_up_for_now(webhook, tmp_path, monkeypatch):
    monkeypatch.setattr(sending, "SEND_SECONDS", 0.2)
    webhook.slow = 2.0
    verdict = await send(tmp_path, "generic", webhook.url)
    assert verdict == Verdict(outcome=Outcome.RETRIED, why="no answer within 0.2 s")


async def test_nobody_there_is_tried_again_without_the_address(tmp_path):
    verdict = await send(tmp_path, "generic", f"http://127.0.0.1:{free_port()}/{TOKEN}")
    assert verdict.outcome is Outcome.RETRIED
    assert verdict.why == "not reached: Connection refused"


async def test_a_receiver_without_tls_is_not_sent_a_word(webhook, tmp_path):
    verdict = await send(tmp_path, "wecom", f"https://127.0.0.1:{webhook.port}/{TOKEN}")
    assert verdict.outcome is Outcome.RETRIED
    assert verdict.why.startswith("not reached: no TLS with it: ")
    assert webhook.got == []


async def test_no_such_host_is_tried_again(tmp_path):
    verdict = await send(tmp_path, "generic", f"http://nobody.invalid/{TOKEN}")
    assert verdict.outcome is Outcome.RETRIED
    assert TOKEN not in verdict.why


@pytest.mark.parametrize(
    ("kind", "files"),
    [
        ("generic", {}),
        ("generic", {"url": "nonsense"}),
        ("generic", {"url": "http://127.0.0.1:1/", "signing-secret": f"whsec_{TOKEN}!"}),
        ("generic", {"url": "https://127.0.0.1:1/", "ca.crt": TOKEN}),
    ],
)
async def test_secrets_of_no_use_are_waited_for_without_a_word_of_them(kind, files, tmp_path):
    verdict = await send(tmp_path, kind, files.pop("url", None), **files)
    assert verdict.outcome is Outcome.RETRIED
    assert verdict.why
    assert TOKEN not in verdict.why


async def test_a_secret_that_comes_later_is_used(webhook, tmp_path):
    write_receivers(tmp_path, {"name": "oncall", "type": "generic"})
    sender = Sender(tmp_path, clock=lambda: START)
    receiver = Receiver(name="oncall", type="generic")
    assert (await sender.send(receiver, LETTER)).outcome is Outcome.RETRIED
    (tmp_path / "oncall" / "url").write_text(webhook.url)
    assert (await sender.send(receiver, LETTER)).outcome is Outcome.DELIVERED
    await sender.close()


async def test_a_robot_that_repeats_its_key_is_not_believed_to_be_harmless(secure, pki, tmp_path):
    authority = (pki.folder / "ca.crt").read_text()
    secure.answer = (200, f'{{"errcode":93000,"errmsg":"no robot {TOKEN}"}}', {})
    verdict = await send(tmp_path, "wecom", f"{secure.url}/send?key={TOKEN}", **{"ca.crt": authority})
    assert verdict == Verdict(outcome=Outcome.REFUSED, why="errcode 93000: no robot …")
