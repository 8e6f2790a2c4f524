"""Migrations: the branches there are, what a wrong one says, how a database is waited for; and row-level security."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from looma_core.db import migrate as module
from looma_core.db import policies
from looma_core.db.migrate import Branch, MigrationError, branches, head_of

REVISION = """
revision = "{revision}"
down_revision = {down}
branch_labels = None
depends_on = None
"""


def branch_in(folder: Path, **revisions: str | None) -> Branch:
    """A branch `made` with the given revisions, each with the one before it."""
    versions = folder / "versions"
    versions.mkdir(parents=True)
    for revision, down in revisions.items():
        text = REVISION.format(revision=revision, down=repr(down))
        (versions / f"{revision}.py").write_text(text)
    return Branch("made", versions)


def test_the_newest_revision_is_the_end_of_the_line(tmp_path: Path) -> None:
    assert branch_in(tmp_path, made_0001=None, made_0002="made_0001").head() == "made_0002"


@pytest.mark.parametrize(
    ("revisions", "says"),
    [
        pytest.param({}, "0 newest revisions", id="none"),
        pytest.param(
            {"made_0001": None, "made_0002": "made_0001", "made_0003": "made_0001"},
            "2 newest revisions",
            id="a fork",
        ),
    ],
)
def test_a_branch_that_is_not_one_line_is_refused(tmp_path: Path, revisions: Any, says: str) -> None:
    with pytest.raises(MigrationError, match=says):
        branch_in(tmp_path, **revisions).head()


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes these the packages that name migrations."""

    def install(**named: str) -> None:
        found = [SimpleNamespace(name=name, value=value) for name, value in named.items()]
        monkeypatch.setattr(module, "entry_points", lambda *, group: found)

    return install


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose packages can be imported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_branches_are_those_of_installed_packages_by_name(points: Any, packages: Path) -> None:
    for name in ("looma_test_b", "looma_test_a"):
        branch_in(packages / name / "migrations", made_0001=None)
    (packages / "looma_test_empty" / "migrations" / "versions").mkdir(parents=True)
    points(
        b="looma_test_b.migrations",
        a="looma_test_a.migrations",
        # An image holds one deployable: the others' packages, or their migrations alone, are not there.
        missing="looma_test_missing.migrations",
        bare="looma_test_a.nothing",
        empty="looma_test_empty.migrations",
    )
    assert [(branch.name, branch.folder.parts[-3]) for branch in branches()] == [
        ("a", "looma_test_a"),
        ("b", "looma_test_b"),
    ]


UPKEEP = """
done = []
def upkeep(
    connection,
    *,
    history_months,
    deleted_days,
    writes_days,
    unlinked_days,
    ledger_key,
    key_ring_file,
):
    done.append((connection, history_months, deleted_days, writes_days, unlinked_days, ledger_key))
"""


def test_what_a_branch_needs_again_and_again_is_found_and_done(points: Any, packages: Path) -> None:
    for name in ("looma_test_kept", "looma_test_left"):
        branch_in(packages / name / "migrations", made_0001=None)
    (packages / "looma_test_kept" / "migrations" / "upkeep.py").write_text(UPKEEP)
    points(kept="looma_test_kept.migrations", left="looma_test_left.migrations")
    connection = Connection(None)
    for branch in branches():
        given = {"history_months": 12, "deleted_days": 3, "writes_days": 4, "unlinked_days": 5}
        given |= {"ledger_key": "k", "key_ring_file": "r"}  # type: ignore[dict-item]
        module._keep_up(connection, branch, **given)  # type: ignore[arg-type]
    from looma_test_kept.migrations import upkeep  # type: ignore[import-not-found]

    assert upkeep.done == [(connection, 12, 3, 4, 5, "k")]


def test_a_branch_that_is_not_installed_is_named(points: Any) -> None:
    points()
    with pytest.raises(MigrationError, match="talent_sync"):
        head_of("talent_sync")


# ---- the database ------------------------------------------------------------------------------------------

AWAY = OperationalError("connect", {}, Exception("connection refused\nis the server running?"))


class Engine:
    """Refuses so often, then answers."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals

    def connect(self) -> Any:
        if self.refusals:
            self.refusals -= 1
            raise AWAY
        from contextlib import nullcontext

        return nullcontext()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited, on a clock that only waiting moves."""
    made: list[float] = []
    clock = SimpleNamespace(sleep=made.append, monotonic=lambda: sum(made))
    monkeypatch.setattr(module, "time", clock)
    return made


def test_a_database_that_comes_is_waited_for(pauses: list[float]) -> None:
    module._wait(Engine(3), 10)  # type: ignore[arg-type]
    assert pauses == [1, 1, 1]


def test_a_database_that_does_not_come_is_given_up_with_its_first_line(pauses: list[float]) -> None:
    with pytest.raises(MigrationError, match=r"does not answer: connection refused$"):
        module._wait(Engine(100), 3)  # type: ignore[arg-type]
    assert sum(pauses) == 3


class Connection:
    """Answers what the server knows of the application's role, and remembers the statements."""

    def __init__(self, row: tuple[bool] | None) -> None:
        self.row = row
        self.said: list[str] = []

    def begin(self) -> Any:
        from contextlib import nullcontext

        return nullcontext(self)

    def execute(self, statement: Any, _given: object = None) -> Any:
        self.said.append(str(statement))
        return SimpleNamespace(one_or_none=lambda: self.row)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        pytest.param(None, "is missing: CREATE ROLE looma_app", id="it is not there"),
        pytest.param((True,), "can see every tenant: ALTER ROLE looma_app", id="it is above the policies"),
    ],
)
def test_a_role_that_keeps_no_tenants_apart_is_refused_before_anything_is_made(
    row: tuple[bool] | None, says: str
) -> None:
    connection = Connection(row)
    with pytest.raises(MigrationError, match=says):
        module._prepare(connection)  # type: ignore[arg-type]
    assert len(connection.said) == 1


def test_the_application_may_read_revisions_and_not_write_them() -> None:
    connection = Connection((False,))
    module._prepare(connection)  # type: ignore[arg-type]
    granted = [said for said in connection.said if "GRANT" in said]
    assert "GRANT USAGE" in granted[0]
    assert "GRANT SELECT ON TABLES" in granted[1]


@pytest.mark.parametrize(
    ("found", "upgraded", "answer"),
    [
        pytest.param(None, True, "made_0002", id="an empty database"),
        pytest.param("made_0001", True, "made_0002", id="an older one"),
        pytest.param("made_0003", False, "made_0003", id="a newer one, after a rollback, stays"),
    ],
)
def test_tables_go_forward_and_never_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: str | None, upgraded: bool, answer: str
) -> None:
    asked: list[str] = []
    connection = Connection(None)
    monkeypatch.setattr(module, "_revision", lambda _connection, _branch: found)
    monkeypatch.setattr(module.command, "upgrade", lambda _config, to: asked.append(to))
    branch = branch_in(tmp_path, made_0001=None, made_0002="made_0001")
    assert module._upgrade(connection, branch) == answer  # type: ignore[arg-type]
    assert asked == (["head"] if upgraded else [])
    # A busy table must not hold up whoever queues behind the migration.
    assert any("lock_timeout" in said for said in connection.said) is upgraded


# ---- the command -------------------------------------------------------------------------------------------


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("LOOMA_OWNER_DATABASE_URL", "postgresql+psycopg://owner:hidden-word@db/looma")
    monkeypatch.setenv("LOOMA_DATABASE_WAIT_SECONDS", "7")
    monkeypatch.setattr(module.logging, "configure", lambda **_named: None)
    return monkeypatch


def test_the_command_waits_as_long_as_it_is_told(command: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, dict[str, object]]] = []
    command.setattr(module, "migrate", lambda url, **how: asked.append((url, how)) or {})
    command.setenv("LOOMA_HISTORY_MONTHS", "12")
    command.setenv("LOOMA_DELETED_DAYS", "9")
    command.setenv("LOOMA_WRITES_DAYS", "10")
    command.setenv("LOOMA_UNLINKED_DAYS", "0")
    command.setenv("LOOMA_LEDGER_KEY", "hidden-word")
    command.setenv("LOOMA_KEY_RING_FILE", "/etc/ring.json")
    module.main()
    how = {
        "wait_seconds": 7,
        "history_months": 12,
        "deleted_days": 9,
        "writes_days": 10,
        "unlinked_days": 0,
        "ledger_key": "hidden-word",
        "key_ring_file": "/etc/ring.json",
    }
    assert asked == [("postgresql+psycopg://owner:hidden-word@db/looma", how)]


def test_what_keeps_it_from_migrating_is_its_exit_code(command: pytest.MonkeyPatch) -> None:
    def fail(
        _url: str,
        *,
        wait_seconds: float,
        history_months: int,
        deleted_days: int,
        writes_days: int,
        unlinked_days: int,
        ledger_key: str,
        key_ring_file: str,
    ) -> dict[str, str]:
        assert (history_months, deleted_days, ledger_key, key_ring_file) == (36, 30, "", "")
        assert (writes_days, unlinked_days) == (90, 180)
        raise MigrationError(f"nobody answered for {wait_seconds} s")

    command.setattr(module, "migrate", fail)
    with pytest.raises(SystemExit) as ended:
        module.main()
    assert ended.value.code == 1


def test_a_missing_setting_is_named(command: pytest.MonkeyPatch) -> None:
    command.delenv("LOOMA_OWNER_DATABASE_URL")
    with pytest.raises(SystemExit, match="LOOMA_OWNER_DATABASE_URL is not set"):
        module.main()


# ---- row-level security ------------------------------------------------------------------------------------


class Op:
    """Alembic's operations, written down."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def execute(self, sqltext: Any, /) -> None:
        self.said.append(str(sqltext))


@pytest.fixture
def op() -> Op:
    return Op()


def test_a_table_is_kept_apart_from_its_owner_too_before_anybody_may_use_it(op: Op) -> None:
    policies.enable_tenant_isolation(op, "people", "talents", grants=("SELECT", "INSERT"))
    assert [said.split(" talents")[0].split()[0] for said in op.said] == ["ALTER", "ALTER", "CREATE", "GRANT"]
    assert "FORCE ROW LEVEL SECURITY" in op.said[1]
    assert "USING (tenant =" in op.said[2]
    assert "WITH CHECK (tenant =" in op.said[2]
    assert op.said[3] == "GRANT SELECT, INSERT ON people.talents TO looma_app"


def test_filling_in_data_ends_with_the_table_closed_again(op: Op) -> None:
    with policies.without_tenant_isolation(op, "people", "talents"):
        op.execute("UPDATE")
    assert op.said == [
        "ALTER TABLE people.talents NO FORCE ROW LEVEL SECURITY",
        "UPDATE",
        "ALTER TABLE people.talents FORCE ROW LEVEL SECURITY",
    ]


def test_a_table_of_no_tenant_is_granted_and_has_no_policy(op: Op) -> None:
    policies.grant_without_tenant(op, "console", "sessions", grants=("SELECT",))
    assert op.said == ["GRANT SELECT ON console.sessions TO looma_app"]


def test_a_schema_is_made_once_and_for_the_application(op: Op) -> None:
    policies.create_schema(op, "people")
    assert op.said == ["CREATE SCHEMA IF NOT EXISTS people", "GRANT USAGE ON SCHEMA people TO looma_app"]


@pytest.mark.parametrize("name", ["", "a b", "a;DROP", 'a"', "a.b"])
def test_a_name_that_is_more_than_a_name_is_refused(op: Op, name: str) -> None:
    with pytest.raises(ValueError, match="not a plain name"):
        policies.create_schema(op, name)
    assert op.said == []


def test_a_row_always_has_a_tenant() -> None:
    columns = {getattr(item, "name", None): item for item in policies.tenant_columns()}
    assert not columns["tenant"].nullable  # type: ignore[attr-defined]
    assert "tenant_named" in columns
