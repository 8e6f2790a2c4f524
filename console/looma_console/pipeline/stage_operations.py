"""The work behind the page of the stages: asking the engine, changing with an audit entry."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from looma_console.db.store import Database
from looma_console.engines import Caller, EngineClient
from looma_console.pipeline.boards import stage_document, swapped
from looma_console.pipeline.calls import change_at
from looma_console.pipeline.operations import note, stages_of, version_in
from looma_core.api.pipeline import Stage, Stages


def add(db: Database, engines: EngineClient, caller: Caller, form: Mapping[str, str]) -> None:
    """Add the stage that a form means; the same form sent twice adds one. Raises EngineError."""
    made = engines.create_record(caller, "stages", stage_document(form), key=form.get("key_once", ""))
    note(db, caller, "create-stage", f"stage/{made['id']}", {"key": made["key"]})


def change(
    db: Database,
    engines: EngineClient,
    caller: Caller,
    stage_id: UUID,
    *,
    action: str,
    form: Mapping[str, str],
) -> None:
    """Rename a stage or retire it, if it is still at the form's version. Raises EngineError."""
    names = ("target",) if action == "retire" else ("name_zh", "name_en")
    document = {name: text for name in names if (text := form.get(name, "").strip())}
    path = f"stages/{stage_id}/{action}"
    changed = change_at(engines, caller, path, Stage, document, version=version_in(form))
    note(db, caller, f"{action}-stage", f"stage/{stage_id}", {"key": changed.key, "version": changed.version})


def order(db: Database, engines: EngineClient, caller: Caller, form: Mapping[str, str]) -> None:
    """Move a stage one place up or down. Raises EngineError."""
    key = form.get("key", "")
    in_use = [stage.key for stage in stages_of(engines, caller) if stage.retired_at is None]
    wanted = swapped(in_use, key, up=form.get("way") == "up")
    if wanted != in_use:
        change_at(engines, caller, "stages/order", Stages, {"order": wanted}, version=None)
        note(db, caller, "order-stages", "stages", {"key": key})
