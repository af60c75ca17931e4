"""The service runs on the resources of the stacks, created on a local server that emulates AWS: `make cloud-smoke`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from peopleinfo.settings import Settings
from peopleinfo.settings.urls import DynamoDBUrl
from peopleinfo.stores.dynamodb import schema
from tests import dynamodb_servers
from tests.cache.test_redis_connections import permissions
from tests.http.serving import HANG_TIMEOUT, serving
from tests.iac.cloud import Cloud
from tests.valkey_servers import running_server as valkey

if TYPE_CHECKING:
    from pathlib import Path

    from tests.iac.terraform import Stacks

ANNA = {"person_name": "Anna", "person_surname": "Müller", "person_birthdate": "1990-02-11"}


@pytest.fixture
def cloud(stacks: Stacks) -> Cloud:
    made = Cloud(dynamodb_servers.endpoint("ministack"))
    made.make(stacks.resources("app_iac"))
    return made


@pytest.fixture
def api(stacks: Stacks) -> dict[str, Any]:
    """Return the definition of the service's container."""
    definition = stacks.resources("deploy_iac")["aws_ecs_task_definition.default"]["container_definitions"]
    found: dict[str, Any] = next(one for one in json.loads(definition) if one["name"] == "api")
    return found


@pytest.mark.parametrize("stack", ["app_iac", "preview_iac"])
def test_table_matches_the_schema_of_the_code(stacks: Stacks, stack: str) -> None:
    table = stacks.resources(stack)["module.people.aws_dynamodb_table.people"]
    (index,) = table["global_secondary_index"]
    assert {(one["name"], one["type"]) for one in table["attribute"]} == {
        (one["AttributeName"], one["AttributeType"]) for one in schema.PEOPLE.keys["AttributeDefinitions"]
    }
    (described,) = schema.PEOPLE.keys["GlobalSecondaryIndexes"]
    keys = [key["AttributeName"] for key in schema.PEOPLE.keys["KeySchema"]]
    assert [table["hash_key"], table["range_key"]] == keys
    keys_of_index = [(key["attribute_name"], key["key_type"]) for key in index["key_schema"]]
    assert keys_of_index == [(key["AttributeName"], key["KeyType"]) for key in described["KeySchema"]]
    assert index["name"] == described["IndexName"]
    assert index["projection_type"] == described["Projection"]["ProjectionType"]
    assert table["billing_mode"] == schema.PROTECTION["BillingMode"]
    assert table["ttl"][0]["attribute_name"] == schema.TTL


def test_table_is_protected_against_deletion(stacks: Stacks) -> None:
    table = stacks.resources("app_iac")["module.people.aws_dynamodb_table.people"]
    assert table["deletion_protection_enabled"] is schema.PROTECTION["DeletionProtectionEnabled"]


def test_key_table_matches_the_schema_of_the_code(stacks: Stacks) -> None:
    table = stacks.resources("app_iac")["aws_dynamodb_table.keys"]
    people = stacks.resources("app_iac")["module.people.aws_dynamodb_table.people"]["name"]
    assert table["name"] == DynamoDBUrl("eu-west-1", people).key_table
    assert [(one["name"], one["type"]) for one in table["attribute"]] == [
        (one["AttributeName"], one["AttributeType"]) for one in schema.KEYS.keys["AttributeDefinitions"]
    ]
    assert [table["hash_key"]] == [key["AttributeName"] for key in schema.KEYS.keys["KeySchema"]]
    assert table["range_key"] is None
    assert table["point_in_time_recovery"][0]["enabled"] is schema.KEYS.recoverable


def test_task_definition_sets_only_known_settings(api: dict[str, Any]) -> None:
    given = {one["name"]: one["value"] for one in api["environment"]}
    secrets = {one["name"]: "k" * 64 for one in api["secrets"]}
    ours = {name: value for name, value in (given | secrets).items() if name.startswith("PEOPLEINFO_")}
    assert Settings.load(ours).port == api["portMappings"][0]["containerPort"]


def test_service_runs_on_the_resources_of_the_stacks(cloud: Cloud, api: dict[str, Any], tmp_path: Path) -> None:
    given = {one["name"]: one["value"] for one in api["environment"]}
    pages = cloud.service("ssm").get_paginator("get_parameters_by_path").paginate(Path="/people-info-qa/app")
    published = {one["Name"]: one["Value"] for page in pages for one in page["Parameters"]}
    assert given["PEOPLEINFO_STORE_URL"] == published["/people-info-qa/app/store_url"]
    assert given["PEOPLEINFO_CACHE_URL"] == published["/people-info-qa/app/cache_url"]
    secrets = {one["name"]: cloud.secret(one["valueFrom"]) for one in api["secrets"]}
    user, password = given["PEOPLEINFO_CACHE_USER"], secrets["PEOPLEINFO_CACHE_PASSWORD"]
    groups = cloud.service("logs").describe_log_groups(logGroupNamePrefix="/people-info-qa/")["logGroups"]
    assert api["logConfiguration"]["options"]["awslogs-group"] in {group["logGroupName"] for group in groups}

    assert given["PEOPLEINFO_ENCRYPTION"] == published["/people-info-qa/app/encryption_url"]
    store, key = f"{given['PEOPLEINFO_STORE_URL']}?endpoint={cloud.endpoint}", cloud.key()
    with valkey("--user", user, "on", f">{password}", *permissions(), "--user", "default", "off") as cache:
        settings = {name.removeprefix("PEOPLEINFO_").lower(): value for name, value in (given | secrets).items()}
        # There is no load balancer here, and the cache uses no TLS.
        settings |= {"host": "127.0.0.1", "port": "0", "store_url": store, "cache_url": cache.url}
        settings |= {"encryption": key, "audit_log": f"file://{tmp_path / 'audit.jsonl'}"}
        settings |= {"cache_timeout": "5", "cache_fence_ttl": "0.02"}  # on a loaded machine
        with serving(tmp_path, **settings) as server:
            headers = {"Authorization": f"Bearer {secrets['PEOPLEINFO_ADMIN_KEY']}"}
            with httpx.Client(base_url=server.url, headers=headers, timeout=HANG_TIMEOUT) as client:
                assert client.get("/status").json()["status"] == "ok"
                made = client.post("/v1/people", json=ANNA)
                assert made.status_code == 201
                found = client.get("/v1/people", params={"surname": "muller"}).json()["people"]
                assert [person["person_id"] for person in found] == [made.json()["person_id"]]
                while "hit" not in client.get(made.headers["Location"]).headers.get("Cache-Status", ""):
                    pass  # a new cache stores nothing at first
    # The service has initialized the empty table.
    output = _command("store", "check", "--store-url", store, "--encryption", key)
    assert {line.split()[0] for line in output.splitlines()} == {"ok"}, output


def _command(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "peopleinfo", *words],
        env=os.environ | dynamodb_servers.CREDENTIALS,
        capture_output=True,
        text=True,
        timeout=HANG_TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
