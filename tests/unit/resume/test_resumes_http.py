"""The endpoints of the resume engine against a real database and real workers; talent-sync is a stand-in."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import psycopg
import pytest
from litestar.testing import TestClient

from looma_core.crypto import new_key
from looma_core.settings import EngineSettings
from looma_engines.resume.app import create
from looma_engines.resume.documents.problems import DocumentProblem
from looma_engines.resume.talents import TalentClient
from looma_engines.resume.worker import WorkerPool
from support.resume_files import ADA, LIN, build, pdf_encrypted, pdf_image_only, pdf_pages
from support.tokens import bearer, verifier

if TYPE_CHECKING:
    from collections.abc import Iterator

    from looma_engines.resume.worker.messages import Job, Result
    from support.database import DatabaseUrls

PATH = "/api/v1/resumes"


class TalentSync:
    """Stands in for talent-sync: remembers talents by source, and can be away or refuse."""

    def __init__(self) -> None:
        self.status = 0
        self.talents: dict[str, dict[str, Any]] = {}
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.status == -1:
            raise httpx.ConnectError("refused", request=request)
        if self.status:
            return httpx.Response(self.status)
        draft = msgspec.json.decode(request.content)
        ref = draft["source"]["ref"]
        known = ref in self.talents
        talent = self.talents.setdefault(ref, {**draft, "id": str(uuid.uuid4())})
        return httpx.Response(200 if known else 201, json=talent)


@pytest.fixture(scope="module")
def talent_sync() -> TalentSync:
    return TalentSync()


@pytest.fixture(scope="module")
def client(database_urls: DatabaseUrls, talent_sync: TalentSync) -> Iterator[TestClient[Any]]:
    settings = EngineSettings(
        database_url=database_urls.app,
        service="resume",
        revision="r7",
        schema_wait_seconds=5,
        file_keys=new_key(),
        config='{"workers": 1, "maxPages": 3, "waitSeconds": 60}',
    )
    talents = TalentClient("http://looma.test", transport=httpx.MockTransport(talent_sync), pause=0.001)
    app = create(settings, verifier=verifier(), talents=talents)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(autouse=True)
def _present(talent_sync: TalentSync) -> Iterator[None]:
    yield
    talent_sync.status = 0


@pytest.fixture
def auth(tenant: str) -> dict[str, str]:
    return bearer(tenant=tenant)


def _send(
    client: TestClient[Any], auth: dict[str, str], data: bytes, name: str = "résumé.pdf", **form: str
) -> Any:
    return client.post(
        PATH, headers=auth, files={"file": (name, data, "application/octet-stream")}, data=form
    )


def test_a_file_is_parsed_and_not_kept(client: TestClient[Any], auth: dict[str, str]) -> None:
    answer = client.post(
        f"{PATH}/parse", headers=auth, files={"file": ("a.pdf", build("pdf-one-column", "en"))}
    )
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["contact"]["full_name"] == ADA.name
    assert [job["title"] for job in body["experience"]] == [job.title for job in ADA.jobs]
    assert answer.headers["x-looma-revision"] == "r7"
    assert client.get(PATH, headers=auth).json()["items"] == []


def test_a_text_is_parsed(client: TestClient[Any], auth: dict[str, str]) -> None:
    answer = client.post(f"{PATH}/parse", headers=auth, json={"text": build("txt-utf8", "zh").decode()})
    assert answer.status_code == 200, answer.text
    assert answer.json()["contact"]["full_name"] == LIN.name


def test_a_file_is_kept_and_its_talent_created(
    client: TestClient[Any], auth: dict[str, str], talent_sync: TalentSync
) -> None:
    data = build("pdf-two-columns", "en")
    answer = _send(client, auth, data, name="../Ada résumé.pdf")
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert answer.headers["location"] == f"{PATH}/{body['id']}"
    assert (body["file_name"], body["media_type"], body["size"]) == (
        "Ada résumé.pdf",
        "application/pdf",
        len(data),
    )
    talent = talent_sync.talents[body["id"]]
    assert body["talent_id"] == talent["id"]
    assert talent["source"] == {"type": "resume", "ref": body["id"]}
    assert talent["full_name"] == ADA.name
    sent = talent_sync.requests[-1]
    assert sent.url == "http://looma.test/api/v1/talents"
    assert sent.headers["authorization"] == auth["Authorization"]
    assert sent.headers["x-request-id"] == answer.headers["x-request-id"]
    assert client.get(f"{PATH}/{body['id']}", headers=auth).json() == body
    file = client.get(f"{PATH}/{body['id']}/file", headers=auth)
    assert file.content == data
    assert file.headers["content-disposition"].startswith("attachment")


def test_the_same_bytes_again_answer_what_is_there(client: TestClient[Any], auth: dict[str, str]) -> None:
    first = _send(client, auth, build("docx-plain", "zh"))
    again = _send(client, auth, build("docx-plain", "zh"), name="other.docx")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()


def test_another_tenant_sees_nothing(client: TestClient[Any], auth: dict[str, str]) -> None:
    kept = _send(client, auth, build("html", "en")).json()
    other = bearer(tenant="elsewhere-" + kept["id"][:8])
    assert client.get(f"{PATH}/{kept['id']}", headers=other).status_code == 404
    assert client.get(f"{PATH}/{kept['id']}/file", headers=other).status_code == 404
    assert client.delete(f"{PATH}/{kept['id']}", headers=other).status_code == 404
    assert client.get(PATH, headers=other).json()["items"] == []
    # The same bytes are another résumé there.
    assert _send(client, other, build("html", "en")).status_code == 201


@pytest.mark.parametrize("status", [-1, 503, 500, 422])
def test_nothing_is_lost_while_talent_sync_is_away(
    client: TestClient[Any], auth: dict[str, str], talent_sync: TalentSync, status: int
) -> None:
    talent_sync.status = status
    answer = _send(client, auth, build("rtf", "en"))
    assert answer.status_code == 202, answer.text
    body = answer.json()
    assert body["talent_id"] is None
    assert f"{PATH}/{body['id']}/talent" in body["parsed"]["warnings"][-1]
    talent_sync.status = 0
    completed = client.post(f"{PATH}/{body['id']}/talent", headers=auth)
    assert completed.status_code == 200, completed.text
    assert completed.json()["talent_id"] == talent_sync.talents[body["id"]]["id"]
    assert (
        client.get(f"{PATH}/{body['id']}", headers=auth).json()["talent_id"] == completed.json()["talent_id"]
    )


def test_the_same_file_again_goes_on_where_it_stopped(
    client: TestClient[Any], auth: dict[str, str], talent_sync: TalentSync
) -> None:
    talent_sync.status = 503
    first = _send(client, auth, build("rtf", "zh")).json()
    talent_sync.status = 0
    again = _send(client, auth, build("rtf", "zh"))
    assert again.status_code == 200
    assert (again.json()["id"], again.json()["talent_id"]) == (
        first["id"],
        talent_sync.talents[first["id"]]["id"],
    )


def test_demonstration_data_is_marked(
    client: TestClient[Any], auth: dict[str, str], talent_sync: TalentSync
) -> None:
    body = _send(client, auth, build("docx-table", "en"), source="demo").json()
    assert body["source"] == "demo"
    assert talent_sync.talents[body["id"]]["source"]["type"] == "demo"
    wrong = _send(client, auth, b"x" * 50, source="other")
    assert wrong.json()["errors"] == [{"field": "source", "message": "write `resume` or `demo`"}]


def test_the_list_goes_by_pages_and_by_talent(client: TestClient[Any], auth: dict[str, str]) -> None:
    kept = [
        _send(client, auth, build(layout, "en")).json()
        for layout in ("html", "rtf", "txt-utf8", "docx-plain")
    ]
    seen: list[str] = []
    cursor = None
    while True:
        query = {"limit": 3, **({"cursor": cursor} if cursor else {})}
        page = client.get(PATH, headers=auth, params=query).json()
        seen += [item["id"] for item in page["items"]]
        assert all("parsed" not in item for item in page["items"])
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [item["id"] for item in reversed(kept)]
    mine = client.get(PATH, headers=auth, params={"talent_id": kept[1]["talent_id"]}).json()
    assert [item["id"] for item in mine["items"]] == [kept[1]["id"]]
    wrong = client.get(PATH, headers=auth, params={"cursor": "nonsense"})
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["field"] == "cursor"


def test_an_erased_resume_is_gone(
    client: TestClient[Any], auth: dict[str, str], database_urls: DatabaseUrls
) -> None:
    body = _send(client, auth, build("txt-utf8", "en")).json()
    assert client.delete(f"{PATH}/{body['id']}", headers=auth).status_code == 204
    assert client.get(f"{PATH}/{body['id']}", headers=auth).status_code == 404
    assert client.delete(f"{PATH}/{body['id']}", headers=auth).status_code == 404
    with psycopg.connect(database_urls.admin) as connection:
        left = connection.execute(
            "SELECT count(*) FROM resume.resumes WHERE id = %s", [body["id"]]
        ).fetchone()
    assert left == (0,)


def test_nothing_readable_is_stored(
    client: TestClient[Any], auth: dict[str, str], tenant: str, database_urls: DatabaseUrls
) -> None:
    _send(client, auth, build("txt-utf8", "en"), name="Ada Lindqvist.txt")
    with psycopg.connect(database_urls.admin) as connection:
        row = connection.execute(
            "SELECT file_name, content, parsed, r::text FROM resume.resumes r WHERE tenant = %s", [tenant]
        ).fetchone()
    assert row is not None
    for column in row[:3]:
        assert b"Lindqvist" not in bytes(column)
    assert "Lindqvist" not in row[3]


def test_a_batch_answers_each_file(client: TestClient[Any], auth: dict[str, str]) -> None:
    answer = client.post(
        f"{PATH}/batch",
        headers=auth,
        files=[
            ("files", ("a.html", build("html", "en"))),
            ("files", ("scan.pdf", pdf_image_only())),
            ("files", ("b.txt", build("txt-utf8", "zh"))),
        ],
    )
    assert answer.status_code == 200, answer.text
    items = answer.json()["items"]
    assert [item["status"] for item in items] == [201, 422, 201]
    assert items[1]["problem"]["type"] == "urn:looma:problem:no-text-in-document"
    assert items[2]["resume"]["parsed"]["contact"]["full_name"] == LIN.name


def test_an_answer_says_how_many_pages_were_read_for_it(
    client: TestClient[Any], auth: dict[str, str]
) -> None:
    pages, text = pdf_pages(ADA, 3), build("txt-utf8", "en")
    as_files = {"files": {"file": ("a", pages)}}, {"files": {"file": ("a", text)}}
    for sent, cost in (*zip(as_files, ("3", "1"), strict=True), ({"json": {"text": text.decode()}}, "1")):
        answer = client.post(f"{PATH}/parse", headers=auth, **sent)
        assert (answer.status_code, answer.headers["x-looma-cost"]) == (200, cost)
    for kind in ("entities", "skills"):
        answer = client.post(f"/api/v1/{kind}/extract", headers=auth, json={"text": "Java"})
        assert answer.headers["x-looma-cost"] == "1"
    assert _send(client, auth, pages).headers["x-looma-cost"] == "3"
    again = _send(client, auth, pages)
    assert (again.status_code, again.headers["x-looma-cost"]) == (200, "0"), "nothing was read"
    several = [("files", ("a", pages)), ("files", ("scan", pdf_image_only())), ("files", ("b", text))]
    batch = client.post(f"{PATH}/batch", headers=auth, files=several)
    assert [item["status"] for item in batch.json()["items"]] == [200, 422, 201]
    assert batch.headers["x-looma-cost"] == "1", "of three files one was read"
    assert "x-looma-cost" not in client.get(PATH, headers=auth).headers
    assert "x-looma-cost" not in _send(client, auth, pdf_encrypted(ADA)).headers


def test_what_took_all_its_time_costs_as_much_as_the_longest(
    client: TestClient[Any], auth: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def endless(_: WorkerPool, job: Job) -> Result:
        raise DocumentProblem("document-too-costly", "It took longer than 20 s.")

    monkeypatch.setattr(WorkerPool, "run", endless)
    answer = _send(client, auth, b"endless")
    assert (answer.status_code, answer.headers["x-looma-cost"]) == (422, "3")
    batch = client.post(f"{PATH}/batch", headers=auth, files=[("files", ("a", b"1")), ("files", ("b", b"2"))])
    assert (batch.status_code, batch.headers["x-looma-cost"]) == (200, "6")


@pytest.mark.parametrize(
    ("data", "name", "status"),
    [
        (b"", "empty-document", 422),
        (b"\x89PNG\r\n\x1a\n" + bytes(64), "unsupported-document-type", 415),
        (pdf_encrypted(ADA), "encrypted-document", 422),
        (pdf_image_only(), "no-text-in-document", 422),
        (b"%PDF-1.7\nbroken", "damaged-document", 422),
        (b"word " * 3_000_000, "payload-too-large", 413),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_refused_document_says_why_and_is_not_kept(
    client: TestClient[Any], auth: dict[str, str], data: bytes, name: str, status: int
) -> None:
    answer = _send(client, auth, data)
    assert answer.status_code == status, answer.text
    problem = answer.json()
    assert problem["type"] == f"urn:looma:problem:{name}"
    assert len(problem["detail"]) > 20
    assert client.get(PATH, headers=auth).json()["items"] == []


def test_requests_of_another_kind_are_told_what_to_send(
    client: TestClient[Any], auth: dict[str, str]
) -> None:
    assert client.post(PATH, headers=auth, json={"text": "x"}).status_code == 415
    assert client.post(f"{PATH}/parse", headers=auth, content=b"x").status_code == 415
    missing = client.post(f"{PATH}/parse", headers=auth, files={"other": ("a", b"x")})
    assert missing.json()["errors"] == [{"field": "file", "message": "send the résumé as a file"}]
    empty = client.post(f"{PATH}/parse", headers=auth, json={"text": ""})
    assert empty.json()["errors"][0]["field"] == "text"
    assert client.post(f"{PATH}/parse", json={"text": "x"}).status_code == 401
    assert (
        client.post(f"{PATH}/parse", headers=bearer(roles=["operator"]), json={"text": "x"}).status_code
        == 403
    )


def test_spans_of_a_text(client: TestClient[Any], auth: dict[str, str]) -> None:
    text = "😀 张伟，汉族，本科学历，熟悉 Java 与 Kubernetes。"
    entities = client.post("/api/v1/entities/extract", headers=auth, json={"text": text}).json()["entities"]
    assert {(e["label"], text[e["start"] : e["end"]]) for e in entities} >= {
        ("RACE", "汉族"),
        ("SKILL", "Java"),
    }
    skills = client.post("/api/v1/skills/extract", headers=auth, json={"text": text}).json()["skills"]
    assert [(s["name"], text[s["start"] : s["end"]]) for s in skills] == [
        ("Java", "Java"),
        ("Kubernetes", "Kubernetes"),
    ]


def test_documents_are_counted(client: TestClient[Any], auth: dict[str, str]) -> None:
    for name, content in {
        "a.pdf": build("pdf-one-column", "en"),
        "a.docx": build("docx-plain", "en"),
        "scan.pdf": pdf_image_only(),
    }.items():
        client.post(f"{PATH}/parse", headers=auth, files={"file": (name, content)})
    metrics = client.get("/metrics").text
    assert 'looma_resume_documents_total{outcome="parsed",type="pdf"}' in metrics
    assert 'looma_resume_documents_total{outcome="no-text-in-document",type="unknown"}' in metrics
    assert 'looma_resume_parse_seconds_count{type="docx"}' in metrics
    assert client.get("/readyz").json() == {"status": "ready"}


def test_a_field_of_a_form_that_is_no_text_is_refused(client: TestClient[Any], auth: dict[str, str]) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="source"\r\n\r\n\xff\r\n--b--\r\n'
    headers = {**auth, "Content-Type": "multipart/form-data; boundary=b"}
    for path in ("", "/parse", "/batch"):
        answer = client.post(PATH + path, headers=headers, content=body)
        assert (answer.status_code, answer.json()["detail"]) == (400, "A field of the form is not UTF-8.")


def test_the_openapi_document_tells_each_answer_of_a_file(client: TestClient[Any]) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    kept = paths[PATH]["post"]["responses"]
    assert kept["200"]["content"] == kept["201"]["content"] == kept["202"]["content"]
    file = paths[f"{PATH}/{{resume_id}}/file"]["get"]["responses"]["200"]["content"]
    assert {"application/pdf", "text/plain"} <= set(file)
    assert (
        paths[f"{PATH}/batch"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"][
            "properties"
        ]["files"]["minItems"]
        == 1
    )


def test_the_openapi_document_names_both_bodies(client: TestClient[Any]) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths["/api/v1/resumes/parse"]["post"]["requestBody"]["content"]) == {
        "multipart/form-data",
        "application/json",
    }
    for path in ("/resumes", "/resumes/parse", "/resumes/batch", "/entities/extract", "/skills/extract"):
        answers = paths[f"/api/v1{path}"]["post"]["responses"]
        assert "X-Looma-Cost" in next(iter(answers.values()))["headers"], path
