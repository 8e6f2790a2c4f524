"""Problem details: the register, its documentation, and msgspec's messages in our words."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest
from litestar.exceptions import (
    HTTPException,
    MethodNotAllowedException,
    NotAuthorizedException,
    PermissionDeniedException,
    ServiceUnavailableException,
    TooManyRequestsException,
)

from looma_core.http.errors import problem_of
from looma_core.problems import (
    REGISTER,
    TYPE_PREFIX,
    Conflict,
    FieldError,
    NotFound,
    ProblemError,
    field_error,
)

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs" / "problems.md"


def _all_problems() -> dict[str, type[ProblemError]]:
    for root in ("core", "operator", "engines", "console", "cluster"):
        for file in sorted((ROOT / root).glob("looma_*/**/*.py")):
            text = file.read_text()
            if "looma_core.problems" in text and re.search(
                r"^class \w+\(\w*Problem\w*\)", text, re.MULTILINE
            ):
                import_module(".".join(file.relative_to(ROOT / root).with_suffix("").parts))
    return REGISTER


def test_every_type_is_documented() -> None:
    lines = DOCS.read_text().splitlines()
    missing = [
        f"| `{name}` | {known.status} | {known.title} |"
        for name, known in sorted(_all_problems().items())
        if not any(line.startswith(f"| `{name}` | {known.status} | {known.title} |") for line in lines)
    ]
    assert not missing, f"{DOCS.name} lacks lines that begin with:\n" + "\n".join(missing)


def test_documented_types_exist() -> None:
    documented = set(re.findall(r"^\| `([a-z-]+)` \|", DOCS.read_text(), re.MULTILINE))
    assert documented <= set(_all_problems())


@pytest.mark.parametrize("known", list(_all_problems().values()), ids=lambda known: known.name)
def test_every_type_is_well_formed(known: type[ProblemError]) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", known.name)
    assert 400 <= known.status < 600
    assert known.__doc__


def test_two_types_cannot_share_a_name() -> None:
    with pytest.raises(TypeError, match="'not-found' is defined by both"):

        class Other(ProblemError):
            name, status, title = "not-found", 404, "Other"

    assert REGISTER["not-found"] is NotFound


def test_a_problem_carries_its_case() -> None:
    error = Conflict("There is one already.", errors=[FieldError(field="email", message="is taken")])
    problem = error.problem(instance="abc")
    assert problem.type == TYPE_PREFIX + "conflict"
    assert (problem.status, problem.detail, problem.instance) == (409, "There is one already.", "abc")
    assert problem.errors[0].field == "email"


@pytest.mark.parametrize(
    ("message", "prefix", "field", "said"),
    [
        ("Expected `int`, got `str` - at `$.a[0].b`", "", "a[0].b", "Expected `int`, got `str`"),
        ("Object missing required field `name`", "", "name", "is required"),
        ("Object missing required field `name` - at `$.a`", "", "a.name", "is required"),
        ("Object contains unknown field `nam` - at `$.a`", "", "a.nam", "is not a known field"),
        ("JSON is malformed", "", "body", "JSON is malformed"),
        ("Expected `int`, got `str`", "limit", "limit", "Expected `int`, got `str`"),
        ("Expected `int` - at `$[2].x`", "list", "list[2].x", "Expected `int`"),
        ("Expected `str` matching regex '^x$' - at `$.a`", "", "a", "is not of the right form"),
    ],
)
def test_messages_name_the_field(message: str, prefix: str, field: str, said: str) -> None:
    assert field_error(message, prefix=prefix) == FieldError(field=field, message=said)


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (RuntimeError("inside"), "internal"),
        (KeyError("inside"), "internal"),
        (Conflict("told"), "conflict"),
        (NotAuthorizedException("inside"), "unauthenticated"),
        (PermissionDeniedException("inside"), "forbidden"),
        (MethodNotAllowedException("inside"), "method-not-allowed"),
        (TooManyRequestsException("inside"), "too-many-requests"),
        (ServiceUnavailableException("inside"), "not-ready"),
        (HTTPException("inside", status_code=418), "bad-request"),
        (HTTPException("inside", status_code=507), "internal"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_errors_become_problems_and_keep_the_inside_in(error: Exception, name: str) -> None:
    told = problem_of(error)
    assert told.name == name
    assert "inside" not in str(told.problem())
