"""History: the content of a record as the replay of its events. An undone merge is removed from the events, so nothing of it remains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_ABSENT = object()  # differs from every JSON value


class FieldChange(NamedTuple):
    """Fields that an event sets, in their order, and fields that it removes; `order` lists all fields if their order changes too."""

    values: Mapping[str, Any]
    removed: frozenset[str] = frozenset()
    order: tuple[str, ...] = ()

    @property
    def fields(self) -> frozenset[str]:
        """The changed fields."""
        return self.removed | self.values.keys()

    def without(self, fields: frozenset[str]) -> FieldChange:
        """Return the change of the other fields."""
        values = {field: value for field, value in self.values.items() if field not in fields}
        return FieldChange(values, self.removed - fields, self.order)


class Edit(NamedTuple):
    """A change by a client: the creation of the record or a later change."""

    change: FieldChange


class Taken(NamedTuple):
    """A change by a merge: the fields of the surviving record that the merge sets, and the merged record of each value."""

    merge_id: str
    change: FieldChange
    sources: Mapping[str, str]


Event = Edit | Taken
Events = tuple[Event, ...]


def created(fields: Mapping[str, Any]) -> Events:
    """Return the events of a new record."""
    return (Edit(FieldChange(dict(fields))),)


def content(events: Iterable[Event]) -> dict[str, Any]:
    """Replay events and return the fields of the record, in their order."""
    fields: dict[str, Any] = {}
    for event in events:
        _apply(fields, event.change)
    return fields


def edited(events: Events, after: Mapping[str, Any]) -> Events:
    """Return the events of a record whose content a client changed to `after`. An equal content adds no event.

    Only the difference is stored. A client that replaces a whole record thus does not repeat the values that a merge took over.
    """
    change = difference(content(events), after)
    return (*events, Edit(change)) if change else events


def coalesced(events: Events) -> Events:
    """Return the events with the last two joined if both are edits and their effect stays the same.

    So the events of a record that clients edit often remain few.
    """
    if len(events) < 2 or not (isinstance(events[-1], Edit) and isinstance(events[-2], Edit)):  # noqa: PLR2004
        return events
    first, second = events[-2].change, events[-1].change
    if first.order or second.order or first.removed & second.values.keys():
        return events
    first_values = {field: value for field, value in first.values.items() if field not in second.removed}
    values = {**first_values, **second.values}
    later = {field: value for field, value in first_values.items() if field not in second.values} | dict(second.values)
    if list(values) != list(later):  # a replay, or the edits of a merge, would have another order
        return events
    removed = (first.removed | second.removed) - second.values.keys()
    return (*events[:-2], Edit(FieldChange(values, removed)))


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> FieldChange | None:
    """Return the change from one content to another, None if both are equal."""
    values = {field: value for field, value in after.items() if before.get(field, _ABSENT) != value}
    change = FieldChange(values, frozenset(before.keys() - after.keys()))
    changed = dict(before)
    _apply(changed, change)
    if list(changed) != list(after):
        return change._replace(order=tuple(after))
    return change if change.fields else None


def edited_after(events: Events, merge_id: str) -> FieldChange:
    """Return the fields that a merge set and a client edited afterwards, with their last edited values.

    An edit belongs to the record whose value it replaced. So these are the edits that may belong to the merged record.
    """
    edits: dict[str, Any] = {}
    removed: set[str] = set()
    for event, fields in _edits_of_merge(events, merge_id):
        values = {field: value for field, value in event.change.values.items() if field in fields}
        edits = {field: value for field, value in edits.items() if field not in fields} | values
        removed = (removed - fields) | (fields - values.keys())
    return FieldChange(edits, frozenset(removed))


def without_merge(events: Events, merge_id: str, moved: frozenset[str] = frozenset()) -> Events:
    """Return the events without a merge, and without the later edits of fields that move to the merged record."""
    stripped = {id(event): fields & moved for event, fields in _edits_of_merge(events, merge_id)}
    return tuple(
        Edit(event.change.without(fields)) if (fields := stripped.get(id(event))) else event
        for event in events
        if not (isinstance(event, Taken) and event.merge_id == merge_id)
    )


def _edits_of_merge(events: Events, merge_id: str) -> Iterator[tuple[Edit, frozenset[str]]]:
    """Yield each edit of a field with a value of a merge, with these fields."""
    origins: dict[str, str] = {}
    for event in events:
        if isinstance(event, Taken):
            origins |= dict.fromkeys(event.change.fields, event.merge_id)
        elif fields := frozenset(field for field in event.change.fields if origins.get(field) == merge_id):
            yield event, fields


def _apply(fields: dict[str, Any], change: FieldChange) -> None:
    for field in change.removed:
        fields.pop(field, None)
    fields |= change.values
    if change.order:
        ordered = {field: fields[field] for field in change.order if field in fields} | fields
        fields.clear()
        fields |= ordered
