"""The AWS API calls that Terraform's AWS provider makes for each resource type, as IAM actions.

The table follows the provider's source (internal/service/*, 6.x) and, for what another service does with the caller's rights
(CloudFormation, grants of KMS keys, roles that are passed), the user guide of that service. `tests/iac/test_derived_rights.py` checks each
name against IAM's own list of actions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

STEPS: Final = ("create", "read", "update", "delete")


@dataclass(frozen=True)
class Calls:
    """The actions of one resource type by step; an action without a service belongs to the service of `own`.

    `own` is the IAM resource type, for example `ec2:vpc`. `action@type` names the type that an action refers to when IAM requires none.
    """

    own: str
    create: str = ""
    read: str = ""
    update: str = ""
    delete: str = ""

    def actions(self, step: str) -> list[tuple[str, str]]:
        """Return the actions of a step with the resource type that each refers to, or ""."""
        service, _, own = self.own.partition(":")
        found = []
        for word in getattr(self, step).split():
            action, _, kind = word.partition("@")
            full = action if ":" in action else f"{service}:{action}"
            found.append((full, kind or (own if full.startswith(f"{service}:") else "")))
        return found


# What a service does with a customer managed key on behalf of the caller, when a resource encrypted with it is created or changed.
_GRANT: Final = "kms:CreateGrant kms:DescribeKey"
_VPC_TAGS: Final = "CreateTags DeleteTags"
_TAGS: Final = "TagResource UntagResource"
_ELB_TAGS: Final = "AddTags RemoveTags"
_CACHE_TAGS: Final = "AddTagsToResource RemoveTagsFromResource"
_SECURITY_GROUP: Final = "DescribeSecurityGroups DescribeNetworkInterfaces"

PROVIDER: Final = {
    "aws_acm_certificate": Calls(
        "acm:certificate",
        create="RequestCertificate AddTagsToCertificate",
        read="DescribeCertificate ListTagsForCertificate",
        update="UpdateCertificateOptions AddTagsToCertificate RemoveTagsFromCertificate",
        delete="DeleteCertificate",
    ),
    "aws_acm_certificate_validation": Calls("acm:certificate", read="DescribeCertificate"),
    "aws_appautoscaling_policy": Calls(
        "application-autoscaling:ScalableTarget",
        create="PutScalingPolicy cloudwatch:PutMetricAlarm@tracking ecs:DescribeServices ecs:UpdateService",
        read="DescribeScalingPolicies cloudwatch:DescribeAlarms",
        update="PutScalingPolicy",
        delete="DeleteScalingPolicy cloudwatch:DeleteAlarms@tracking",
    ),
    "aws_appautoscaling_target": Calls(
        "application-autoscaling:ScalableTarget",
        create="RegisterScalableTarget TagResource iam:CreateServiceLinkedRole@ecs.application-autoscaling",
        read="DescribeScalableTargets ListTagsForResource",
        update=f"RegisterScalableTarget {_TAGS}",
        delete="DeregisterScalableTarget",
    ),
    "aws_budgets_budget": Calls(
        "budgets:budget", create="ModifyBudget TagResource", read="ViewBudget ListTagsForResource",
        update=f"ModifyBudget {_TAGS}", delete="ModifyBudget",
    ),
    "aws_cloudformation_stack": Calls(
        "cloudformation:stack",
        create="CreateStack TagResource",
        read="DescribeStacks GetTemplate",
        update=f"UpdateStack DescribeStackEvents {_TAGS}",
        delete="DeleteStack DescribeStackEvents",
    ),
    "aws_cloudwatch_dashboard": Calls("cloudwatch:dashboard", "PutDashboard", "GetDashboard", "PutDashboard", "DeleteDashboards"),
    "aws_cloudwatch_log_group": Calls(
        "logs:log-group",
        create="CreateLogGroup TagResource PutRetentionPolicy AssociateKmsKey PutLogGroupDeletionProtection",
        read="DescribeLogGroups ListTagsForResource",
        update=f"PutRetentionPolicy DeleteRetentionPolicy AssociateKmsKey DisassociateKmsKey PutLogGroupDeletionProtection {_TAGS}",
        delete="DeleteLogGroup PutLogGroupDeletionProtection",
    ),
    "aws_cloudwatch_metric_alarm": Calls(
        "cloudwatch:alarm", create="PutMetricAlarm TagResource", read="DescribeAlarms ListTagsForResource",
        update=f"PutMetricAlarm {_TAGS}", delete="DeleteAlarms",
    ),
    "aws_default_security_group": Calls(
        "ec2:security-group",
        read=_SECURITY_GROUP,
        update=f"RevokeSecurityGroupIngress RevokeSecurityGroupEgress {_VPC_TAGS}",
    ),
    "aws_dynamodb_table": Calls(
        "dynamodb:table",
        create=f"CreateTable TagResource UpdateTimeToLive UpdateContinuousBackups {_GRANT} kms:Decrypt",
        read="DescribeTable DescribeContinuousBackups DescribeTimeToLive ListTagsOfResource",
        update=f"UpdateTable UpdateTimeToLive UpdateContinuousBackups {_TAGS}",
        delete="DeleteTable UpdateTable",
    ),
    "aws_ecr_lifecycle_policy": Calls("ecr:repository", "PutLifecyclePolicy", "GetLifecyclePolicy", "PutLifecyclePolicy", "DeleteLifecyclePolicy"),
    "aws_ecr_repository": Calls(
        "ecr:repository",
        create=f"CreateRepository TagResource {_GRANT}",
        read="DescribeRepositories ListTagsForResource",
        update=f"PutImageTagMutability PutImageScanningConfiguration {_TAGS}",
        delete="DeleteRepository kms:RetireGrant",
    ),
    "aws_ecs_cluster": Calls(
        "ecs:cluster", create="CreateCluster TagResource iam:CreateServiceLinkedRole@ecs", read="DescribeClusters",
        update=f"UpdateCluster {_TAGS}", delete="DeleteCluster",
    ),
    "aws_ecs_cluster_capacity_providers": Calls(
        "ecs:cluster", "PutClusterCapacityProviders", "DescribeClusters", "PutClusterCapacityProviders", "PutClusterCapacityProviders"
    ),
    "aws_ecs_service": Calls(
        "ecs:service",
        create="CreateService TagResource iam:PassRole@blue-green",
        read="DescribeServices ListServiceDeployments@service DescribeServiceDeployments",
        update=f"UpdateService {_TAGS} iam:PassRole@blue-green",
        delete="UpdateService DeleteService",
    ),
    # `skip_destroy`: no revision is deregistered, which IAM could not limit to one environment.
    "aws_ecs_task_definition": Calls(
        "ecs:task-definition", create="RegisterTaskDefinition TagResource iam:PassRole@task iam:PassRole@execution",
        read="DescribeTaskDefinition", update=_TAGS,
    ),
    "aws_eip": Calls(
        "ec2:elastic-ip", create="AllocateAddress CreateTags", read="DescribeAddresses DescribeAddressesAttribute",
        update=_VPC_TAGS, delete="ReleaseAddress",
    ),
    "aws_elasticache_parameter_group": Calls(
        "elasticache:parametergroup",
        create="CreateCacheParameterGroup ModifyCacheParameterGroup AddTagsToResource",
        read="DescribeCacheParameterGroups DescribeCacheParameters ListTagsForResource",
        update=f"ModifyCacheParameterGroup ResetCacheParameterGroup {_CACHE_TAGS}",
        delete="DeleteCacheParameterGroup",
    ),
    "aws_elasticache_replication_group": Calls(
        "elasticache:replicationgroup",
        create=f"CreateReplicationGroup AddTagsToResource {_GRANT} iam:CreateServiceLinkedRole@elasticache "
        "ec2:DescribeNetworkInterfaces ec2:DescribeSubnets ec2:DescribeVpcs",
        read="DescribeReplicationGroups DescribeCacheClusters@cluster ListTagsForResource",
        update=f"ModifyReplicationGroup IncreaseReplicaCount DecreaseReplicaCount {_CACHE_TAGS}",
        delete="DeleteReplicationGroup",
    ),
    "aws_elasticache_subnet_group": Calls(
        "elasticache:subnetgroup", create="CreateCacheSubnetGroup AddTagsToResource",
        read="DescribeCacheSubnetGroups ListTagsForResource", update=f"ModifyCacheSubnetGroup {_CACHE_TAGS}", delete="DeleteCacheSubnetGroup",
    ),
    "aws_elasticache_user_group": Calls(
        "elasticache:usergroup", create="CreateUserGroup AddTagsToResource", read="DescribeUserGroups ListTagsForResource",
        update=f"ModifyUserGroup {_CACHE_TAGS}", delete="DeleteUserGroup",
    ),
    "aws_flow_log": Calls(
        "ec2:vpc-flow-log", create="CreateFlowLogs CreateTags iam:PassRole@flow-logs", read="DescribeFlowLogs",
        update=_VPC_TAGS, delete="DeleteFlowLogs",
    ),
    "aws_iam_openid_connect_provider": Calls(
        "iam:oidc-provider", create="CreateOpenIDConnectProvider TagOpenIDConnectProvider", read="GetOpenIDConnectProvider",
        update="UpdateOpenIDConnectProviderThumbprint AddClientIDToOpenIDConnectProvider RemoveClientIDFromOpenIDConnectProvider",
        delete="DeleteOpenIDConnectProvider",
    ),
    "aws_iam_policy": Calls(
        "iam:policy", create="CreatePolicy TagPolicy", read="GetPolicy GetPolicyVersion",
        update="CreatePolicyVersion DeletePolicyVersion ListPolicyVersions TagPolicy UntagPolicy", delete="DeletePolicy ListPolicyVersions",
    ),
    "aws_iam_role": Calls(
        "iam:role",
        create="CreateRole TagRole PutRolePermissionsBoundary",
        read="GetRole ListRolePolicies ListAttachedRolePolicies",
        update="UpdateRole UpdateRoleDescription UpdateAssumeRolePolicy PutRolePermissionsBoundary TagRole UntagRole",
        delete="DeleteRole ListInstanceProfilesForRole",
    ),
    "aws_iam_role_policy": Calls("iam:role", "PutRolePolicy", "GetRolePolicy", "PutRolePolicy", "DeleteRolePolicy"),
    "aws_iam_role_policy_attachment": Calls("iam:role", "AttachRolePolicy", "ListAttachedRolePolicies", "", "DetachRolePolicy"),
    "aws_internet_gateway": Calls(
        "ec2:internet-gateway", create="CreateInternetGateway AttachInternetGateway CreateTags", read="DescribeInternetGateways",
        update=f"AttachInternetGateway DetachInternetGateway {_VPC_TAGS}", delete="DetachInternetGateway DeleteInternetGateway",
    ),
    "aws_kms_alias": Calls("kms:alias", "CreateAlias", "ListAliases", "UpdateAlias", "DeleteAlias"),
    "aws_kms_key": Calls(
        "kms:key",
        create="CreateKey TagResource EnableKeyRotation PutKeyPolicy",
        read="DescribeKey GetKeyPolicy GetKeyRotationStatus ListResourceTags",
        update=f"PutKeyPolicy UpdateKeyDescription EnableKeyRotation DisableKeyRotation {_TAGS}",
        delete="ScheduleKeyDeletion",
    ),
    "aws_lb": Calls(
        "elasticloadbalancing:loadbalancer/app/",
        create="CreateLoadBalancer AddTags ModifyLoadBalancerAttributes iam:CreateServiceLinkedRole@elasticloadbalancing "
        "ec2:DescribeAccountAttributes ec2:DescribeInternetGateways ec2:DescribeSecurityGroups ec2:DescribeSubnets ec2:DescribeVpcs",
        read="DescribeLoadBalancers DescribeLoadBalancerAttributes DescribeCapacityReservation DescribeTags",
        update=f"ModifyLoadBalancerAttributes SetSecurityGroups SetSubnets {_ELB_TAGS}",
        delete="DeleteLoadBalancer ec2:DescribeNetworkInterfaces",
    ),
    "aws_lb_listener": Calls(
        "elasticloadbalancing:listener/app",
        create="CreateListener@loadbalancer/app/ AddTags ModifyListenerAttributes",
        read="DescribeListeners DescribeListenerAttributes DescribeTags",
        update=f"ModifyListener ModifyListenerAttributes {_ELB_TAGS}",
        delete="DeleteListener",
    ),
    "aws_lb_listener_rule": Calls(
        "elasticloadbalancing:listener-rule/app", create="CreateRule@listener/app AddTags", read="DescribeRules DescribeTags",
        update=f"ModifyRule SetRulePriorities {_ELB_TAGS}", delete="DeleteRule",
    ),
    "aws_lb_target_group": Calls(
        "elasticloadbalancing:targetgroup",
        create="CreateTargetGroup AddTags ModifyTargetGroupAttributes ec2:DescribeVpcs ec2:DescribeInternetGateways",
        read="DescribeTargetGroups DescribeTargetGroupAttributes DescribeTags",
        update=f"ModifyTargetGroup ModifyTargetGroupAttributes {_ELB_TAGS}",
        delete="DeleteTargetGroup",
    ),
    "aws_nat_gateway": Calls(
        "ec2:natgateway", create="CreateNatGateway CreateTags", read="DescribeNatGateways", update=_VPC_TAGS, delete="DeleteNatGateway"
    ),
    "aws_prometheus_alert_manager_definition": Calls(
        "aps:workspace", create="CreateAlertManagerDefinition", read="DescribeAlertManagerDefinition",
        update="PutAlertManagerDefinition", delete="DeleteAlertManagerDefinition",
    ),
    "aws_prometheus_rule_group_namespace": Calls(
        "aps:rulegroupsnamespace", create="CreateRuleGroupsNamespace TagResource", read="DescribeRuleGroupsNamespace ListTagsForResource",
        update=f"PutRuleGroupsNamespace {_TAGS}", delete="DeleteRuleGroupsNamespace",
    ),
    "aws_prometheus_workspace": Calls(
        "aps:workspace",
        create=f"CreateWorkspace TagResource {_GRANT} kms:GenerateDataKey kms:Decrypt",
        read="DescribeWorkspace DescribeLoggingConfiguration ListTagsForResource",
        update=f"UpdateWorkspaceAlias {_TAGS}",
        delete="DeleteWorkspace",
    ),
    "aws_route": Calls("ec2:route-table", "CreateRoute", "DescribeRouteTables", "ReplaceRoute", "DeleteRoute"),
    "aws_route53_record": Calls(
        "route53:hostedzone", create="ChangeResourceRecordSets GetChange@change GetHostedZone", read="ListResourceRecordSets GetHostedZone",
        update="ChangeResourceRecordSets", delete="ChangeResourceRecordSets",
    ),
    "aws_route_table": Calls(
        "ec2:route-table", create="CreateRouteTable CreateTags", read="DescribeRouteTables", update=_VPC_TAGS,
        delete="DisassociateRouteTable DeleteRouteTable",
    ),
    "aws_route_table_association": Calls(
        "ec2:route-table", "AssociateRouteTable", "DescribeRouteTables", "ReplaceRouteTableAssociation", "DisassociateRouteTable"
    ),
    "aws_s3_bucket": Calls(
        "s3:bucket",
        create="CreateBucket PutBucketTagging TagResource",
        read="ListBucket GetBucketPolicy GetBucketAcl GetBucketCORS GetBucketWebsite GetBucketVersioning GetAccelerateConfiguration "
        "GetBucketRequestPayment GetBucketLogging GetLifecycleConfiguration GetReplicationConfiguration GetEncryptionConfiguration "
        "GetBucketObjectLockConfiguration GetBucketTagging GetBucketLocation ListTagsForResource",
        update=f"PutBucketTagging {_TAGS}",
        delete="DeleteBucket",
    ),
    "aws_s3_bucket_lifecycle_configuration": Calls(
        "s3:bucket", "PutLifecycleConfiguration", "GetLifecycleConfiguration", "PutLifecycleConfiguration", "PutLifecycleConfiguration"
    ),
    "aws_s3_bucket_ownership_controls": Calls(
        "s3:bucket", "PutBucketOwnershipControls", "GetBucketOwnershipControls", "PutBucketOwnershipControls", "PutBucketOwnershipControls"
    ),
    "aws_s3_bucket_policy": Calls("s3:bucket", "PutBucketPolicy", "GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy"),
    "aws_s3_bucket_public_access_block": Calls(
        "s3:bucket", "PutBucketPublicAccessBlock", "GetBucketPublicAccessBlock", "PutBucketPublicAccessBlock", "PutBucketPublicAccessBlock"
    ),
    "aws_s3_bucket_server_side_encryption_configuration": Calls(
        "s3:bucket", "PutEncryptionConfiguration", "GetEncryptionConfiguration", "PutEncryptionConfiguration", "PutEncryptionConfiguration"
    ),
    "aws_s3_bucket_versioning": Calls(
        "s3:bucket", "PutBucketVersioning", "GetBucketVersioning", "PutBucketVersioning", "PutBucketVersioning"
    ),
    "aws_secretsmanager_secret": Calls(
        "secretsmanager:Secret", create="CreateSecret TagResource kms:GenerateDataKey kms:Decrypt", read="DescribeSecret GetResourcePolicy",
        update=f"UpdateSecret {_TAGS}", delete="DeleteSecret",
    ),
    "aws_security_group": Calls(
        "ec2:security-group", create="CreateSecurityGroup RevokeSecurityGroupEgress CreateTags", read="DescribeSecurityGroups",
        update=_VPC_TAGS, delete="DeleteSecurityGroup DescribeNetworkInterfaces",
    ),
    "aws_sns_topic": Calls(
        "sns:topic", create="CreateTopic SetTopicAttributes TagResource", read="GetTopicAttributes ListTagsForResource",
        update=f"SetTopicAttributes {_TAGS}", delete="DeleteTopic",
    ),
    "aws_sns_topic_policy": Calls("sns:topic", "SetTopicAttributes", "GetTopicAttributes", "SetTopicAttributes", "SetTopicAttributes"),
    "aws_sns_topic_subscription": Calls(
        "sns:topic", "Subscribe", "GetSubscriptionAttributes", "SetSubscriptionAttributes", "Unsubscribe"
    ),
    "aws_ssm_parameter": Calls(
        "ssm:parameter", create="PutParameter AddTagsToResource", read="GetParameter DescribeParameters ListTagsForResource",
        update="PutParameter AddTagsToResource RemoveTagsFromResource", delete="DeleteParameter",
    ),
    "aws_subnet": Calls(
        "ec2:subnet", create="CreateSubnet ModifySubnetAttribute CreateTags", read="DescribeSubnets",
        update=f"ModifySubnetAttribute {_VPC_TAGS}", delete="DeleteSubnet DescribeNetworkInterfaces",
    ),
    "aws_vpc": Calls(
        "ec2:vpc",
        create="CreateVpc ModifyVpcAttribute CreateTags",
        read="DescribeVpcs DescribeVpcAttribute DescribeNetworkAcls DescribeSecurityGroups DescribeRouteTables",
        update=f"ModifyVpcAttribute {_VPC_TAGS}",
        delete="DeleteVpc",
    ),
    "aws_vpc_endpoint": Calls(
        "ec2:vpc-endpoint",
        create="CreateVpcEndpoint CreateTags DescribeSecurityGroups DescribeSubnets DescribeVpcs",
        read="DescribeVpcEndpoints DescribePrefixLists",
        update=f"ModifyVpcEndpoint {_VPC_TAGS}",
        delete="DeleteVpcEndpoints",
    ),
    "aws_vpc_security_group_egress_rule": Calls(
        "ec2:security-group-rule", create="AuthorizeSecurityGroupEgress CreateTags", read="DescribeSecurityGroupRules",
        update=f"ModifySecurityGroupRules {_VPC_TAGS}", delete="RevokeSecurityGroupEgress",
    ),
    "aws_vpc_security_group_ingress_rule": Calls(
        "ec2:security-group-rule", create="AuthorizeSecurityGroupIngress CreateTags", read="DescribeSecurityGroupRules",
        update=f"ModifySecurityGroupRules {_VPC_TAGS}", delete="RevokeSecurityGroupIngress",
    ),
    "aws_wafv2_web_acl": Calls(
        "wafv2:webacl", create="CreateWebACL TagResource", read="GetWebACL ListTagsForResource", update=f"UpdateWebACL {_TAGS}",
        delete="DeleteWebACL",
    ),
    "aws_wafv2_web_acl_association": Calls(
        "wafv2:webacl", create="AssociateWebACL elasticloadbalancing:SetWebAcl iam:CreateServiceLinkedRole@wafv2",
        read="GetWebACL GetWebACLForResource@loadbalancer/app/", delete="DisassociateWebACL@loadbalancer/app/ elasticloadbalancing:SetWebAcl",
    ),
}  # fmt: skip

# CloudFormation creates the resources of a template with the permissions of the caller.
CLOUDFORMATION: Final = {
    "AWS::ElastiCache::User": Calls(
        "elasticache:user", create="CreateUser AddTagsToResource", read="DescribeUsers ListTagsForResource",
        update=f"ModifyUser {_CACHE_TAGS}", delete="DeleteUser",
    ),
    "AWS::SecretsManager::Secret": Calls(
        "secretsmanager:Secret",
        create="CreateSecret GetRandomPassword TagResource GetSecretValue@cache_password kms:GenerateDataKey kms:Decrypt",
        read="DescribeSecret", update=f"UpdateSecret {_TAGS}", delete="DeleteSecret",
    ),
}  # fmt: skip

DATA: Final = {"aws_ssm_parameter": Calls("ssm:parameter", read="GetParameter")}

# The S3 backend with a lock file (`use_lockfile`). `plan` runs without a lock, and a state is never deleted, only its lock.
BACKEND: Final = {
    "read": ["s3:ListBucket@bucket", "s3:GetObject@state", "kms:Decrypt@state"],
    "write": [
        "s3:PutObject@state",
        "s3:GetObject@lock",
        "s3:PutObject@lock",
        "s3:DeleteObject@lock",
        "kms:GenerateDataKey@state",
    ],
}
