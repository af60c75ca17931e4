"""Create the resources of the stacks on a local server that emulates AWS."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import botocore.session

if TYPE_CHECKING:
    from tests.iac.terraform import Resources

REGION: Final = "eu-west-1"
_SECRET: Final = re.compile(r":secret:(.+)-\w{6}$")


class Cloud:
    """The emulator, accessed through the clients for AWS."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._session = botocore.session.get_session()
        self._session.set_credentials("tests", "tests")

    def service(self, name: str) -> Any:
        return self._session.create_client(name, region_name=REGION, endpoint_url=self.endpoint)

    def make(self, resources: Resources) -> None:
        """Create the supported resources of a stack: tables, parameters, secrets, roles and log groups."""
        makers = {
            "aws_dynamodb_table": self._table,
            "aws_ssm_parameter": self._parameter,
            "aws_secretsmanager_secret": self._secret,
            "aws_cloudformation_stack": self._secrets_of_template,
            "aws_iam_role": self._role,
            "aws_iam_role_policy": self._policy,
            "aws_cloudwatch_log_group": self._log_group,
        }
        for address, values in resources.items():
            if make := makers.get(address.removeprefix("module.people.").split(".")[0]):
                make(values)

    def key(self) -> str:
        """Create a KMS key and return its URL for PEOPLEINFO_ENCRYPTION."""
        made = self.service("kms").create_key()["KeyMetadata"]["KeyId"]
        return f"aws-kms://{made}?region={REGION}&endpoint={self.endpoint}"

    def secret(self, arn: str) -> str:
        """Return the value that ECS passes to a container for this reference."""
        name = _SECRET.search(arn)
        assert name, arn
        return str(self.service("secretsmanager").get_secret_value(SecretId=name[1])["SecretString"])

    def _table(self, values: dict[str, Any]) -> None:
        (encryption,), (recovery,) = (values[name] for name in ("server_side_encryption", "point_in_time_recovery"))
        db, name = self.service("dynamodb"), values["name"]
        indexes = [
            {
                "IndexName": index["name"],
                "KeySchema": [
                    {"AttributeName": key["attribute_name"], "KeyType": key["key_type"]} for key in index["key_schema"]
                ],
                "Projection": {"ProjectionType": index["projection_type"]},
            }
            for index in values["global_secondary_index"] or ()
        ]
        db.create_table(
            TableName=name,
            BillingMode=values["billing_mode"],
            DeletionProtectionEnabled=values["deletion_protection_enabled"],
            AttributeDefinitions=[
                {"AttributeName": one["name"], "AttributeType": one["type"]} for one in values["attribute"]
            ],
            KeySchema=_keys(values),
            SSESpecification={
                "Enabled": encryption["enabled"],
                "SSEType": "KMS",
                "KMSMasterKeyId": encryption["kms_key_arn"],
            },
            **({"GlobalSecondaryIndexes": indexes} if indexes else {}),
        )
        for ttl in values["ttl"] or ():
            db.update_time_to_live(
                TableName=name,
                TimeToLiveSpecification={"AttributeName": ttl["attribute_name"], "Enabled": ttl["enabled"]},
            )
        db.update_continuous_backups(
            TableName=name,
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": recovery["enabled"]},
        )

    def _parameter(self, values: dict[str, Any]) -> None:
        self.service("ssm").put_parameter(Name=values["name"], Type=values["type"], Value=values["insecure_value"])

    def _secret(self, values: dict[str, Any], length: int = 64) -> None:
        vault = self.service("secretsmanager")
        made = vault.get_random_password(PasswordLength=length, ExcludePunctuation=True)["RandomPassword"]
        vault.create_secret(Name=values["name"], SecretString=made)

    def _secrets_of_template(self, values: dict[str, Any]) -> None:
        for resource in json.loads(values["template_body"])["Resources"].values():
            if resource["Type"] == "AWS::SecretsManager::Secret":
                properties = resource["Properties"]
                self._secret({"name": properties["Name"]}, properties["GenerateSecretString"]["PasswordLength"])

    def _role(self, values: dict[str, Any]) -> None:
        self.service("iam").create_role(RoleName=values["name"], AssumeRolePolicyDocument=values["assume_role_policy"])

    def _policy(self, values: dict[str, Any]) -> None:
        # The mocks invent role ids. Each role has one policy, so the name of the policy identifies it.
        self.service("iam").create_policy(
            PolicyName=f"{values['name']}-{values['id']}", PolicyDocument=values["policy"]
        )

    def _log_group(self, values: dict[str, Any]) -> None:
        logs = self.service("logs")
        logs.create_log_group(logGroupName=values["name"])
        logs.put_retention_policy(logGroupName=values["name"], retentionInDays=values["retention_in_days"])


def _keys(values: dict[str, Any]) -> list[dict[str, str]]:
    kinds = {"HASH": values["hash_key"], "RANGE": values["range_key"]}
    return [{"AttributeName": name, "KeyType": kind} for kind, name in kinds.items() if name]
