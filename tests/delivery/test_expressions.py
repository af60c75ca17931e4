"""Expressions are evaluated as GitHub evaluates them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.delivery.expressions import evaluate, holds, interpolate

CONTEXT: dict[str, Any] = {
    "github": {
        "event_name": "push",
        "event": {"labels": [{"name": "preview"}, {"name": "other"}]},
        "ref": "refs/heads/main",
    },
    "vars": {"ENVIRONMENTS": '["qa", "prod"]'},
    "inputs": {"apply": False},
    "functions": {
        "success": lambda: True,
        "failure": lambda: False,
        "cancelled": lambda: False,
        "always": lambda: True,
    },
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'a' == 'A'", True),
        ("vars.MISSING == ''", True),
        ("vars.MISSING != ''", False),
        ("1 == '1'", True),
        ("null == false", True),
        ("!true || false && true", False),
        ("(true || false) && !false", True),
        ("'it''s'", "it's"),
        ("vars.MISSING || 'default'", "default"),
        ("inputs.apply && 'yes' || 'no'", "no"),
        ("contains(vars.ENVIRONMENTS, 'QA')", True),
        ("contains(github.event.labels.*.name, 'preview')", True),
        ("contains(github.event.labels.*.name, 'prev')", False),
        ("startsWith(github.ref, 'refs/heads/')", True),
        ("fromJSON(vars.ENVIRONMENTS)", ["qa", "prod"]),
        ("format('{0}-{1}', 'a', true)", "a-true"),
        ("github['event_name']", "push"),
        ("github.event.nothing.below", None),
    ],
)  # fmt: skip
def test_expression_has_its_value_on_github(text: str, expected: object) -> None:
    assert evaluate(text, CONTEXT) == expected


@pytest.mark.parametrize("text", ["a b", "contains('a'", "1 +", "unknown('a')", "'a' === 'b'"])
def test_invalid_expression_is_rejected(text: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        evaluate(text, CONTEXT)


def test_condition_implies_success_unless_it_has_a_status_function() -> None:
    failed = CONTEXT | {"functions": CONTEXT["functions"] | {"success": lambda: False}}
    assert not holds(None, failed)
    assert not holds("github.ref == 'refs/heads/main'", failed)
    assert holds("!cancelled() && github.ref == 'refs/heads/main'", failed)
    assert holds("${{ inputs.apply == false }}", CONTEXT)


def test_value_is_formatted_in_a_text() -> None:
    assert interpolate("apply-${{ inputs.apply }}-${{ vars.MISSING }}", CONTEXT) == "apply-false-"
