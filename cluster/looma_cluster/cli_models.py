"""`looma model`: models into the registry of a release. Only parses and prints; the work is in `models`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from looma_cluster import models, paths, record
from looma_cluster.kubernetes import Kubectl

app = typer.Typer(help="Models in the registry of a release.", no_args_is_help=True)


class ModelFormat(StrEnum):
    """What a model's file is."""

    ONNX = "onnx"
    SPACY = "spacy"
    LIGHTGBM = "lightgbm"
    JSON = "json"


@app.callback()
def group() -> None:
    """Models in the registry of a release."""


@app.command()
def push(  # noqa: PLR0917 - typer reads the parameters as options
    file: Annotated[Path, typer.Argument(help="The model's file.", metavar="FILE")],
    model: Annotated[str, typer.Option(help="Name of the model, as resume-ner.")],
    version: Annotated[str, typer.Option(help="Semantic version, as 1.4.0.")],
    format: Annotated[ModelFormat, typer.Option(help="What the file is.")],  # noqa: A002 - the option's name
    evaluation: Annotated[
        str, typer.Option(help="How good it is: DATASET:METRIC=VALUE, as held-out:f1=0.91.")
    ] = "",
    min_evaluation: Annotated[
        float | None, typer.Option(help="Below this value no service uses it: gates.minEvaluation.")
    ] = None,
    channel: Annotated[str, typer.Option(help="Its channel, as stable: the label looma.dev/channel.")] = "",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File for the ModelVersion; without it, it is printed."),
    ] = None,
    name: Annotated[str, typer.Option("--name", help="Which instance.")] = "looma",
) -> None:
    """Push a model's file as an OCI artifact, and write the ModelVersion that pins it, for `kubectl apply`."""
    from looma_cluster import yaml_text

    instance = paths.instance(name)
    record.require(instance)
    described = models.Model(
        file=file,
        name=model,
        version=version,
        format=format.value,
        evaluation=models.parse_evaluation(evaluation) if evaluation else None,
        min_evaluation=min_evaluation,
        channel=channel,
    )
    made = yaml_text.dump(models.push(Kubectl(instance=instance), described))
    if output is None:
        typer.echo(made, nl=False)
        return
    output.write_text(made, encoding="utf-8")
    typer.echo(f"{output}: kubectl apply -f it", err=True)
