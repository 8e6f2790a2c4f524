"""Asking once: Prometheus' HTTP API, a JSON document, or a Job. Whatever goes wrong is part of the reading.

Answers are read up to a limit and redirects are not followed: an address that an AIService names is asked, no other.
The value of a header never leaves this module: no message has it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import Any

import aiohttp
import msgspec

from looma_core.kube import KubeError

from ..kube import kinds
from ..kube.client import Kube, NotFoundError, RefusedError
from ..plan.judging import Reading, Sample
from ..plan.metric import Order
from ..resources_analysis import ANALYSIS_SECRET, PROBES, HttpSource, ProbeSet, SecretHeader
from .jobs import Jobs
from .pointer import point
from .probing import Unmeasurable, probe, read_probes

MEASURE_SECONDS = 10.0
"""Longest time for one measurement, from its first byte to its last."""
PROBING_SECONDS = 60.0
"""The same for a whole set of probes: a model may think for a while about each."""
LARGEST_ANSWER = 4 * 2**20
SENTENCE = 200  # Characters of Prometheus' own sentence; a parse error has the whole query in it.
NO_PROMETHEUS = (
    "no Prometheus is known: set LOOMA_PROMETHEUS_URL of the operator (the chart's value prometheus.url), "
    "as http://prometheus:9090"
)


class _Series(msgspec.Struct, frozen=True):
    metric: dict[str, str] = {}
    value: tuple[float, str] = (0.0, "NaN")


class _Vector(msgspec.Struct, frozen=True, tag_field="resultType", tag="vector"):
    result: tuple[_Series, ...]


class _Scalar(msgspec.Struct, frozen=True, tag_field="resultType", tag="scalar"):
    result: tuple[float, str]


class _Answer(msgspec.Struct, frozen=True, rename="camel"):
    """Prometheus' answer to an instant query."""

    status: str
    data: _Vector | _Scalar | None = None
    error: str = ""
    error_type: str = ""


class Clients:
    """Where measurements are read; one session for all of them."""

    def __init__(self, *, prometheus_url: str, kube: Kube, jobs: Jobs) -> None:
        """Open nothing yet; `kube` reads the Secret with the headers' values, `jobs` makes Jobs and reads them."""
        self._prometheus_url = prometheus_url.rstrip("/")
        self._kube = kube
        self._jobs = jobs
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def read(self, namespace: str, order: Order) -> Reading:
        """Carry an order out, within `MEASURE_SECONDS`, or `PROBING_SECONDS` for a set of probes.

        A Job is only looked at: its reading is pending until it has ended.
        """
        if order.job is not None:
            return await self._jobs.read(order.job)
        seconds = MEASURE_SECONDS if order.metric.probes is None else PROBING_SECONDS
        try:
            async with asyncio.timeout(seconds):
                return await self._read(namespace, order)
        except Unmeasurable as error:
            return Reading(error=str(error))
        except TimeoutError:
            return Reading(error=f"no answer within {seconds:g} s")
        except KubeError as error:
            return Reading(error=f"{ANALYSIS_SECRET} or {PROBES} could not be read: {error.message}")
        except (aiohttp.ClientError, OSError) as error:
            # A proxy's or a certificate's trouble among them; an HTTP header is in none of these messages.
            return Reading(error=f"not reached: {str(error)[:SENTENCE] or type(error).__name__}")

    async def _read(self, namespace: str, order: Order) -> Reading:
        metric = order.metric
        if metric.http is not None:
            return await self._document(namespace, metric.http, order.query)
        if metric.probes is not None:
            return await self._probes(namespace, metric.probes, order.query)
        return await self._query(order.query)

    async def _query(self, query: str) -> Reading:
        if not self._prometheus_url:
            raise Unmeasurable(NO_PROMETHEUS)
        seconds = f"{MEASURE_SECONDS / 2:g}s"
        status, body = await self._exchange(
            "POST", f"{self._prometheus_url}/api/v1/query", data={"query": query, "timeout": seconds}
        )
        try:
            answer = msgspec.json.decode(body, type=_Answer, strict=False)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise Unmeasurable(f"HTTP {status}, and no answer of Prometheus' API") from error
        if status != 200 or answer.status != "success" or answer.data is None:
            raise Unmeasurable(f"Prometheus: {answer.error_type}: {answer.error}"[:SENTENCE])
        if isinstance(answer.data, _Scalar):
            return Reading(samples=(Sample(value=float(answer.data.result[1])),))
        return Reading(
            samples=tuple(
                Sample(value=float(series.value[1]), labels=series.metric) for series in answer.data.result
            )
        )

    async def _document(self, namespace: str, source: HttpSource, url: str) -> Reading:
        headers = await self._headers(namespace, source.header)
        status, body = await self._exchange("GET", url, headers=headers)
        if status != 200:
            raise Unmeasurable(f"HTTP {status} instead of 200")
        try:
            value = point(msgspec.json.decode(body), source.pointer)
        except msgspec.DecodeError as error:
            raise Unmeasurable("the answer is no JSON") from error
        except LookupError as error:
            raise Unmeasurable(str(error)) from error
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Unmeasurable(f"what is at {source.pointer or 'the top'} is no number")
        return Reading(samples=(Sample(value=float(value)),))

    async def _probes(self, namespace: str, source: ProbeSet, base: str) -> Reading:
        if not base:
            raise Unmeasurable(
                "the revision has no Service of its own to be asked at: probes need route.pathPrefixes"
            )
        place = f"key {source.set} of ConfigMap {PROBES}"
        try:
            stored = await self._kube.get(kinds.CONFIG_MAP, namespace, PROBES)
        except NotFoundError as error:
            raise Unmeasurable(f"{place}: there is no such ConfigMap in {namespace}") from error
        text = (stored.get("data") or {}).get(source.set)
        if text is None:
            raise Unmeasurable(f"{place}: there is no such key")
        try:
            probes = read_probes(text)
        except ValueError as error:
            raise Unmeasurable(f"{place}: {error}") from error
        headers = await self._headers(namespace, source.header)
        return await probe(self._exchange, base, probes, headers=headers)

    async def _headers(self, namespace: str, header: SecretHeader | None) -> dict[str, str]:
        headers = {"Accept": "application/json"}
        if header is not None:
            headers[header.name] = await self._secret(namespace, header)
        return headers

    async def _secret(self, namespace: str, header: SecretHeader) -> str:
        place = f"key {header.secret_key} of Secret {ANALYSIS_SECRET}"
        try:
            stored = await self._kube.get(kinds.SECRET, namespace, ANALYSIS_SECRET)
        except NotFoundError as error:
            raise Unmeasurable(f"{place}: there is no such Secret in {namespace}") from error
        except RefusedError as error:
            raise Unmeasurable(f"{place}: the operator may not read it") from error
        encoded = (stored.get("data") or {}).get(header.secret_key)
        if encoded is None:
            raise Unmeasurable(f"{place}: there is no such key")
        try:
            value = base64.b64decode(encoded, validate=True).decode().strip()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise Unmeasurable(f"{place}: not text") from error
        if not value.isprintable():
            raise Unmeasurable(f"{place}: it has characters that a header cannot have")
        return value

    async def _exchange(self, method: str, url: str, **more: Any) -> tuple[int, bytes]:
        if self._session is None:
            # One that asks nothing of the environment: no proxy is between the operator and what it measures.
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=16))
        try:
            async with self._session.request(method, url, allow_redirects=False, **more) as answer:
                body = b""
                while len(body) <= LARGEST_ANSWER and (chunk := await answer.content.readany()):
                    body += chunk
                if len(body) > LARGEST_ANSWER:
                    raise Unmeasurable(f"the answer has more than {LARGEST_ANSWER >> 20} MiB")
                return answer.status, body
        except ValueError as error:
            # An address or header that no request can be made of; the error may have its value.
            raise Unmeasurable("no request can be made of that address") from error
