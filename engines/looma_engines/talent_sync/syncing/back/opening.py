"""The source that a SyncJob names, as one that is written to."""

from __future__ import annotations

from looma_core.api.syncjob import MongodbSource, PostgresqlSource, WriteBack, ZervigoSource
from looma_engines.sync_worker.inputs import BadInputError, Inputs

from ..sources.credentials import Secrets
from ..sources.record_source import RecordSource
from .writable import WritableSource


def open_writable(
    inputs: Inputs, entity: str, *, patience: float, reading: RecordSource | None = None
) -> WritableSource:
    """The source of what a pod was told, for writing; nothing is connected yet.

    Args:
        inputs: what it was told.
        entity: what the records are.
        patience: seconds for which it may be away, for a source that knows better when it is.
        reading: the same source as it is read; what both ask is counted together.

    Raises:
        BadInputError: it cannot be written to.
    """
    write_back = inputs.target.write_back if inputs.target is not None else WriteBack()
    # Imported where it is asked for: most SyncJobs write to no source.
    match inputs.source:
        case PostgresqlSource(table=table) if table:
            from .to_postgresql import PostgresqlWriter

            return PostgresqlWriter(inputs.source, Secrets(inputs.credentials), entity, write_back)
        case MongodbSource():
            from .to_mongodb import MongodbWriter

            return MongodbWriter(inputs.source, Secrets(inputs.credentials), entity, write_back)
        case ZervigoSource():
            from ..sources.remote.asking import Account
            from ..sources.zervigo import ZervigoRecords
            from .to_zervigo import ZervigoWriter

            account = reading.account if isinstance(reading, ZervigoRecords) else Account()
            return ZervigoWriter(inputs, inputs.source, entity, patience=patience, account=account)
    raise BadInputError(
        "spec.direction: twoWay is for a table of PostgreSQL, a collection of MongoDB, and Zervigo"
    )
