"""Every setting of the service is set by the stacks, available to operators, or excluded on purpose."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest

from peopleinfo.errors import InvalidSettings
from peopleinfo.settings import PREFIX, Settings
from tests.iac.terraform import IAC
from tests.iac.test_chart import CHART

ALL = {field.name for field in dataclasses.fields(Settings)}
SECRETS = {field.name for field in dataclasses.fields(Settings) if field.metadata.get("secret")}
NOT_ON_THE_INTERNET = {"allow_anonymous"}
_SET = re.compile(rf"\b{PREFIX}(\w+)\b")
_FIRST = {"store_url": "dynamodb://eu-west-1/people", "cache_url": "rediss://cache.example.org", "admin_key": "k" * 32,
          "oidc_issuer": "https://login.example.org", "oidc_audience": "people-info"}  # fmt: skip

# The available settings, each with a valid and an invalid value.
CHOSEN = {
    "body_timeout": ("2.5", "soon"),
    "cache_timeout": ("0.1", "-1"),
    "cache_fence_ttl": ("15", "15s"),
    "cache_local_size": ("0", "many"),
    "cache_ttl": ("60.0", "1m"),
    "cache_strict_writes": ("true", "maybe"),
    "max_connections": ("2000", "0"),
    "cors_origins": ("https://a.example.org,http://127.0.0.1:8080", "https://a.example.org/path"),
    "identifiers": ("email,unique:employee_no", "e mail"),
    "log_level": ("warning", "loud"),
    "oidc_scopes": ("openid people", ""),
    "oidc_audience": ("people-info", ""),
    "oidc_client_id": ("console", ""),
    "oidc_issuer": ("https://login.example.org/realms/staff", "login.example.org"),
    "oidc_scopes_claim": ("realm_access.roles", ""),
    "rate_limit": ("0", "none"),
    "rate_limit_shared": ("true", "yes please"),
    "retention_period": ("730d", "2y"),
    "search_indexes": ("names,address", "surnames"),
    "history": ("365d", "1y"),
    "changes": ("35d", "5w"),
    "trash": ("30d", "1m"),
    "duplicates_refuse": ("probable", "all"),
    "workers": ("64", "65"),
}


def settable() -> dict[str, str]:
    """Return the settings available in `deploy_iac`, with the pattern of each value."""
    text = (IAC / "deploy_iac" / "settings.tf").read_text()
    return {name: json.loads(form) for name, form in re.findall(r'^    (\w+) += (".*")$', text, re.MULTILINE)}


def in_the_chart() -> dict[str, str]:
    """Return the settings available in the chart, with the pattern of each value."""
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]["settings"]
    assert schema["additionalProperties"] is False
    return {name: one.get("pattern", "") for name, one in schema["properties"].items()}


def test_every_setting_is_set_or_available_or_excluded_on_ecs() -> None:
    task = {name.lower() for name in _SET.findall((IAC / "deploy_iac" / "task_definition.tf").read_text())}
    assert task >= SECRETS
    assert [*task & set(settable()), *NOT_ON_THE_INTERNET & set(settable())] == []
    assert task | set(settable()) | NOT_ON_THE_INTERNET == ALL


def test_every_setting_is_set_or_available_on_kubernetes() -> None:
    deployment = (CHART / "templates" / "deployment.yaml").read_text()
    pod = {name.lower() for name in _SET.findall(deployment)}
    assert pod | set(in_the_chart()) | SECRETS == ALL
    assert set(in_the_chart()) & (pod | SECRETS) == set(), "it could be set twice, or a secret stands in the values"


def test_ecs_and_kubernetes_accept_the_same_values() -> None:
    chart = in_the_chart()
    assert {name: chart[name] for name in settable()} == settable()


@pytest.mark.parametrize("name", sorted(settable()))
def test_available_settings_have_values_that_the_service_accepts(name: str) -> None:
    right, wrong = CHOSEN[name]
    assert re.search(settable()[name], right)
    assert not re.search(settable()[name], wrong)
    Settings.load({f"{PREFIX}{one.upper()}": value for one, value in (_FIRST | {name: right}).items()})
    if wrong:  # for the service, an empty value equals no value
        with pytest.raises(InvalidSettings):
            Settings.load({f"{PREFIX}{one.upper()}": value for one, value in (_FIRST | {name: wrong}).items()})
