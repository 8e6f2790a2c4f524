"""PostgreSQL and pgBackRest as the image of the database has them, set as the chart sets them, for measurements.

The root file system of the image is unpacked on this machine and entered by `chroot`, so only root can use it. The
server listens on the loopback alone; its folder and the repository of its backups go at the end.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import stat
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import yaml

from support.database import make_roles
from support.haproxy import free_ports
from support.roots import entered, unpacked_in
from support.roots import kept as kept_roots

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = "/usr/lib/postgresql/17/bin"
START_SECONDS = 3600
"""A restored server reads its log first."""
REPOSITORY = (
    "repo1-cipher-type=aes-256-cbc",
    "repo1-bundle=y",
    "repo1-block=y",
    "repo1-retention-full=2",
    "compress-type=zst",
    "start-fast=y",
    "log-level-file=off",
    "log-level-console=warn",
    "log-level-stderr=off",
)
"""As the chart's `looma.backupSettings`."""


class ProgramError(Exception):
    """A program of the image failed; the message is what it printed."""


@dataclass
class ImagePostgres:
    """One server, which need not run, and its backups.

    Args:
        root: the unpacked root file system.
        folder: where its data is, as seen from outside.
        port: of the loopback.
        password: of the superuser.
        settings: of `postgresql.conf`.
    """

    root: Path
    folder: Path
    port: int
    password: str
    settings: Mapping[str, str]
    passphrase: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    @property
    def data(self) -> Path:
        """Its data folder, as seen from outside."""
        return self.folder / "pgdata"

    @property
    def inside(self) -> str:
        """Its folder, as the programs see it."""
        return f"/run/{self.folder.name}"

    @property
    def admin(self) -> str:
        """libpq URL of the superuser."""
        return f"postgresql://postgres:{self.password}@127.0.0.1:{self.port}/postgres"

    def run(self, program: str, *arguments: str, output: int | None = subprocess.PIPE) -> str:
        """Run a program of the image to its end and give what it printed.

        Raises:
            ProgramError: it failed.
        """
        process = subprocess.run(
            self.command(program, *arguments),
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
            encoding="utf-8",
        )
        if process.returncode:
            raise ProgramError(f"{program} {' '.join(arguments)}: {process.stdout or self.log}")
        return process.stdout or ""

    def command(self, program: str, *arguments: str) -> list[str]:
        """Command line of a program of the image, as the image's user `postgres`."""
        chroot, *rest = entered(self.root, program)
        return [chroot, f"--userspec={self._user}", *rest, *arguments]

    def environment(self) -> dict[str, str]:
        """What the programs are told."""
        return {
            "PATH": f"{PROGRAMS}:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "PGDATA": f"{self.inside}/pgdata",
            "PGPASSWORD": self.password,
            "PGBACKREST_CONFIG": f"{self.inside}/pgbackrest.conf",
            "PGBACKREST_STANZA": "looma",
            "PGBACKREST_REPO1_CIPHER_PASS": self.passphrase,
        }

    @property
    def log(self) -> str:
        """The end of what the server printed."""
        path = self.folder / "server.log"
        return path.read_text(encoding="utf-8", errors="replace")[-4000:] if path.is_file() else ""

    @property
    def _user(self) -> str:
        for line in (self.root / "etc/passwd").read_text().splitlines():
            name, _, uid, gid, *_ = line.split(":")
            if name == "postgres":
                return f"{uid}:{gid}"
        raise ProgramError("the image has no user postgres")

    def make(self) -> None:
        """Make data folder, roles and the repository's folder."""
        user, group = map(int, self._user.split(":"))
        for name, text in (("password", self.password), ("pgbackrest.conf", self._backup_settings())):
            (self.folder / name).write_text(text)
        (self.folder / "repository").mkdir()
        for path in (self.folder, *self.folder.iterdir()):
            os.chown(path, user, group)
        self.run(
            f"{PROGRAMS}/initdb",
            *("--username=postgres", "--auth-local=peer", "--auth-host=scram-sha-256", "--encoding=UTF8"),
            *(
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C.UTF-8",
                "--data-checksums",
            ),
            f"--pwfile={self.inside}/password",
        )
        self.start()
        with psycopg.connect(self.admin, autocommit=True) as connection:
            make_roles(connection)

    def _backup_settings(self) -> str:
        lines = (
            "[global]",
            f"repo1-path={self.inside}/repository",
            f"lock-path={self.inside}/lock",
            f"spool-path={self.inside}/spool",
            *REPOSITORY,
            "[looma]",
            f"pg1-path={self.inside}/pgdata",
            f"pg1-port={self.port}",
            f"pg1-socket-path={self.inside}",
        )
        return "\n".join(lines) + "\n"

    def start(self, **more: str) -> None:
        """Start it, with further settings, and wait until it answers."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": self.inside,
            "dynamic_shared_memory_type": "mmap",
            "jit": "off",
            "timezone": "UTC",
            **self.settings,
            **more,
        }
        # Read after the file that initdb made. What a restore has written into it says where the log is.
        file = self.data / "postgresql.auto.conf"
        kept = file.read_text() if (self.data / "recovery.signal").is_file() else ""
        file.write_text(kept + "".join(f"{name} = '{value}'\n" for name, value in settings.items()))
        self.run(
            f"{PROGRAMS}/pg_ctl",
            *("start", "--wait", "--silent", f"--timeout={START_SECONDS}", f"--log={self.inside}/server.log"),
            output=subprocess.DEVNULL,
        )

    def stop(self) -> None:
        """End it, by a checkpoint; nothing if it does not run."""
        if (self.data / "postmaster.pid").is_file():
            self.run(f"{PROGRAMS}/pg_ctl", "stop", "--wait", "--silent", "--mode=fast", "--timeout=600")

    def backrest(self, *arguments: str) -> str:
        """Run pgBackRest."""
        return self.run("/usr/bin/pgbackrest", *arguments)

    def backups(self) -> list[dict[str, Any]]:
        """What pgBackRest knows of its backups, the oldest first; sizes are bytes."""
        found: list[dict[str, Any]] = json.loads(self.backrest("info", "--output=json"))[0]["backup"]
        return found


def chart_settings() -> dict[str, str]:
    """Settings of the chart's own PostgreSQL, but those that only its log and its console's page need."""
    values = yaml.safe_load((ROOT / "charts/looma/values.yaml").read_text(encoding="utf-8"))
    config: dict[str, str] = values["postgres"]["config"]
    return {name: value for name, value in config.items() if not name.startswith("log_")}


def _give_null(root: Path) -> None:
    """Shells of the image's user write into it: an empty file of root's, as it was unpacked, would refuse them."""
    null = root / "dev/null"
    if not null.is_char_device():
        null.unlink(missing_ok=True)
        os.mknod(null, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        null.chmod(0o666)


def _give_zone(root: Path, archive: Path) -> None:
    """Engines ask for times in UTC; zones were left out as it was unpacked."""
    zone = root / "usr/share/zoneinfo/UTC"
    if not zone.is_file():
        with tarfile.open(archive) as tar:
            member = tar.extractfile("./usr/share/zoneinfo/Etc/UTC")
            assert member is not None
            zone.parent.mkdir(parents=True, exist_ok=True)
            zone.write_bytes(member.read())


@contextmanager
def image_postgres() -> Iterator[ImagePostgres]:
    """A server that runs, in a folder of its own on the disk of the cache."""
    from looma_cluster import paths
    from looma_cluster.images import rootfs
    from looma_cluster.images.catalog import POSTGRES

    root = unpacked_in(kept_roots(), POSTGRES)
    _give_null(root)
    _give_zone(root, rootfs.make(POSTGRES, cache=paths.cache() / "images").archive)
    folder = Path(tempfile.mkdtemp(dir=root / "run", prefix="pg-"))
    server = ImagePostgres(
        root=root,
        folder=folder,
        port=free_ports(1)[0],
        password=secrets.token_urlsafe(16),
        settings=chart_settings(),
    )
    try:
        server.make()
        yield server
    finally:
        try:
            server.stop()
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def seconds_until_answered(uri: str, query: str, *, begun: float, within: float = 600) -> float:
    """Seconds from `begun` (`time.monotonic`) until a query is answered.

    Raises:
        psycopg.OperationalError: nobody answers in time.
    """
    while True:
        try:
            with psycopg.connect(uri) as connection:
                connection.execute(query.encode())
            return time.monotonic() - begun
        except psycopg.OperationalError:
            if time.monotonic() - begun > within:
                raise
            time.sleep(0.1)
