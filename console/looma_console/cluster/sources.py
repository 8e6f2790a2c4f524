"""Collections of the Kubernetes API as `Source` of a `ListWatch`."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator

import urllib3

from looma_console.cluster.api import KubeApi
from looma_console.cluster.listwatch import WATCH_SECONDS, Gone, Object

HTTP_GONE = 410
PAGE = "500"


class ApiSource:
    """Lists and watches one collection with the console's own service account."""

    def __init__(self, api: KubeApi, path: str, *, field_selector: str | None = None) -> None:
        """Watch the collection at `path`, such as `/api/v1/namespaces/looma/events`."""
        self._api = api
        self._path = path
        self._selector = {"fieldSelector": field_selector} if field_selector else {}

    def list(self) -> tuple[Iterable[Object], str]:
        """All objects now. Raises `KubernetesError`."""
        items: list[Object] = []
        query = {**self._selector, "limit": PAGE}
        while True:
            document = self._api.request("GET", self._path, query=query)
            items += document["items"]
            more = document["metadata"].get("continue")
            if not more:
                return items, str(document["metadata"]["resourceVersion"])
            query["continue"] = more

    def watch(self, resource_version: str, stop: threading.Event) -> Iterator[tuple[str, Object]]:
        """Events until the server ends the stream. Raises `Gone` when the version is too old."""
        query = {
            **self._selector,
            "watch": "true",
            "resourceVersion": resource_version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        stream = self._api.open(self._path, query=query, read_seconds=WATCH_SECONDS + 15)
        try:
            for line in _lines(stream, stop):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    if event["object"].get("code") == HTTP_GONE:
                        raise Gone
                    raise RuntimeError(f"watch failed: {event['object'].get('message', event['object'])}")
                yield event["type"], event["object"]
        finally:
            stream.close()


def _lines(stream: urllib3.BaseHTTPResponse, stop: threading.Event) -> Iterator[bytes]:
    rest = b""
    # read1 answers what is there; read and stream would wait until their buffer is full.
    while chunk := stream.read1(65536):
        if stop.is_set():
            return
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line for line in whole if line)
