"""The platform Zervigo and a server of files, as a process of its own: `python -m support.source_server FOLDER PORT`.

Zervigo answers by docs/openapi/zervigo.yaml from FOLDER/KIND.json; files are below FOLDER/files, with ETag and ranges.
What goes wrong is told at /_faults, a list of these, the first that fits a request strikes:

| fault    | what the server does                                                        |
| -------- | --------------------------------------------------------------------------- |
| status   | answers `status`, with `retry_after` if given                               |
| cut      | closes the connection in the middle of a body, after `bytes` of it           |
| open     | as cut, of a body whose length it does not say: nobody can see that it is short |
| slow     | waits `seconds` before it answers                                           |
| expire   | forgets all tokens, and answers 401                                         |
| garbage  | answers 200 with a page for people                                          |
| loop     | gives the cursor of this page as that of the next                           |
| repeat   | gives the first record of the page twice                                    |
| items    | gives these `items` as the last page                                        |
| edit     | puts `bytes` in the place of the file, before it answers; does not look at If-Range, if `blind` |
| no ranges | answers the whole file, whatever was asked for                             |
| flip     | answers other bytes than the file has, as many as it has                    |
| die      | ends the process in the middle of a body                                    |
| unheard  | changes, makes or deletes the record as it is asked to, and closes the connection without a word |
| meanwhile | lets somebody else change the record by `changes`, before it looks at a patch |

`where` is what the path has to hold, `method` how it is asked, `after` how many that fit pass before, `times` how often
it strikes.
"""

from __future__ import annotations

import base64
import email.utils
import hashlib
import json
import os
import re
import secrets
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import jsonschema
import yaml

CLIENT, SECRET = "looma", "a secret that is for tests alone"
STATIC_TOKEN = "a-token-that-does-not-end"
KINDS = ("talents", "companies", "jobs")
Object = dict[str, Any]
Fault = dict[str, Any]


RECORD = re.compile(r"/api/v1/(talents|companies|jobs)(?:/([^/]+))?")
OWN = re.compile(r"/api/v1/(talents|companies|jobs)/by-external-id/([^/]+)")
OWN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
DOCUMENT = yaml.safe_load((Path(__file__).parents[2] / "docs" / "openapi" / "zervigo.yaml").read_text())
PATCHES, NEW = (
    {
        kind: jsonschema.Draft202012Validator(
            {"$ref": f"#/components/schemas/{name}{form}", "components": DOCUMENT["components"]},
            format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
        )
        for kind, name in (("talents", "Talent"), ("companies", "Company"), ("jobs", "Job"))
    }
    for form in ("Patch", "New")
)


def _tag(record: Object) -> str:
    return f'"{hashlib.sha256(json.dumps(record).encode()).hexdigest()[:16]}"'


def _merge(into: Object, patch: Object) -> None:
    """RFC 7396."""
    for name, value in patch.items():
        if value is None:
            into.pop(name, None)
        elif isinstance(value, dict):
            inner = into.get(name)
            into[name] = inner if isinstance(inner, dict) else {}
            _merge(into[name], value)
        else:
            into[name] = value


class Stop(Exception):
    """The answer was given, or broken off."""


class State:
    """What all requests share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = threading.Lock()
        self.changing = threading.Lock()
        self.faults: list[Fault] = []
        self.seen: Counter[str] = Counter()
        self.methods: Counter[str] = Counter()
        self.struck: Counter[str] = Counter()
        self.tokens: dict[str, float] = {}
        self.token_seconds = 3600.0
        self.times: list[float] = []
        self.stamps = 0

    def records(self, kind: str) -> list[Object]:
        """Records in the order of their ids."""
        file = self.folder / f"{kind}.json"
        found = json.loads(file.read_text()) if file.exists() else []
        return sorted(found, key=lambda record: str(record.get("id")))

    def change(self, kind: str, key: str, changes: Object) -> Object:
        """Change a record by a merge patch of its members; as it is then."""
        records = self.records(kind)
        (record,) = [record for record in records if record["id"] == key]
        _merge(record, changes)
        self.stamps += 1
        moment = datetime(2026, 6, 1, tzinfo=UTC) + timedelta(seconds=self.stamps)
        record["updated_at"] = moment.isoformat().replace("+00:00", "Z")
        self.keep(kind, records)
        return record

    def keep(self, kind: str, records: list[Object]) -> None:
        """Have these records, all at once."""
        partial = self.folder / f"{kind}.changing"
        partial.write_text(json.dumps(records))
        partial.replace(self.folder / f"{kind}.json")

    def external(self, kind: str) -> dict[str, str]:
        """Ids of records by those that they have elsewhere."""
        file = self.folder / f"{kind}.external"
        return dict(json.loads(file.read_text())) if file.exists() else {}

    def made(self, kind: str, name: str, members: Object) -> Object:
        """Make a record, with an id of its own."""
        self.stamps += 1
        moment = datetime(2026, 6, 1, tzinfo=UTC) + timedelta(seconds=self.stamps)
        record = {**members, "id": f"z-{secrets.token_hex(4)}"}
        record["updated_at"] = moment.isoformat().replace("+00:00", "Z")
        self.keep(kind, [*self.records(kind), record])
        (self.folder / f"{kind}.external").write_text(json.dumps({**self.external(kind), name: record["id"]}))
        return record

    def fault(self, path: str, *, named: bool, method: str) -> Fault:
        """The fault that strikes a request; some strike only those that name who asks."""
        with self.lock:
            for fault in self.faults:
                if fault.get("named") and not named:
                    continue
                if fault.get("where", "") not in path or fault.get("method", method) != method:
                    continue
                if fault.get("times", 1) <= 0:
                    continue
                if fault.get("after", 0) > 0:
                    fault["after"] -= 1
                    continue
                fault["times"] = fault.get("times", 1) - 1
                self.struck[fault["kind"]] += 1
                return fault
        return {"kind": ""}


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    state: State
    protocol_version = "HTTP/1.1"

    def do_ANY(self) -> None:
        # Whatever the method: what is left of a body would be taken for the next request.
        self._answered(self.rfile.read(int(self.headers.get("Content-Length", "0"))))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_ANY  # noqa: N815 - http.server looks for these names
    do_OPTIONS = do_HEAD = do_TRACE = do_QUERY = do_ANY  # noqa: N815 - as above

    def log_message(self, *_: object) -> None:
        """Stay quiet."""

    def _answered(self, body: bytes) -> None:
        parts = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        try:
            if parts.path.startswith("/_"):
                self._control(parts.path, body)
                return
            with self.state.lock:
                self.state.seen[parts.path] += 1
                self.state.methods[self.command] += 1
                self.state.times.append(time.monotonic())
            fault = self.state.fault(parts.path, named="Authorization" in self.headers, method=self.command)
            self._strike(fault, parts.path)
            allowed = ["POST"] if parts.path == "/oauth/token" else ["GET"]
            one = RECORD.fullmatch(parts.path)
            if one is not None and one[2] is not None:
                allowed += ["PATCH", "DELETE"]
            if OWN.fullmatch(parts.path) is not None:
                allowed.append("PUT")
            if self.command not in allowed:
                self._problem(405, "not in this way", {"Allow": ", ".join(allowed)})
            if parts.path == "/oauth/token":
                self._token(body)
            elif parts.path.startswith("/files/"):
                self._file(parts.path.removeprefix("/files/"), fault)
            else:
                self._platform(parts.path, query, fault, body)
        except Stop:
            pass
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    # ---- faults and control ------------------------------------------------------------------------------

    def _control(self, path: str, body: bytes) -> None:
        state = self.state
        if path == "/_faults":
            state.faults = json.loads(body)
        elif path == "/_settings":
            vars(state).update(json.loads(body))
        elif path == "/_forget":
            state.seen.clear()
            state.methods.clear()
            state.struck.clear()
            state.times.clear()
        told = {"seen": state.seen, "methods": state.methods, "struck": state.struck, "times": state.times}
        self._json(200, told)

    def _strike(self, fault: Fault, path: str) -> None:
        kind = fault["kind"]
        if kind == "slow":
            time.sleep(fault["seconds"])
        elif kind == "status":
            wait = {"Retry-After": str(fault["retry_after"])} if "retry_after" in fault else {}
            self._problem(fault["status"], "not now", wait)
        elif kind == "expire":
            self.state.tokens.clear()
            self._problem(401, "expired", {"WWW-Authenticate": "Bearer"})
        elif kind == "garbage":
            self._send(200, b"<html>Please log in</html>", {"Content-Type": "text/html"})
            raise Stop
        elif kind == "edit":
            (self.state.folder / path.lstrip("/")).write_text(fault["bytes"])

    def _broken(self, status: int, body: bytes, headers: dict[str, str], fault: Fault) -> None:
        """Begin to answer, and end in the middle."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if fault["kind"] == "open":
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: fault.get("bytes", len(body) // 2)])
        self.wfile.flush()
        if fault["kind"] == "die":
            os._exit(9)
        self.close_connection = True
        raise Stop

    # ---- Zervigo -----------------------------------------------------------------------------------------

    def _token(self, body: bytes) -> None:
        form = {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
        if form.get("grant_type") != "client_credentials":
            self._json(400, {"error": "unsupported_grant_type"})
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT, SECRET):
            self._json(401, {"error": "invalid_client"})
        token = secrets.token_urlsafe(16)
        self.state.tokens[token] = time.monotonic() + self.state.token_seconds
        self._json(
            200,
            {
                "access_token": token,
                "token_type": "Bearer",
                "expires_in": max(1, int(self.state.token_seconds)),
            },
        )

    def _platform(self, path: str, query: dict[str, str], fault: Fault, body: bytes) -> None:
        match = RECORD.fullmatch(path) or OWN.fullmatch(path)
        if match is None:
            self._problem(404, "there is no such thing")
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token != STATIC_TOKEN and self.state.tokens.get(token, 0) <= time.monotonic():
            self._problem(401, "no token that is good", {"WWW-Authenticate": "Bearer"})
        assert match is not None
        kind, key = match.groups()
        if match.re is OWN:
            self._external(kind, str(key), body, fault)
        if key is not None and self.command == "PATCH":
            self._patch(kind, unquote(key), body, fault)
        if key is not None and self.command == "DELETE":
            self._delete(kind, unquote(key), fault)
        if key is not None:
            self._one(kind, unquote(key))
        self._page(kind, query, fault)

    def _one(self, kind: str, key: str) -> None:
        for record in self.state.records(kind):
            if record["id"] == key:
                self._json(200, record, {"ETag": _tag(record)})
        self._problem(404, "there is no such record")

    def _patch(self, kind: str, key: str, body: bytes, fault: Fault) -> None:
        with self.state.changing:
            if fault["kind"] == "meanwhile":
                self.state.change(kind, key, fault["changes"])
            found = [record for record in self.state.records(kind) if record["id"] == key]
            if not found:
                self._problem(404, "there is no such record")
            wrong = self._wrong(kind, body)
            if wrong:
                self._problem(400, wrong)
            if "If-Match" not in self.headers:
                self._problem(428, "say by If-Match what you read")
            if self.headers["If-Match"] != _tag(found[0]):
                self._problem(412, "the record has changed")
            record = self.state.change(kind, key, json.loads(body))
        if fault["kind"] == "unheard":
            self.close_connection = True
            raise Stop
        self._json(200, record, {"ETag": _tag(record)})

    def _delete(self, kind: str, key: str, fault: Fault) -> None:
        with self.state.changing:
            if fault["kind"] == "meanwhile":
                self.state.change(kind, key, fault["changes"])
            records = self.state.records(kind)
            found = [record for record in records if record["id"] == key]
            if not found:
                self._problem(404, "there is no such record")
            if "If-Match" not in self.headers:
                self._problem(428, "say by If-Match what you read")
            if self.headers["If-Match"] != _tag(found[0]):
                self._problem(412, "the record has changed")
            self.state.keep(kind, [record for record in records if record["id"] != key])
        self._done(204, None, {}, fault)

    def _external(self, kind: str, name: str, body: bytes, fault: Fault) -> None:
        """The record that was made for one elsewhere; made, if it is asked for and there is none."""
        with self.state.changing:
            key = self.state.external(kind).get(name)
            found = [record for record in self.state.records(kind) if record["id"] == key]
            if self.command == "GET":
                if not found:
                    self._problem(404, "there is no such record")
                self._json(200, found[0], {"ETag": _tag(found[0])})
            if not OWN_ID.fullmatch(name.lower()):
                self._problem(400, "external_id: write a UUID")
            wrong = self._wrong(kind, body, "application/json", NEW)
            if wrong:
                self._problem(400, wrong)
            if self.headers.get("If-None-Match") is None:
                self._problem(428, "say by If-None-Match that there is none")
            if self.headers["If-None-Match"] != "*":
                self._problem(400, "If-None-Match: write *")
            if found:
                self._problem(412, "the record is there already")
            record = self.state.made(kind, name, json.loads(body))
        self._done(201, record, {"ETag": _tag(record)}, fault)

    def _done(self, status: int, record: Object | None, headers: dict[str, str], fault: Fault) -> None:
        if fault["kind"] == "unheard":
            self.close_connection = True
            raise Stop
        if record is None:
            self._send(status, b"", headers)
            raise Stop
        self._json(status, record, headers)

    def _wrong(
        self, kind: str, body: bytes, content: str = "application/merge-patch+json", forms: Any = None
    ) -> str:
        """What is wrong with what was sent by the document."""
        if self.headers.get("Content-Type", "").split(";")[0] != content:
            return f"write {content}"
        try:
            patch = json.loads(body)
        except ValueError:
            return "write JSON"
        return "" if (forms or PATCHES)[kind].is_valid(patch) else "a member is wrong"

    def _page(self, kind: str, query: dict[str, str], fault: Fault) -> None:
        limit, since = query.get("limit", "100"), query.get("updated_since")
        if not re.fullmatch(r"[0-9]{1,3}", limit) or not 1 <= int(limit) <= 500:
            self._problem(400, "limit: write 1 to 500")
        behind = ""
        if "cursor" in query:
            try:
                behind = base64.urlsafe_b64decode(query["cursor"].encode("ascii")).decode()
            except ValueError:
                self._problem(400, "cursor: write what a page gave as next")
            if not behind:
                self._problem(400, "cursor: write what a page gave as next")
        if since is not None and not re.fullmatch(
            r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", since
        ):
            self._problem(400, "updated_since: write a time as 2026-05-01T12:00:00Z")
        found = [
            record
            for record in self.state.records(kind)
            if str(record.get("id")) > behind and (since is None or str(record.get("updated_at")) >= since)
        ]
        page = found[: int(limit)]
        more = len(found) > len(page)
        following = base64.urlsafe_b64encode(str(page[-1]["id"]).encode()).decode() if more else None
        if fault["kind"] == "loop":
            following = query.get("cursor") or following
        if fault["kind"] == "repeat":
            page = [page[0], *page]
        if fault["kind"] == "items":
            page, following = fault["items"], None
        answer = {"items": page, "next": following}
        if fault["kind"] in ("cut", "open", "die"):
            self._broken(200, json.dumps(answer).encode(), {"Content-Type": "application/json"}, fault)
        self._json(200, answer)

    # ---- files -------------------------------------------------------------------------------------------

    def _file(self, name: str, fault: Fault) -> None:
        file = self.state.folder / "files" / name
        if not re.fullmatch(r"[\w.-]+", name) or not file.is_file():
            self._problem(404, "there is no such file")
        content = file.read_bytes()
        digest = hashlib.sha256(content).digest()
        etag = f'"{digest.hex()[:16]}"'
        headers = {
            "Content-Type": "application/octet-stream",
            "ETag": etag,
            "Last-Modified": email.utils.formatdate(file.stat().st_mtime, usegmt=True),
            "Repr-Digest": f"sha-256=:{base64.b64encode(digest).decode()}:",
            "Accept-Ranges": "bytes",
        }
        if self.headers.get("If-Match", etag) not in (etag, "*"):
            self._problem(412, "the file has changed")
        status, body = 200, content
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if fault["kind"] == "flip":
            body = bytes(reversed(body))
        elif fault["kind"] == "no ranges":
            pass
        elif asked is not None and (fault.get("blind") or self.headers.get("If-Range", etag) == etag):
            begin = int(asked[1])
            if begin >= len(content):
                self._problem(416, "there is no such range", {"Content-Range": f"bytes */{len(content)}"})
            status, body = 206, content[begin:]
            headers["Content-Range"] = f"bytes {begin}-{len(content) - 1}/{len(content)}"
        if fault["kind"] in ("cut", "open", "die"):
            self._broken(status, body, headers, fault)
        self._send(status, body, headers)

    # ---- answers -----------------------------------------------------------------------------------------

    def _problem(self, status: int, title: str, headers: dict[str, str] | None = None) -> None:
        body = json.dumps({"type": "about:blank", "title": title, "status": status}).encode()
        self._send(status, body, {"Content-Type": "application/problem+json", **(headers or {})})
        raise Stop

    def _json(self, status: int, value: object, headers: dict[str, str] | None = None) -> None:
        self._send(
            status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})}
        )
        raise Stop

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def main() -> None:
    """Serve until killed."""
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    Handler.state = State(folder)
    ThreadingHTTPServer.daemon_threads = True
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    sys.stdout.write("listening\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
