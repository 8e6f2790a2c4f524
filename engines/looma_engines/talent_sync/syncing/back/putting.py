"""Where a field stands in what the source has: `sources.mapping` the other way round. Pure.

| in `spec.source.fields`             | what is written                                                       |
| ----------------------------------- | --------------------------------------------------------------------- |
| `full_name: name`                   | the column or member                                                  |
| `email: contact.email`              | the member of a member; the other members stay                        |
| `phone: phones[0]`                  | the first of a list; the others stay                                  |
| `skills: tags[*].label`             | a list of objects: those whose label stays are kept as they are       |
| `salary.min: pay.from`              | the member of a member                                                |
| `experience[].title: posts[*].role` | a list of objects: an item that stays or changes keeps its other members |
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ..sources.mapping import DriftError, find

_EACH, _IN_EACH = "[*]", "[]."
Like = Callable[[Any, Any], Any]


def field_of(target: str) -> str:
    """The field that a name in `spec.source.fields` is of, as salary of salary.min."""
    return target.partition("[")[0].partition(".")[0]


def top_of(path: str) -> str:
    """The column or member that a path begins with."""
    return path.partition(".")[0].partition("[")[0]


def put(
    document: Mapping[str, Any],
    fields: Mapping[str, str],
    changes: Mapping[str, Any],
    base: Mapping[str, Any],
    *,
    like: Like = lambda _, new: new,
) -> dict[str, Any]:
    """The columns or members of a source's record as they are to be, whole, by their names.

    Args:
        document: the record as the source has it; stays as it is.
        fields: `spec.source.fields`; empty where names are the same here and there.
        changes: fields with the values that they are to have.
        base: the record's fields as they were read of this document.
        like: makes a new value of the kind that an old one is, as a time of a text.

    Raises:
        DriftError: there is something else where a path goes on.
    """
    if not fields:
        return {name: like(document.get(name), value) for name, value in changes.items()}
    after: dict[str, Any] = {}
    # Members of one list are put in together: which of its items stay is asked once.
    lists: dict[tuple[str, str], dict[str, list[str]]] = {}
    for target, path in fields.items():
        name = field_of(target)
        if name not in changes:
            continue
        if _IN_EACH in target:
            before, rest = path.split(_EACH + ".", 1)
            lists.setdefault((name, before), {})[target.split(_IN_EACH)[1]] = rest.split(".")
            continue
        value = changes[name]
        member = target.partition(".")[2]
        if member:
            value = value.get(member) if isinstance(value, Mapping) else None
        _copied(after, document, path)
        if path in document:
            after[path] = like(document[path], value)
        elif _EACH in path:
            before, _, rest = path.partition(_EACH)
            _set(after, before, _labelled(_items(after, before, path), rest.strip("."), value, like), like)
        else:
            _set(after, path, value, like)
    for (name, before), members in lists.items():
        _copied(after, document, before)
        items = _items(after, before, before)
        _set(after, before, _rebuilt(items, members, base.get(name), changes[name], like), like)
    return after


def _copied(after: dict[str, Any], document: Mapping[str, Any], path: str) -> None:
    name = path if path in document else top_of(path)
    if name not in after and name in document:
        after[name] = copy.deepcopy(document[name])


def _items(after: Mapping[str, Any], path: str, whole: str) -> list[Any]:
    found = find(after, path)
    if found is msgspec.UNSET or found is None:
        return []
    if not isinstance(found, list):
        raise DriftError(f"the source has no list where {whole} goes on")
    return found


def _set(into: dict[str, Any], path: str, value: Any, like: Like) -> None:  # noqa: ANN401 - any value
    """Put a value at a path; what is missing on the way is made."""
    here: Any = into
    *way, last = path.split(".")
    for step in way:
        name, index = _step(step)
        if index is None:
            if here.get(name) is None:
                here[name] = {}
            here = here[name]
        else:
            items = here.get(name)
            if not isinstance(items, list) or index >= len(items):
                raise DriftError(f"the source has no list where {path} goes on")
            here = items[index]
        if not isinstance(here, dict):
            raise DriftError(f"the source has no object where {path} goes on")
    name, index = _step(last)
    if index is None:
        here[name] = like(here.get(name), value)
        return
    items = [] if here.get(name) is None else here[name]
    if not isinstance(items, list) or index > len(items):
        raise DriftError(f"the source has no list where {path} goes on")
    if index < len(items):
        items[index] = like(items[index], value)
    elif value is not None:
        items.append(value)
    here[name] = items


def _step(step: str) -> tuple[str, int | None]:
    name, _, index = step.partition("[")
    return name, int(index[:-1]) if index else None


def _labelled(items: list[Any], rest: str, value: Any, like: Like) -> list[Any]:  # noqa: ANN401 - any value
    """A list of objects, each known by one member; without `rest` a list of the values themselves."""
    wanted = value if isinstance(value, list) else []
    if not rest:
        return list(wanted)
    left = list(items)
    made = []
    for one in wanted:
        at = next((number for number, item in enumerate(left) if _has(item, rest, one)), None)
        if at is None:
            fresh: dict[str, Any] = {}
            _set(fresh, rest, one, like)
            made.append(fresh)
        else:
            made.append(left.pop(at))
    return made


def _has(item: Any, path: str, value: Any) -> bool:  # noqa: ANN401 - any value
    try:
        return isinstance(item, Mapping) and bool(find(item, path) == value)
    except DriftError:
        return False


def _rebuilt(
    items: list[Any],
    members: Mapping[str, list[str]],
    before: Any,  # noqa: ANN401 - any value
    now: Any,  # noqa: ANN401 - any value
    like: Like,
) -> list[Any]:
    """A list of objects with some of their members from here.

    An item that is the same as before keeps its object, one that changed at its place keeps the object's other members.
    """
    known = before if isinstance(before, list) and len(before) == len(items) else []
    wanted = now if isinstance(now, list) else []
    free = dict(enumerate(items))
    kept: dict[int, Any] = {}
    for number, one in enumerate(wanted):
        same = [at for at in free if at < len(known) and known[at] == one]
        if same:
            kept[number] = free.pop(number if number in same else same[0])
    made = []
    for number, one in enumerate(wanted):
        if number in kept:
            made.append(kept[number])
            continue
        # What stood at this place and did not go elsewhere has become this.
        item = free.pop(number, {})
        item = item if isinstance(item, dict) else {}
        for member, steps in members.items():
            value = one.get(member) if isinstance(one, Mapping) else None
            path = ".".join(steps)
            if value is not None or find(item, path) not in (msgspec.UNSET, None):
                _set(item, path, value, like)
        made.append(item)
    return made
