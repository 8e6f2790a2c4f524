"""What the operator told this pod, read from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from looma_core.api.syncjob import (
    CONTRACT,
    CREDENTIALS_FOLDER,
    DATA_FOLDER,
    FileSource,
    Source,
    Target,
    Variable,
)


class BadInputError(Exception):
    """Trying again would end the same way; the message says what is wrong."""


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """One shard of one run: `shard` counts from 0 to `shards` - 1."""

    job: str
    namespace: str
    run: str
    epoch: int
    shard: int
    shards: int
    source: Source
    batch_size: int
    data: Path
    uid: str = ""
    target: Target | None = None
    credentials: Path = Path(CREDENTIALS_FOLDER)

    @property
    def file(self) -> Path:
        """The file that the source names.

        Raises:
            BadInputError: the source is no file.
        """
        if not isinstance(self.source, FileSource):
            raise BadInputError(
                f"spec.source.type {self.source.type}: this worker reads files; write a target, or an image"
            )
        return self.data / self.source.path


def read_inputs(environment: Mapping[str, str]) -> Inputs:
    """The inputs in environment variables.

    Raises:
        BadInputError: if one is missing or wrong, or the contract is of another version.
    """
    contract = environment.get(Variable.CONTRACT, "")
    if contract != CONTRACT:
        raise BadInputError(
            f"{Variable.CONTRACT}: this worker keeps version {CONTRACT} of the contract, the operator {contract!r}"
        )
    try:
        source = msgspec.json.decode(_text(environment, Variable.SOURCE), type=Source)
    except msgspec.MsgspecError as error:
        raise BadInputError(f"{Variable.SOURCE}: {error}") from error
    try:
        target = msgspec.json.decode(environment.get(Variable.TARGET) or "null", type=Target | None)
    except msgspec.MsgspecError as error:
        raise BadInputError(f"{Variable.TARGET}: {error}") from error
    shard, shards = _number(environment, Variable.SHARD, 0), _number(environment, Variable.SHARDS, 1)
    if shard >= shards:
        raise BadInputError(f"{Variable.SHARD}: {shard} is none of {shards} shards, counted from 0")
    return Inputs(
        job=_text(environment, Variable.JOB),
        namespace=_text(environment, Variable.NAMESPACE),
        run=_text(environment, Variable.RUN),
        epoch=_number(environment, Variable.EPOCH, 1),
        shard=shard,
        shards=shards,
        source=source,
        batch_size=_number(environment, Variable.BATCH_SIZE, 1),
        data=Path(environment.get(Variable.DATA) or DATA_FOLDER),
        uid=environment.get(Variable.UID, ""),
        target=target,
        credentials=Path(environment.get(Variable.CREDENTIALS) or CREDENTIALS_FOLDER),
    )


def _text(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise BadInputError(f"{name} is missing")
    return value


def _number(environment: Mapping[str, str], name: str, least: int) -> int:
    text = _text(environment, name)
    if not text.isdecimal() or int(text) < least:
        raise BadInputError(f"{name}: expected a whole number from {least}, not {text!r}")
    return int(text)
