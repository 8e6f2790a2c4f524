"""The page about the database: ask, render."""

from __future__ import annotations

from flask import Blueprint, Response, request

from looma_console.database.messages import SORTS, STATES
from looma_console.engines import EngineError
from looma_console.people.messages import explain
from looma_console.web.caller import caller
from looma_console.web.fragments import render
from looma_console.web.parts import parts
from looma_console.web.permissions import Permission, requires

blueprint = Blueprint("database", __name__, template_folder="templates")


@blueprint.get("/database")
@requires(Permission.DATABASE_READ)
def index() -> Response:
    """Hit rates, the statements that take most, and the tables; htmx gets the statements alone."""
    sort = request.args.get("sort", "total")
    sort = sort if sort in SORTS else "total"
    state, statements, problem = None, None, None
    try:
        statements = parts().engines.statements(caller(), sort=sort)
        state = parts().engines.database_state(caller())
    except EngineError as error:
        problem = explain(error)
    return render(
        "database/index.html",
        "statements",
        state=state,
        statements=statements,
        problem=problem,
        sort=sort,
        sorts=SORTS,
        states=STATES,
    )
