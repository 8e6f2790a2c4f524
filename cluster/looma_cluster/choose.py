"""Which kind of cluster an instance runs on.

Nobody's cluster is touched by surprise: a context is used only when it is named, never because it is the current one.
"""

from __future__ import annotations

import enum
import os
import shutil

from looma_cluster.commands import CommandError, run


class Kind(enum.StrEnum):
    """Kinds of clusters, as `--cluster` names them."""

    AUTO = "auto"
    BUILTIN = "builtin"
    KIND = "kind"
    CONTEXT = "context"


class ChoiceError(ValueError):
    """The kind of cluster asked for cannot be had, or differs from what the instance has."""


def choose(*, wanted: Kind, recorded: str | None, context: str, docker_answers: bool) -> Kind:
    """The kind of cluster to use.

    | wanted  | recorded | LOOMA_CONTEXT | Docker and kind | answer      |
    | ------- | -------- | ------------- | --------------- | ----------- |
    | auto    | any      | any           | any             | recorded    |
    | auto    | none     | named         | any             | context     |
    | auto    | none     | -             | answer          | kind        |
    | auto    | none     | -             | -               | builtin     |
    | context | any      | -             | any             | ChoiceError |
    | another | differs  | any           | any             | ChoiceError |
    | another | none     | any           | any             | as wanted   |

    Raises:
        ChoiceError: as in the table; the message says what to do.
    """
    if wanted is Kind.AUTO:
        if recorded is not None:
            return Kind(recorded)
        if context:
            return Kind.CONTEXT
        return Kind.KIND if docker_answers else Kind.BUILTIN
    if recorded is not None and recorded != wanted:
        raise ChoiceError(
            f"this instance runs on {recorded}: choose another --name, or `looma down --purge` it first"
        )
    if wanted is Kind.CONTEXT and not context:
        raise ChoiceError("name the context to use in LOOMA_CONTEXT: Looma never takes the current one")
    return wanted


def named_context() -> str:
    """The context that the user named for Looma; empty if none."""
    return os.environ.get("LOOMA_CONTEXT", "")


def docker_answers() -> bool:
    """Whether kind can be used: its program is there and a Docker engine answers."""
    if shutil.which("kind") is None or shutil.which("docker") is None:
        return False
    try:
        return bool(run(["docker", "info", "--format", "{{.ServerVersion}}"], seconds=10).strip())
    except CommandError:
        return False
