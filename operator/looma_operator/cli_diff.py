"""`kubectl looma diff`: two revisions of a service side by side, with the exit status of diff(1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from looma_core.api.revision_diff import Comparison, compare

from . import revision_diff
from .cli_text import table
from .names import LABEL_REVISION
from .rollback_patch import choose_revision

if TYPE_CHECKING:
    from .cli import Cluster

DIFFERS, TROUBLE = 1, 2


def diff(  # noqa: PLR0917 - typer reads the parameters as options
    name: Annotated[str, typer.Argument(help="The AIService, as NAME or ais/NAME.", metavar="[ais/]NAME")],
    old: Annotated[str, typer.Argument(help="Earlier revision, as r1.", metavar="REV1")],
    new: Annotated[str, typer.Argument(help="Later revision, as r2.", metavar="REV2")],
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Namespace; without it the kubeconfig context's.")
    ] = None,
    context: Annotated[
        str | None, typer.Option("--context", help="Context of the kubeconfig; without it the current one.")
    ] = None,
    output: Annotated[str, typer.Option("--output", "-o", help="text or json.")] = "text",
) -> None:
    """Image, models and config of two revisions side by side; `*` marks what differs.

    Ends as diff(1) does: 0 nothing differs, 1 something does, 2 they could not be compared.
    """
    # The command line imports this module, to have the command.
    from . import cli

    try:
        found = _compare(cli._connect(namespace, context), name.rpartition("/")[2], old, new)
    except typer.Exit as error:
        raise typer.Exit(TROUBLE) from error
    if output == "json":
        typer.echo(revision_diff.to_json(found))
    else:
        header = ["", "PART", found.before, found.after]
        typer.echo(table(header, revision_diff.to_rows(found), empty=""))
    raise typer.Exit(DIFFERS if found.differs else 0)


def _compare(cluster: Cluster, name: str, old: str, new: str) -> Comparison:
    from . import cli

    cluster.service(name)
    revisions = cluster.revisions(name)
    contents = []
    for asked in (old, new):
        found = choose_revision(revisions=revisions, target="", asked=asked)
        if found is None:
            cli._fail(f"{name} keeps no revision {asked}", cli.NOT_FOUND)
        contents.append((str(found["metadata"]["labels"][LABEL_REVISION]), found["data"]))
    return compare(service=name, before=contents[0], after=contents[1])
