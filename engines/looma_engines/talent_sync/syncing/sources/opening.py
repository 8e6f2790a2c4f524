"""The source that a SyncJob names."""

from __future__ import annotations

from looma_core.api.syncjob import (
    CsvSource,
    HttpSource,
    JsonlSource,
    MongodbSource,
    PostgresqlSource,
    S3Source,
    ZervigoSource,
)
from looma_engines.sync_worker.inputs import BadInputError, Inputs

from .credentials import Secrets
from .files import FileRecords
from .mapping import wrong_paths
from .record_source import RecordSource


def open_source(inputs: Inputs, entity: str, *, patience: float) -> RecordSource:
    """The source of what a pod was told; nothing is connected yet.

    Args:
        inputs: what it was told.
        entity: what the records are to be.
        patience: seconds for which it may be away, for a source that knows better when it is.

    Raises:
        BadInputError: it cannot be read like this.
    """
    source = inputs.source
    if wrong := wrong_paths(source.fields):
        raise BadInputError(f"spec.source.{'; '.join(wrong)}")
    # Imported where it is asked for: a client of a database takes longer than a small file has to be read.
    match source:
        case JsonlSource() | CsvSource():
            return FileRecords(inputs, source, entity)
        case HttpSource() | S3Source():
            from .remote_files import RemoteFileRecords

            return RemoteFileRecords(inputs, source, entity, patience=patience)
        case ZervigoSource():
            from .zervigo import ZervigoRecords

            return ZervigoRecords(inputs, source, entity, patience=patience)
        case PostgresqlSource():
            from .postgresql import PostgresqlRecords

            return PostgresqlRecords(source, Secrets(inputs.credentials), entity)
        case MongodbSource():
            from .mongodb import MongodbRecords

            return MongodbRecords(source, Secrets(inputs.credentials), entity)
