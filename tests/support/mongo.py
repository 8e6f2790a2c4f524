"""A server that speaks MongoDB's own protocol, as a process of its own that can be killed and started again.

It is mongo-java-server, which keeps all in memory and has neither replica sets nor change streams. Maven fetches it
once into Looma's cache; nothing is fetched where it is there.
"""

from __future__ import annotations

import hashlib
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from pymongo import MongoClient

from looma_cluster import paths

SOURCES = Path(__file__).parent / "mongo_server"
FILES = ("pom.xml", "Server.java")
BUILD_SECONDS, START_SECONDS = 240, 60
Document = dict[str, Any]


def built() -> Path:
    """The folder with the server's classes, built if need be."""
    if not all(map(shutil.which, ("mvn", "javac", "java"))):
        pytest.skip("Maven and a JDK are needed for MongoDB's protocol")
    digest = hashlib.sha256(b"".join((SOURCES / name).read_bytes() for name in FILES)).hexdigest()[:16]
    folder = paths.cache() / f"mongo-for-tests-{digest}"
    paths.cache().mkdir(parents=True, exist_ok=True)
    with FileLock(paths.cache() / "mongo-for-tests.lock"):
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=paths.cache(), prefix="building-") as temporary:
                _build(Path(temporary))
                Path(temporary).rename(folder)
                # What was renamed away is not there to be removed.
                Path(temporary).mkdir()
    return folder


def _build(folder: Path) -> None:
    copy = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
    for name in FILES:
        shutil.copy(SOURCES / name, folder / name)
    for command in (
        ["mvn", "--batch-mode", "--quiet", copy, f"-DoutputDirectory={folder}/jars"],
        ["javac", "-cp", f"{folder}/jars/*", "-d", str(folder), str(folder / "Server.java")],
    ):
        subprocess.run(command, cwd=folder, check=True, timeout=BUILD_SECONDS, stdout=subprocess.DEVNULL)


class Mongo:
    """A server on a port that stays the same, whatever becomes of its process."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its database `crm`."""
        return f"mongodb://127.0.0.1:{self.port}/crm"

    def start(self) -> None:
        """Start it, with nothing in it."""
        folder = built()
        command = ["java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        command += ["-cp", f"{folder}:{folder}/jars/*", "Server", str(self.port)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip() == b"ready"

    def kill(self) -> None:
        """End it as a machine does that loses its power."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def write(self, documents: list[Document], collection: str = "people") -> None:
        """Let the collection have just these."""
        with MongoClient[Document](self.url) as client:
            found = client["crm"][collection]
            found.drop()
            if documents:
                found.insert_many([dict(document) for document in documents])

    def change(self, which: Document, change: Document, collection: str = "people") -> None:
        """Change documents."""
        with MongoClient[Document](self.url) as client:
            client["crm"][collection].update_many(which, change)

    def remove(self, which: Document, collection: str = "people") -> None:
        """Remove documents."""
        with MongoClient[Document](self.url) as client:
            client["crm"][collection].delete_many(which)

    def documents(self, collection: str = "people") -> list[Document]:
        """All documents as they are."""
        with MongoClient[Document](self.url) as client:
            return list(client["crm"][collection].find())
