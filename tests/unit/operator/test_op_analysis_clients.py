"""Asking Prometheus and HTTP addresses, by real sockets: what goes wrong is in the reading, secrets are not."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from looma_core.kube import KubeError
from looma_operator.analysis import clients
from looma_operator.analysis.clients import Clients
from looma_operator.analysis.pointer import point
from looma_operator.kube.client import NotFoundError, RefusedError
from looma_operator.kube.kinds import CONFIG_MAP, SECRET, Kind
from looma_operator.plan.judging import Reading
from looma_operator.plan.metric import Order
from looma_operator.resources_analysis import HttpSource, Metric, ProbeSet, PrometheusQuery, SecretHeader
from support.operator_world import START

TOKEN = "a-token-that-nobody-else-may-see"
SERIES = '{"metric":{"revision":"r2"},"value":[1700000000.5,"1.5"]}'


class Server:
    """An HTTP server that answers what a test says, and remembers what it was asked."""

    def __init__(self) -> None:
        self.status, self.body, self.headers = 200, "{}", {}
        self.asked: list[dict[str, str]] = []
        self.address = ""
        self.hangs = False

    async def handle(self, request: web.Request) -> web.Response:
        is_json = request.content_type == "application/json"
        form = {} if is_json or request.method != "POST" else await request.post()
        self.asked.append(
            {
                "path": request.path,
                "method": request.method,
                "body": await request.text() if is_json else "",
                "authorization": request.headers.get("Authorization", ""),
                **{name: str(value) for name, value in form.items()},
            }
        )
        if self.hangs:
            await asyncio.sleep(60)
        return web.Response(status=self.status, text=self.body, headers=self.headers)


class Secrets:
    """The API server's part: one Secret and one ConfigMap, or the error that it answers."""

    def __init__(self, data: dict[str, str] | KubeError, probes: dict[str, str] | None = None) -> None:
        self._data, self._sets = data, probes

    async def get(self, kind: Kind, _: str, name: str) -> dict:
        if kind is CONFIG_MAP:
            assert name == "looma-probes"
            if self._sets is None:
                raise NotFoundError(404, "not found")
            return {"data": self._sets}
        assert (kind, name) == (SECRET, "looma-analysis")
        if isinstance(self._data, KubeError):
            raise self._data
        return {"data": {key: base64.b64encode(text.encode()).decode() for key, text in self._data.items()}}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", made.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


async def read(metric: Metric, query: str, *, prometheus: str = "", secrets: object = None) -> Reading:
    asking = Clients(prometheus_url=prometheus, kube=Secrets({}) if secrets is None else secrets, jobs=None)
    try:
        order = Order(run="step-1", metric=metric, started_at=START, number=0, query=query)
        return await asking.read("looma", order)
    finally:
        await asking.close()


async def query(server: Server, body: str = "", *, status: int = 200) -> Reading:
    server.body, server.status = body or server.body, status
    metric = Metric(name="own", prometheus=PrometheusQuery(query="up"))
    return await read(metric, 'sum(up{a="b c+d"})', prometheus=f"{server.address}/")


async def test_a_vector_is_its_series(server):
    body = f'{{"status":"success","data":{{"resultType":"vector","result":[{SERIES},{SERIES}]}}}}'
    reading = await query(server, body)
    assert [(sample.value, dict(sample.labels)) for sample in reading.samples] == [
        (1.5, {"revision": "r2"})
    ] * 2
    assert server.asked[0]["path"] == "/api/v1/query"
    assert server.asked[0]["query"] == 'sum(up{a="b c+d"})'


async def test_a_scalar_is_one_value_and_no_number_stays_none(server):
    body = '{"status":"success","data":{"resultType":"scalar","result":[1700000000,"NaN"]}}'
    reading = await query(server, body)
    assert str(reading.samples[0].value) == "nan"


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (
            400,
            '{"status":"error","errorType":"bad_data","error":"parse error: x"}',
            "bad_data: parse error: x",
        ),
        (503, '{"status":"error","errorType":"timeout","error":"query timed out"}', "query timed out"),
        (200, '{"status":"success","data":{"resultType":"matrix","result":[]}}', "no answer of Prometheus"),
        (200, '{"status":"success"}', "Prometheus:"),
        (200, "<html>a login page</html>", "HTTP 200, and no answer of Prometheus' API"),
        (502, "bad gateway", "HTTP 502"),
        (307, "elsewhere", "HTTP 307"),
    ],
)
async def test_an_answer_that_is_none(server, status, body, words):
    server.headers = {"Location": f"{server.address}/other"} if status == 307 else {}
    reading = await query(server, body, status=status)
    assert words in reading.error
    assert reading.samples == ()
    assert len(server.asked) == 1, "no redirect is followed"


async def test_without_a_prometheus_it_says_what_to_set():
    reading = await read(Metric(name="errors", built_in="errorRate", max=1), "up")
    assert "LOOMA_PROMETHEUS_URL" in reading.error
    assert "prometheus.url" in reading.error


async def test_one_that_is_not_there_or_hangs(server, monkeypatch):
    metric = Metric(name="errors", built_in="errorRate", max=1)
    assert "not reached" in (await read(metric, "up", prometheus="http://127.0.0.1:9")).error
    assert "not reached" in (await read(metric, "up", prometheus="http://nobody.invalid:9090")).error
    monkeypatch.setattr(clients, "MEASURE_SECONDS", 0.2)
    server.hangs = True
    assert "no answer within 0.2 s" in (await read(metric, "up", prometheus=server.address)).error


async def test_an_answer_without_end_is_given_up(server, monkeypatch):
    monkeypatch.setattr(clients, "LARGEST_ANSWER", 2**20)
    reading = await query(server, "x" * (2**20 + 1))
    assert reading.error == "the answer has more than 1 MiB"


def quality(server: Server, pointer: str = "/score", key: str = "") -> tuple[Metric, str]:
    header = SecretHeader(name="Authorization", secret_key=key) if key else None
    url = f"{server.address}/scores/r2"
    return Metric(name="quality", http=HttpSource(url=url, pointer=pointer, header=header), min=0.9), url


async def test_a_number_in_a_document(server):
    server.body = '{"score": 0.93, "items": [{"a/b": 7}]}'
    assert (await read(*quality(server))).samples[0].value == 0.93
    assert (await read(*quality(server, "/items/0/a~1b"))).samples[0].value == 7
    assert server.asked[0]["path"] == "/scores/r2"


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, '{"scores": 1}', "the document has nothing at /score"),
        (200, '{"score": "0.93"}', "what is at /score is no number"),
        (200, '{"score": true}', "is no number"),
        (200, '{"score": NaN}', "the answer is no JSON"),
        (200, "", "the answer is no JSON"),
        (404, '{"score": 0.93}', "HTTP 404 instead of 200"),
        (302, '{"score": 0.93}', "HTTP 302 instead of 200"),
    ],
)
async def test_a_document_that_has_no_number(server, status, body, words):
    server.status, server.body = status, body
    reading = await read(*quality(server))
    assert words in reading.error
    assert reading.samples == ()


async def test_a_header_has_its_value_from_the_secret_and_no_message_has_it(server, caplog):
    caplog.set_level("DEBUG")
    server.body = '{"score": 0.93}'
    secrets = Secrets({"token": f"Bearer {TOKEN}\n"})
    reading = await read(*quality(server, key="token"), secrets=secrets)
    assert reading.samples[0].value == 0.93
    assert server.asked[0]["authorization"] == f"Bearer {TOKEN}"
    server.status = 401
    reading = await read(*quality(server, key="token"), secrets=secrets)
    assert TOKEN not in reading.error + caplog.text


@pytest.mark.parametrize(
    ("secrets", "words"),
    [
        (Secrets({"other": "x"}), "key token of Secret looma-analysis: there is no such key"),
        (Secrets(NotFoundError(404, "not found")), "there is no such Secret in looma"),
        (Secrets(RefusedError(403, "forbidden")), "the operator may not read it"),
        (Secrets(KubeError(0, "no answer")), "could not be read: no answer"),
        (Secrets({"token": f"two\nlines {TOKEN}"}), "characters that a header cannot have"),
    ],
)
async def test_a_secret_that_cannot_be_used(server, secrets, words):
    reading = await read(*quality(server, key="token"), secrets=secrets)
    assert words in reading.error
    assert TOKEN not in reading.error
    assert server.asked == [], "nobody is asked without it"


PROBED = Metric(name="people", probes=ProbeSet(set="people"), min=95)
PARSE = {
    "path": "/api/v1/resumes/parse",
    "body": {"text": "Ada"},
    "expect": {"/contact/name": "Ada", "/pages": 1},
}


async def probed(server: Server, *probes: dict, address: str = "", metric: Metric = PROBED) -> Reading:
    sets = Secrets({"token": TOKEN}, {"people": json.dumps(list(probes))})
    return await read(metric, address or server.address, secrets=sets)


async def test_probes_are_scored_by_what_their_answers_should_be(server):
    server.body = '{"contact": {"name": "Ada"}, "pages": 2}'
    reading = await probed(server, PARSE, PARSE | {"name": "ada-2"}, {"path": "/", "method": "GET"})
    assert reading.samples[0].value == 60.0, "3 of 5 expectations"
    assert reading.count == 3
    assert reading.note == "2 of 5 wrong: 0 /pages, ada-2 /pages"
    assert {(item["method"], item["path"], item["body"]) for item in server.asked} == {
        ("POST", "/api/v1/resumes/parse", '{"text": "Ada"}'),
        ("GET", "/", ""),
    }


@pytest.mark.parametrize(
    ("status", "body", "score"),
    [
        (200, '{"contact": {"name": "Ada"}, "pages": 1}', 100),
        (200, '{"contact": {"name": "Eve"}, "pages": true}', 0),
        (200, "no JSON", 0),
        (200, "[]", 0),
        (500, '{"contact": {"name": "Ada"}, "pages": 1}', 0),
    ],
)
async def test_an_answer_is_right_or_wrong(server, status, body, score):
    server.status, server.body = status, body
    assert (await probed(server, PARSE)).samples[0].value == score


async def test_no_note_has_what_an_answer_says(server):
    server.body = '{"contact": {"name": "Somebody Real"}}'
    assert "Somebody" not in (await probed(server, PARSE)).note


async def test_probes_carry_their_header(server):
    header = SecretHeader(name="Authorization", secret_key="token")
    await probed(server, PARSE, metric=Metric(name="p", probes=ProbeSet(set="people", header=header), min=1))
    assert server.asked[0]["authorization"] == TOKEN


async def test_pods_that_never_answer_are_not_measured(server):
    reading = await probed(server, PARSE, PARSE, address="http://127.0.0.1:9")
    assert "none of 2 probes was answered at http://127.0.0.1:9" in reading.error


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        (None, "key people of ConfigMap looma-probes: there is no such ConfigMap in looma"),
        ({}, "there is no such key"),
        ({"people": "[]"}, "it has no probe; write a JSON list"),
        ({"people": "{}"}, "Expected `array`"),
        ({"people": '[{"path": "no"}]'}, "path must begin with /"),
        ({"people": '[{"path": "/", "expects": {}}]'}, "unknown field `expects`"),
    ],
)
async def test_a_set_that_is_none(server, sets, words):
    reading = await read(PROBED, server.address, secrets=Secrets({}, sets))
    assert words in reading.error
    assert server.asked == []


async def test_a_revision_without_a_service_of_its_own_cannot_be_probed():
    reading = await read(PROBED, "", secrets=Secrets({}, {"people": json.dumps([PARSE])}))
    assert "probes need route.pathPrefixes" in reading.error


DOCUMENT = {"foo": ["bar", "baz"], "": 0, "a/b": 1, "m~n": 8, " ": 7, "c%d": 2}


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("", DOCUMENT),
        ("/foo", ["bar", "baz"]),
        ("/foo/0", "bar"),
        ("/", 0),
        ("/a~1b", 1),
        ("/m~0n", 8),
        ("/ ", 7),
        ("/c%d", 2),
    ],
)
def test_pointers_of_the_rfc(pointer, value):
    assert point(DOCUMENT, pointer) == value


@pytest.mark.parametrize(
    "pointer", ["foo", "/foo/2", "/foo/00", "/foo/-1", "/foo/-", "/none", "/foo/0/x", "//"]
)
def test_pointers_to_nothing(pointer):
    with pytest.raises(LookupError):
        point(DOCUMENT, pointer)
