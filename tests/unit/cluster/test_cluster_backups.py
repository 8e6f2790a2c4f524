"""`looma backup` and `looma restore`: what is asked of the cluster, in which order, and what a person is told."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from looma_cluster import backups, cli, cli_backups, record
from looma_cluster.backups import BackupError
from looma_cluster.commands import CommandError
from looma_cluster.record import Record

NOW = datetime(2026, 5, 2, 12, tzinfo=UTC)
FULL = {
    "label": "20260501-014300F",
    "type": "full",
    "timestamp": {"start": 1777599780, "stop": 1777599790},
    "info": {"size": 40_000_000, "repository": {"delta": 5_000_000, "size": 5_000_000}},
    "annotation": {"checked": "2026-05-01T01:44:00Z"},
}
LATER = FULL | {"label": "20260501-014300F_20260502-014300I", "type": "incr", "annotation": None}
SCHEDULE = {
    "metadata": {"name": "looma-restore", "namespace": "looma"},
    "spec": {
        "jobTemplate": {
            "spec": {
                "backoffLimit": 0,
                "template": {
                    "metadata": {"labels": {"app.kubernetes.io/name": "looma-backup"}},
                    "spec": {"containers": [{"name": "backup", "env": [{"name": "A", "value": "1"}]}]},
                },
            }
        }
    },
}
SAID = '... INFO: restore command end\n{"logger": "looma-backup", "event": "restored", "last_transaction": "then"}\n'


class Played:
    """kubectl with a cluster behind it that does what it is told; `fails` names the CronJob whose Jobs fail."""

    def __init__(self, *, fails: str = "", has_backups: bool = True, database_up: bool = True) -> None:
        self.said: list[tuple[str, ...]] = []
        self.created: list[dict] = []
        self.fails, self.has_backups, self.database_up = fails, has_backups, database_up

    def text(self, *arguments: str, stdin: str | None = None, seconds: float = 60) -> str:
        self.said.append(arguments)
        if arguments[0] == "exec" and not self.database_up:
            raise CommandError(["kubectl"], 1, "pods looma-postgres-0 not found")
        if arguments[0] == "create":
            assert stdin is not None
            self.created.append(json.loads(stdin))
        return {"exec": json.dumps([{"name": "looma", "backup": [FULL, LATER]}]), "logs": SAID}.get(
            arguments[0], ""
        )

    def objects(self, *kinds_and_options: str) -> list[dict]:
        if kinds_and_options[0] == "cronjob":
            return [SCHEDULE] if self.has_backups else []
        failed = bool(self.fails) and self.fails in kinds_and_options[0]
        return [{"status": {"conditions": [{"type": "Failed" if failed else "Complete", "status": "True"}]}}]


def test_backups_are_read_as_pgbackrest_lists_them():
    first, second = backups.read_backups(json.dumps([{"name": "looma", "backup": [FULL, LATER]}]))
    assert (first.kind, first.size, first.stored) == ("full", 40_000_000, 5_000_000)
    assert first.ended == datetime(2026, 5, 1, 1, 43, 10, tzinfo=UTC)
    assert (first.checked, second.checked) == ("2026-05-01T01:44:00Z", None)


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("2026-05-01T12:00:00Z", datetime(2026, 5, 1, 12, tzinfo=UTC)),
        ("2026-05-01T12:00:00", datetime(2026, 5, 1, 12, tzinfo=UTC)),
        ("2026-05-01T12:00:00+08:00", datetime(2026, 5, 1, 4, tzinfo=UTC)),
    ],
)
def test_a_moment_is_utc_unless_it_says_otherwise(text, means):
    assert backups.parse_moment(text, now=NOW) == means


@pytest.mark.parametrize(("text", "says"), [("noon", "write a moment as"), ("2026-05-03", "still to come")])
def test_a_moment_that_cannot_be_is_refused(text, says):
    with pytest.raises(BackupError, match=says):
        backups.parse_moment(text, now=NOW)


def test_nothing_is_stopped_for_a_moment_before_the_oldest_backup():
    found = backups.read_backups(json.dumps([{"backup": [FULL]}]))
    backups.check_reach(None, found)
    backups.check_reach(NOW, found)
    with pytest.raises(BackupError, match="the oldest backup is of 2026-05-01T01:43:10Z"):
        backups.check_reach(datetime(2026, 5, 1, tzinfo=UTC), found)
    with pytest.raises(BackupError, match="looma backup now"):
        backups.check_reach(None, [])


def test_a_restore_stops_the_database_and_starts_it_again():
    played = Played()
    restored = backups.restore(
        played,  # type: ignore[arg-type]
        to=datetime(2026, 5, 1, 12, tzinfo=UTC),
        label="",
        report=lambda _: None,
    )
    assert restored.last_transaction == "then"
    done = [" ".join(words[:3]) for words in played.said if words[0] in {"patch", "scale", "create"}]
    assert done == [
        "patch cronjob looma-backup-full",
        "patch cronjob looma-backup-incremental",
        "scale statefulset/looma-postgres --replicas=0",
        "create -f -",
        "scale statefulset/looma-postgres --replicas=1",
        "create -f -",
        "patch cronjob looma-backup-full",
        "patch cronjob looma-backup-incremental",
    ]
    job = played.created[0]
    assert job["metadata"]["name"].startswith("looma-restore-")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert {"name": "LOOMA_RESTORE_TO", "value": "2026-05-01 12:00:00.000000+00"} in container["env"]
    assert {"name": "A", "value": "1"} in container["env"]
    # The CronJob itself is as it was.
    assert len(SCHEDULE["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["env"]) == 1


def test_a_restore_that_fails_starts_nothing_and_lets_backups_go_on():
    played = Played(fails="looma-restore")
    with pytest.raises(BackupError, match="stays stopped"):
        backups.restore(played, to=None, label="20260501-014300F", report=lambda _: None)  # type: ignore[arg-type]
    assert ("scale", "statefulset/looma-postgres", "--replicas=1") not in played.said
    last = [words for words in played.said if words[0] == "patch"][-2:]
    assert all(json.loads(words[-1]) == {"spec": {"suspend": False}} for words in last)


def test_a_backup_now_says_what_it_took():
    played = Played()
    taken = backups.take(played, full=True, report=lambda _: None)  # type: ignore[arg-type]
    assert played.created[0]["metadata"]["name"].startswith("looma-backup-full-")
    assert taken.label == LATER["label"]


@pytest.fixture
def command(monkeypatch, tmp_path: Path):
    """Runs `looma` on a played cluster."""

    def run(played: Played, *words: str, answer: str = ""):
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
        monkeypatch.setattr(record, "require", lambda _: Record(cluster="built-in"))
        monkeypatch.setattr(cli_backups, "Kubectl", lambda instance: played)
        return CliRunner().invoke(cli.app, list(words), input=answer)

    return run


def test_the_commands_print_what_there_is(command):
    assert "incr" in command(Played(), "backup", "list").output
    listed = json.loads(command(Played(), "backup", "list", "-o", "json").output)
    assert [item["label"] for item in listed] == [FULL["label"], LATER["label"]]
    assert "checked 2026" in command(Played(), "backup", "list").output
    assert "not checked" in command(Played(), "backup", "now", "--full").output


def test_a_restore_asks_first(command):
    played = Played()
    refused = command(played, "restore", answer="n\n")
    assert refused.exit_code == 1
    assert not [words for words in played.said if words[0] == "scale"]
    done = command(played, "restore", "--yes")
    assert "the last transaction is then" in done.output


def test_a_database_that_does_not_start_can_still_be_restored(command):
    assert command(Played(database_up=False), "restore", "--yes").exit_code == 0


def test_a_release_without_backups_says_so(command):
    result = command(Played(has_backups=False), "backup", "list")
    assert isinstance(result.exception, BackupError)
    assert "postgres.backup.enabled" in str(result.exception)
