"""Which fields of a record a person put right in the quarantine. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from looma_core.api.reading import read
from looma_core.problems import ValidationProblem
from looma_engines.talent_sync.records.entity import Entity

from .judging import plain_values


def put_right(
    entity: Entity[Any, Any], given: Mapping[str, Any] | None, values: Mapping[str, Any]
) -> list[str]:
    """Fields that the source has otherwise than the record, and whose correction it may be told.

    | the source's own value of a field, beside the record's other ones | the field was put right |
    | ----------------------------------------------------------------- | ----------------------- |
    | is what the record has, once tidied                               | no                      |
    | is another one, or none                                           | yes                     |
    | is no value of the field                                          | yes                     |

    Args:
        entity: the kind of the record.
        given: what the source had, as a draft; None where that is not known, and then all fields are.
        values: the record as the person stored it, plain.
    """
    if given is None:
        return sorted(values)
    return sorted(name for name in values if not _is_same(entity, name, given, values))


def _is_same(
    entity: Entity[Any, Any], name: str, given: Mapping[str, Any], values: Mapping[str, Any]
) -> bool:
    draft = {other: value for other, value in values.items() if other != name}
    if given.get(name) is not None:
        draft[name] = given[name]
    try:
        tidied = plain_values(entity, entity.tidy(read(draft, entity.draft)))
    except ValidationProblem:
        return False
    return bool(tidied[name] == values[name])
