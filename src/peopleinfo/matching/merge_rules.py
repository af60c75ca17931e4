"""Merge and unmerge: which merges are allowed, and their effect on the events of the records.

Pure functions: a caller stores the result in one transaction. Merging deletes nothing; a merged record keeps its id and its own events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol

from peopleinfo.errors import ChangedSinceMerge, MergeCycle, MergeTooLarge, PersonMerged, UndoFirst, VersionConflict
from peopleinfo.matching.record_events import (
    Edit,
    Events,
    FieldChange,
    Taken,
    content,
    difference,
    edited_after,
    without_merge,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Keep = Literal["survivor", "merged", "both"]

MAX_RECORDS: Final = 20  # of one merge, because DynamoDB limits a transaction to 100 items
MAX_DEPTH: Final = 16  # merges from a record to its outermost survivor


class Record(NamedTuple):
    """A record with its version and its events."""

    person_id: str
    version: int
    events: Events

    @property
    def content(self) -> dict[str, Any]:
        """The fields of the record."""
        return content(self.events)


class Merge(NamedTuple):
    """A merge in effect, without values: the surviving record, the merged ones, and the fields that the survivor took."""

    merge_id: str
    survivor: str
    merged: tuple[str, ...]
    fields: tuple[str, ...] = ()


class MergeGraph(Protocol):
    """The merges in effect around the records of a merge."""

    def chain(self, person_id: str) -> list[Merge]:
        """Return the merges that lead from a record to its survivor, the outermost last."""

    def survivor(self, person_id: str) -> str:
        """Return the id of the outermost survivor: the record itself unless it is merged."""

    def height(self, person_id: str) -> int:
        """Return the number of merges from a record down to the innermost merged record."""


class Difference(NamedTuple):
    """A field in which the records of a merge differ: the value of each record that has one, and the id of the source of the taken value."""

    field: str
    values: Mapping[str, Any]
    taken: str | None


class MergePlan(NamedTuple):
    """The effect of a merge: the merge, the new events and content of the survivor, and the differences."""

    merge: Merge
    survivor: Record
    differences: list[Difference]


def plan_merge(
    merge_id: str,
    survivor: Record,
    merged: Sequence[Record],
    merges: MergeGraph,
    *,
    take: Mapping[str, str] | None = None,
    result: Mapping[str, Any] | None = None,
) -> MergePlan:
    """Plan a merge of records into a survivor, which keeps its values and takes those that it lacks.

    `take` chooses the record of a field by id. `result` is the complete content instead, as an operator edited it.
    Raises PersonMerged, MergeCycle or MergeTooLarge.
    """
    _check(survivor, merged, merges)
    records = {record.person_id: record.content for record in (survivor, *merged)}
    sources = _sources(survivor.person_id, records, take or {})
    before = records[survivor.person_id]
    after = dict(result) if result is not None else _combined(before, records, sources)
    change = difference(before, after) or FieldChange({})
    of_value = {field: source for field in change.values if (source := _source(after[field], field, sources, records))}
    merge = Merge(
        merge_id, survivor.person_id, tuple(record.person_id for record in merged), tuple(sorted(change.fields))
    )
    events = (*survivor.events, Taken(merge_id, change, of_value))
    differences = _differences(records, sources, after)
    return MergePlan(merge, survivor._replace(version=survivor.version + 1, events=events), differences)


def check_versions(records: Iterable[Record], versions: Mapping[str, int]) -> None:
    """Raise VersionConflict unless each record has the version that the caller names."""
    for record in records:
        if versions.get(record.person_id) != record.version:
            raise VersionConflict(record.person_id, actual=record.version)


def is_same_merge(merge: Merge, survivor: str, merged: Iterable[str]) -> bool:
    """Return whether a request repeats a merge; the response is then that of the first request."""
    return merge.survivor == survivor and set(merge.merged) == set(merged)


class UndoPlan(NamedTuple):
    """The effect of an undo: the survivor and the merged records with new events, and the fields that were edited after the merge.

    The events of the survivor no longer contain values of the merge. The caller encrypts them with a new key.
    """

    survivor: Record
    merged: list[Record]
    edited: tuple[str, ...]


def plan_undo(
    merge: Merge, survivor: Record, merged: Sequence[Record], merges: MergeGraph, keep: Mapping[str, Keep] | None = None
) -> UndoPlan:
    """Plan the undo of a merge. Merges of one survivor are undone in any order.

    `keep` decides, for each field that the merge set and a client edited afterwards, which record keeps the edit. Raises ChangedSinceMerge with
    the fields that `keep` does not name, and UndoFirst if the survivor is itself merged.
    """
    if chain := merges.chain(merge.survivor):
        raise UndoFirst(chain[-1].merge_id)
    keep = keep or {}
    edits = edited_after(survivor.events, merge.merge_id)
    if undecided := sorted(edits.fields - keep.keys()):
        raise ChangedSinceMerge(undecided)
    moved = frozenset(field for field in edits.fields if keep[field] == "merged")
    sources = _taken_from(survivor.events, merge)
    stays = frozenset(field for field in edits.fields if keep[field] == "survivor")
    events = without_merge(survivor.events, merge.merge_id, moved)
    return UndoPlan(
        survivor._replace(version=survivor.version + 1, events=events),
        [_restored(record, edits.without(stays | _of_others(record, sources))) for record in merged],
        tuple(sorted(edits.fields)),
    )


def differences_of(merge: Merge, survivor: Events, merged: Mapping[str, Mapping[str, Any]]) -> list[Difference]:
    """Return the differences of a merge in effect, from the events of its survivor and the contents of the merged records."""
    index = _index(survivor, merge.merge_id)
    taken = survivor[index]
    records = {merge.survivor: content(survivor[:index]), **merged}
    sources = dict.fromkeys(records[merge.survivor], merge.survivor)
    sources |= taken.sources if isinstance(taken, Taken) else {}
    return _differences(records, sources, content(survivor[: index + 1]))


class Redaction(NamedTuple):
    """The values that an undone merge gave to the survivor's versions, and the values that it had before.

    `values` are the taken values by field. `moved` fields get their earlier value in any case.
    """

    since: int
    """The version that the merge created."""
    values: Mapping[str, Any]
    moved: frozenset[str]
    before: Mapping[str, Any]

    def apply(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of a version without the values of the merged records."""
        restored = {field for field in self.values if field in fields and fields[field] == self.values[field]}
        restored |= self.moved
        kept = {field: value for field, value in fields.items() if field not in restored}
        return kept | {field: self.before[field] for field in restored if field in self.before}


def redaction_of(merge_id: str, events: Events, keep: Mapping[str, Keep], since: int) -> Redaction:
    """Return the redaction of the survivor's versions for the undo of a merge that created the version `since`."""
    index = _index(events, merge_id)
    before = content(events[:index])
    changed = events[index].change
    moved = frozenset(field for field, record in keep.items() if record == "merged" and field in changed.fields)
    return Redaction(
        since, changed.values, moved, {field: before[field] for field in changed.fields if field in before}
    )


def _index(events: Events, merge_id: str) -> int:
    """Return the position of a merge among the events of its survivor."""
    return next(i for i, event in enumerate(events) if isinstance(event, Taken) and event.merge_id == merge_id)


def check_size(count: int) -> None:
    """Raise MergeTooLarge if a merge has too many records."""
    if count > MAX_RECORDS:
        raise MergeTooLarge(MAX_RECORDS, MAX_DEPTH)


def _check(survivor: Record, merged: Sequence[Record], merges: MergeGraph) -> None:
    ids = [survivor.person_id, *(record.person_id for record in merged)]
    if len(set(ids)) != len(ids) or len(ids) == 1:
        raise MergeCycle
    for person_id in ids:
        if chain := merges.chain(person_id):
            raise PersonMerged(merges.survivor(person_id), chain[0].merge_id)
    check_size(len(ids))
    if max(merges.height(person_id) for person_id in ids[1:]) >= MAX_DEPTH:
        raise MergeTooLarge(MAX_RECORDS, MAX_DEPTH)


def _sources(survivor: str, records: Mapping[str, Mapping[str, Any]], take: Mapping[str, str]) -> dict[str, str]:
    """Return the record of each field: the chosen one, else the first one that has the field, the survivor before the others."""
    sources = {field: person_id for person_id in reversed(list(records)) for field in records[person_id]}
    sources |= dict.fromkeys(records[survivor], survivor)
    return sources | {field: person_id for field, person_id in take.items() if person_id in records}


def _combined(
    before: Mapping[str, Any], records: Mapping[str, Mapping[str, Any]], sources: Mapping[str, str]
) -> dict[str, Any]:
    """Return the content of the survivor in the order of its fields, then the others; a chosen record without the field removes it."""
    fields = dict.fromkeys((*before, *(field for content_ in records.values() for field in content_)))
    return {field: records[sources[field]][field] for field in fields if field in records[sources[field]]}


def _source(value: Any, field: str, sources: Mapping[str, str], records: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Return the id of the record that has this value of a field; None if an operator entered another value."""
    preferred = sources.get(field)
    candidates = sorted(records, key=lambda person_id: person_id != preferred)
    return next((each for each in candidates if field in records[each] and records[each][field] == value), None)


def _differences(
    records: Mapping[str, Mapping[str, Any]], sources: Mapping[str, str], after: Mapping[str, Any]
) -> list[Difference]:
    fields = dict.fromkeys(field for content_ in records.values() for field in content_)
    return [
        Difference(field, values, _source(after.get(field), field, sources, records))
        for field in fields
        if (values := {each: content_[field] for each, content_ in records.items() if field in content_})
        and (len(values) < len(records) or any(value != next(iter(values.values())) for value in values.values()))
    ]


def _taken_from(events: Events, merge: Merge) -> dict[str, str]:
    """Return the merged record to which the edits of each field may belong: that of the value, else the first one."""
    taken = next(event for event in events if isinstance(event, Taken) and event.merge_id == merge.merge_id)
    merged = frozenset(merge.merged)
    sources = {field: taken.sources.get(field, "") for field in taken.change.fields}
    return {field: source if source in merged else merge.merged[0] for field, source in sources.items()}


def _of_others(record: Record, sources: Mapping[str, str]) -> frozenset[str]:
    return frozenset(field for field, person_id in sources.items() if person_id != record.person_id)


def _restored(record: Record, edits: FieldChange) -> Record:
    """Return a record after the undo, with the edits that it keeps."""
    events = (*record.events, Edit(edits)) if edits.fields else record.events
    return record._replace(version=record.version + 1, events=events)
