"""The lifecycle policy of the registry keeps running images and rollback candidates, by ECR's rules of priority."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.iac.terraform import Stacks


@dataclass(frozen=True)
class Image:
    """An image of the registry, and how many days ago it was pushed."""

    days: int
    tags: tuple[str, ...] = ()


def expired(rules: list[dict[str, Any]], images: list[Image]) -> set[Image]:
    """Return the images that ECR deletes: an image belongs to the first rule that matches it, deleted or not."""
    free, gone = set(images), set[Image]()
    for rule in sorted(rules, key=lambda one: int(one["rulePriority"])):
        selection = rule["selection"]
        matched = sorted((one for one in free if matches(selection, one)), key=lambda one: one.days)
        free -= set(matched)
        if selection["countType"] == "imageCountMoreThan":
            gone |= set(matched[selection["countNumber"] :])
        else:
            gone |= {one for one in matched if one.days > selection["countNumber"]}
    return gone


def matches(selection: dict[str, Any], image: Image) -> bool:
    if selection["tagStatus"] == "untagged":
        return not image.tags
    # Every pattern of the list must match one of the tags.
    return all(any(fnmatchcase(tag, pattern) for tag in image.tags) for pattern in selection["tagPatternList"])


@pytest.fixture
def rules(stacks: Stacks) -> list[dict[str, Any]]:
    policy = stacks.resources("basic_iac")["aws_ecr_lifecycle_policy.default"]["policy"]
    return list(json.loads(policy)["rules"])


def test_running_image_survives_any_number_of_newer_versions(rules: list[dict[str, Any]]) -> None:
    newer = [Image(days, (f"1.{100 - days}.0",)) for days in range(1, 80)]
    running, old = Image(90, ("1.0.0", "ran-0123456789ab")), Image(91, ("0.9.0",))
    gone = expired(rules, [*newer, running, old])
    assert running not in gone
    assert old in gone
    assert running in expired(
        [rule for rule in rules if rule["selection"].get("tagPatternList") != ["ran-*"]], [*newer, running]
    )


def test_versions_are_counted_without_signatures_and_manifests(rules: list[dict[str, Any]]) -> None:
    versions = [Image(days, (f"1.{100 - days}.0",)) for days in range(1, 51)]
    signatures = [Image(days, (f"sha256-{days}.sig",)) for days in range(1, 51)]
    manifests = [Image(days % 7) for days in range(100)]
    assert expired(rules, [*versions, *signatures, *manifests]) == set()
    assert expired(rules, [Image(8)]) == {Image(8)}
