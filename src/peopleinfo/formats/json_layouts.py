"""Layouts of JSON objects that describe people: FHIR, SCIM, and objects with a nested name."""

from __future__ import annotations

from typing import Any

from peopleinfo.formats import fhir, scim


def flattened(value: Any) -> Any:
    """Return the fields of a person in a known layout, or a SkippedRow; return any other value unchanged."""
    if isinstance(value, dict):
        if fhir.is_resource(value):
            return fhir.person(value)
        if scim.is_user(value):
            return scim.person(value)
    return value
