"""Plans of PostgreSQL's own for what code asks it, to be looked through for tables that are read whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import event

from looma_core.auth import Principal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from sqlalchemy.ext.asyncio import AsyncSession

    from looma_core.db import Database


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A plan's node and all below it."""
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


async def plans_in(
    database: Database,
    tenant: str,
    ask: Callable[[AsyncSession], Awaitable[object]],
    *,
    carried_out: bool = False,
) -> list[dict[str, Any]]:
    """The plan of each statement that `ask` sends in a session of the tenant; carried out, with the rows it reads."""
    explain = "EXPLAIN (ANALYZE, FORMAT JSON)" if carried_out else "EXPLAIN (FORMAT JSON)"
    principal = Principal(subject="plans", tenant=tenant, roles=frozenset({"recruiter"}))
    seen: list[tuple[str, Any]] = []
    plans = []
    async with database.tenant_session(principal) as session:
        connection = await session.connection()

        def caught(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
            seen.append((statement, parameters))

        raw = connection.sync_connection
        event.listen(raw, "before_cursor_execute", caught)
        await ask(session)
        event.remove(raw, "before_cursor_execute", caught)
        for statement, parameters in seen:
            answer = await connection.exec_driver_sql(f"{explain} {statement}", parameters)
            plans.append(answer.scalar_one()[0]["Plan"])
    assert plans
    return plans


def by_index(plans: list[dict[str, Any]]) -> None:
    """Each of them goes by an index, and none reads a whole table."""
    for plan in plans:
        kinds = [node["Node Type"] for node in nodes(plan)]
        assert "Seq Scan" not in kinds, plan
        assert any("Index" in kind for kind in kinds), plan


def partitions_in(plans: list[dict[str, Any]], table: str) -> set[str]:
    """Names of the partitions of a table that the plans look into; those pruned at the start are in none."""
    return {
        node["Relation Name"]
        for plan in plans
        for node in nodes(plan)
        if node.get("Relation Name", "").startswith(f"{table}_")
    }
