"""A backup goes into the bucket of another account with the rights of its role, and is restored into an empty environment.

The command runs as an operator runs it, against an emulator; a proxy records its calls.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests import dynamodb_servers
from tests.iac.cloud import REGION, Cloud
from tests.iac.recording_proxy import recording
from tests.iac.terraform import IAC
from tests.iac.test_rights import OF_THE_SERVICE, OF_THE_TABLE, TABLE, Role
from tests.limits import HANG_TIMEOUT

if TYPE_CHECKING:
    from tests.iac.terraform import Stacks

BUCKET = "people-info-qa-backups-210987654321"
RECORDS = "person_name,person_surname,person_birthdate\nAnna,Müller,1990-02-11\nBob,Smith,1980-01-01\n"


@dataclass
class Made:
    """A backup of two records and a restored table: what the two commands called, and the digests."""

    calls: set[tuple[str, str]]
    stats: str
    restored: str
    contents: list[bytes]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("backup")
    cloud = Cloud(dynamodb_servers.endpoint("ministack"))
    bucket = cloud.service("s3")
    bucket.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    key = cloud.key()
    (folder / "records.csv").write_text(RECORDS)
    source, target = (
        f"dynamodb://{REGION}/{name}?endpoint={cloud.endpoint}" for name in ("backup-source", "backup-target")
    )
    run(key, "store", "create", "--store-url", source)
    run(key, "import", "--store-url", source, str(folder / "records.csv"))
    changed = folder / "changed.csv"  # so that a record has an earlier version
    run(key, "export", "--store-url", source, str(changed))
    changed.write_text(changed.read_text().replace("Anna", "Anne"))
    run(key, "import", "--store-url", source, "--key", "person_id", str(changed))
    with recording(cloud.endpoint) as (url, calls):
        place, secret = f"s3://{BUCKET}/first?endpoint={url}&region={REGION}", str(folder / "key")
        recorded = source.replace(cloud.endpoint, url)
        run(key.replace(cloud.endpoint, url), "backup", place, "--key", secret, "--store-url", recorded)
    run(key, "store", "create", "--store-url", target)
    run(key, "restore", place.replace(url, cloud.endpoint), "--key", secret, "--store-url", target)
    names = [one["Key"] for one in bucket.list_objects_v2(Bucket=BUCKET)["Contents"]]
    contents = [bucket.get_object(Bucket=BUCKET, Key=name)["Body"].read() for name in names]
    stats, restored = (run(key, "stats", "--store-url", store) for store in (source, target))
    return Made(set(calls), stats, restored, contents)


def run(key: str, *words: str) -> str:
    environment = os.environ | dynamodb_servers.CREDENTIALS | {"PEOPLEINFO_ENCRYPTION": key}
    command = [sys.executable, "-m", "peopleinfo", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=HANG_TIMEOUT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_restored_table_has_the_records_of_the_backup(made: Made) -> None:
    assert "people           2" in made.stats
    assert made.restored == made.stats


def test_backup_shows_no_record_to_the_account_that_stores_it(made: Made) -> None:
    assert made.contents
    assert [name for name in ("Müller", "Anna", "Anne", "Smith") for one in made.contents if name.encode() in one] == []


@pytest.fixture
def role(stacks: Stacks) -> Role:
    app, basic = stacks.resources("app_iac"), stacks.resources("basic_iac")
    return Role(app["aws_iam_role_policy.backup[0]"], basic["aws_iam_policy.boundary"])


def test_backup_role_may_make_every_call_of_the_command_and_no_other(made: Made, role: Role, stacks: Stacks) -> None:
    calls = {(action, resource(stacks, action, name)) for action, name in made.calls}
    context = OF_THE_SERVICE | OF_THE_TABLE
    assert [call for call in sorted(calls) if not role.may(*call, context=context)] == []
    policy = json.loads(stacks.resources("app_iac")["aws_iam_role_policy.backup[0]"]["policy"])
    given = {
        (action, place)
        for one in policy["Statement"]
        for action in listed(one["Action"])
        for place in listed(one["Resource"])
    }
    spare = {action for action, _ in given} - {action for action, _ in calls}
    assert spare == {"s3:ListBucket"}, "without it S3 reports a missing manifest as forbidden"


def test_backup_role_changes_no_record_and_deletes_no_backup(role: Role, stacks: Stacks) -> None:
    for action in ("DeleteItem", "PutItem", "UpdateItem", "BatchWriteItem", "DeleteTable"):
        assert not role.may(f"dynamodb:{action}", TABLE, context=OF_THE_TABLE)
    for action in ("DeleteObject", "DeleteObjectVersion", "BypassGovernanceRetention", "PutObjectRetention"):
        assert not role.may(f"s3:{action}", f"arn:aws:s3:::{BUCKET}/first/manifest.json")
    assert not role.may("s3:PutObject", "arn:aws:s3:::people-info-prod-backups-210987654321/x")
    assert not role.may("kms:Decrypt", stacks.resources("app_iac")["module.people_key.aws_kms_key.default"]["arn"])


def test_operators_alone_assume_the_backup_role(stacks: Stacks) -> None:
    policy = json.loads(stacks.resources("app_iac")["aws_iam_role.backup[0]"]["assume_role_policy"])
    assert [one["Principal"] for one in policy["Statement"]] == [{"AWS": ["arn:aws:iam::123456789012:role/platform"]}]


def test_bucket_is_the_one_that_the_role_writes_to(stacks: Stacks) -> None:
    text = (IAC / "backup" / "bucket.tf").read_text()
    assert 'name   = "${local.name}-backups-${local.account}"' in text
    policy = json.loads(stacks.resources("app_iac")["aws_iam_role_policy.backup[0]"]["policy"])
    places = {place for one in policy["Statement"] for place in listed(one["Resource"]) if ":s3:" in place}
    assert places == {f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"}


def resource(stacks: Stacks, action: str, name: str) -> str:
    """Return the ARN in AWS of what a call to the emulator named."""
    if action.startswith("s3:"):
        return f"arn:aws:s3:::{name}"
    if action.startswith("kms:"):
        return str(stacks.resources("app_iac")["module.sealing_key.aws_kms_key.default"]["arn"])
    return f"{TABLE}-keys" if name.endswith("-keys") else TABLE


def listed(one: Any) -> list[Any]:
    return one if isinstance(one, list) else [one]
