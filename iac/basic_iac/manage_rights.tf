# What `infrastructure` creates, changes, tags and destroys: the resources of basic_iac and app_iac, each action derived from them
# (tests/iac/test_derived_rights.py). What belongs to an administrator is left out: the boundary, the provider for GitHub's tokens and the
# workflows' own roles.

locals {
  manage_network = [
    # EC2 decides each resource of a request by itself: those that exist by their tags, those that are created by the tags they get.
    {
      Sid    = "CreateNetwork"
      Effect = "Allow"
      Action = [
        "ec2:AllocateAddress", "ec2:AuthorizeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupIngress", "ec2:CreateFlowLogs",
        "ec2:CreateInternetGateway", "ec2:CreateNatGateway", "ec2:CreateRouteTable", "ec2:CreateSecurityGroup", "ec2:CreateSubnet",
        "ec2:CreateVpc", "ec2:CreateVpcEndpoint",
      ]
      Resource  = "*"
      Condition = { StringEquals = merge(local.created_ours.StringEquals, local.in_region.StringEquals) }
    },
    {
      Sid       = "TagWhatIsCreated"
      Effect    = "Allow"
      Action    = "ec2:CreateTags"
      Resource  = "*"
      Condition = merge(local.created_ours, { Null = { "ec2:CreateAction" = "false" } })
    },
    {
      Sid    = "ChangeNetwork"
      Effect = "Allow"
      Action = [
        "ec2:AssociateRouteTable", "ec2:AttachInternetGateway", "ec2:AuthorizeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupIngress",
        "ec2:CreateFlowLogs", "ec2:CreateNatGateway", "ec2:CreateRoute", "ec2:CreateRouteTable", "ec2:CreateSecurityGroup", "ec2:CreateSubnet",
        "ec2:CreateTags", "ec2:CreateVpcEndpoint", "ec2:DeleteFlowLogs", "ec2:DeleteInternetGateway", "ec2:DeleteNatGateway",
        "ec2:DeleteRoute", "ec2:DeleteRouteTable", "ec2:DeleteSecurityGroup", "ec2:DeleteSubnet", "ec2:DeleteTags", "ec2:DeleteVpc",
        "ec2:DeleteVpcEndpoints", "ec2:DetachInternetGateway", "ec2:DisassociateRouteTable", "ec2:ModifySecurityGroupRules",
        "ec2:ModifySubnetAttribute", "ec2:ModifyVpcAttribute", "ec2:ModifyVpcEndpoint", "ec2:ReleaseAddress", "ec2:ReplaceRoute",
        "ec2:ReplaceRouteTableAssociation", "ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress",
      ]
      Resource  = "*"
      Condition = local.tagged_ours
    },
    { Sid = "DescribeAccount", Effect = "Allow", Action = "ec2:DescribeAccountAttributes", Resource = "*", Condition = local.in_region },
  ]

  manage_service = [
    {
      Sid    = "ManageNamed"
      Effect = "Allow"
      Action = [
        "budgets:ModifyBudget", "budgets:TagResource", "budgets:UntagResource", "cloudformation:CreateStack", "cloudformation:DeleteStack",
        "cloudformation:DescribeStackEvents", "cloudformation:TagResource", "cloudformation:UntagResource", "cloudformation:UpdateStack",
        "cloudwatch:DeleteAlarms", "cloudwatch:DeleteDashboards", "cloudwatch:PutDashboard", "cloudwatch:PutMetricAlarm", "cloudwatch:TagResource",
        "cloudwatch:UntagResource", "dynamodb:CreateTable", "dynamodb:DeleteTable", "dynamodb:TagResource", "dynamodb:UntagResource",
        "dynamodb:UpdateContinuousBackups", "dynamodb:UpdateTable", "dynamodb:UpdateTimeToLive", "ecr:CreateRepository",
        "ecr:DeleteLifecyclePolicy", "ecr:DeleteRepository", "ecr:PutImageScanningConfiguration", "ecr:PutImageTagMutability",
        "ecr:PutLifecyclePolicy", "ecr:TagResource", "ecr:UntagResource", "ecs:CreateCluster", "ecs:DeleteCluster",
        "ecs:PutClusterCapacityProviders", "ecs:TagResource", "ecs:UntagResource", "ecs:UpdateCluster", "elasticache:AddTagsToResource",
        "elasticache:CreateCacheParameterGroup", "elasticache:CreateCacheSubnetGroup", "elasticache:CreateReplicationGroup",
        "elasticache:CreateUser", "elasticache:CreateUserGroup", "elasticache:DecreaseReplicaCount", "elasticache:DeleteCacheParameterGroup",
        "elasticache:DeleteCacheSubnetGroup", "elasticache:DeleteReplicationGroup", "elasticache:DeleteUser", "elasticache:DeleteUserGroup",
        "elasticache:DescribeUsers", "elasticache:IncreaseReplicaCount", "elasticache:ModifyCacheParameterGroup",
        "elasticache:ModifyCacheSubnetGroup", "elasticache:ModifyReplicationGroup", "elasticache:ModifyUser", "elasticache:ModifyUserGroup",
        "elasticache:RemoveTagsFromResource", "elasticache:ResetCacheParameterGroup", "elasticloadbalancing:AddTags",
        "elasticloadbalancing:CreateListener", "elasticloadbalancing:CreateLoadBalancer", "elasticloadbalancing:CreateRule",
        "elasticloadbalancing:CreateTargetGroup", "elasticloadbalancing:DeleteListener", "elasticloadbalancing:DeleteLoadBalancer",
        "elasticloadbalancing:DeleteRule", "elasticloadbalancing:DeleteTargetGroup", "elasticloadbalancing:ModifyListener",
        "elasticloadbalancing:ModifyListenerAttributes", "elasticloadbalancing:ModifyLoadBalancerAttributes", "elasticloadbalancing:ModifyRule",
        "elasticloadbalancing:ModifyTargetGroup", "elasticloadbalancing:ModifyTargetGroupAttributes", "elasticloadbalancing:RemoveTags",
        "elasticloadbalancing:SetRulePriorities", "elasticloadbalancing:SetSecurityGroups", "elasticloadbalancing:SetSubnets",
        "logs:AssociateKmsKey", "logs:CreateLogGroup", "logs:DeleteLogGroup", "logs:DeleteRetentionPolicy", "logs:DisassociateKmsKey",
        "logs:PutLogGroupDeletionProtection", "logs:PutRetentionPolicy", "logs:TagResource", "logs:UntagResource", "s3:CreateBucket",
        "s3:DeleteBucket", "s3:DeleteBucketPolicy", "s3:PutBucketOwnershipControls", "s3:PutBucketPolicy", "s3:PutBucketPublicAccessBlock",
        "s3:PutBucketTagging", "s3:PutBucketVersioning", "s3:PutEncryptionConfiguration", "s3:PutLifecycleConfiguration", "s3:TagResource",
        "s3:UntagResource", "secretsmanager:CreateSecret", "secretsmanager:DeleteSecret", "secretsmanager:TagResource",
        "secretsmanager:UntagResource", "secretsmanager:UpdateSecret", "sns:CreateTopic", "sns:DeleteTopic", "sns:SetTopicAttributes",
        "sns:Subscribe", "sns:TagResource", "sns:UntagResource", "wafv2:AssociateWebACL", "wafv2:CreateWebACL", "wafv2:DeleteWebACL",
        "wafv2:DisassociateWebACL", "wafv2:TagResource", "wafv2:UntagResource", "wafv2:UpdateWebACL",
      ]
      Resource = local.named_ours
    },
  ]

  manage_keys = concat([
    {
      Sid      = "Publish"
      Effect   = "Allow"
      Action   = ["ssm:AddTagsToResource", "ssm:DeleteParameter", "ssm:PutParameter", "ssm:RemoveTagsFromResource"]
      Resource = ["${local.parameters}/app/*", "${local.parameters}/basic/*"]
    },
    {
      Sid       = "CreateTagged"
      Effect    = "Allow"
      Action    = ["acm:AddTagsToCertificate", "acm:RequestCertificate", "aps:CreateRuleGroupsNamespace", "aps:CreateWorkspace", "aps:TagResource", "kms:CreateKey", "kms:TagResource"]
      Resource  = "*"
      Condition = local.created_ours
    },
    {
      Sid    = "ChangeTagged"
      Effect = "Allow"
      Action = [
        "acm:DeleteCertificate", "acm:RemoveTagsFromCertificate", "acm:UpdateCertificateOptions", "aps:CreateAlertManagerDefinition",
        "aps:DeleteAlertManagerDefinition", "aps:DeleteRuleGroupsNamespace", "aps:DeleteWorkspace", "aps:PutAlertManagerDefinition",
        "aps:PutRuleGroupsNamespace", "aps:UntagResource", "aps:UpdateWorkspaceAlias", "kms:CreateAlias", "kms:CreateGrant",
        "kms:DeleteAlias", "kms:DisableKeyRotation", "kms:EnableKeyRotation", "kms:PutKeyPolicy", "kms:RetireGrant", "kms:ScheduleKeyDeletion",
        "kms:UntagResource", "kms:UpdateAlias", "kms:UpdateKeyDescription",
      ]
      Resource  = "*"
      Condition = local.tagged_ours
    },
    { Sid = "NameKeys", Effect = "Allow", Action = ["kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias"], Resource = ["${local.arn_of.kms}:alias/${local.name}", "${local.arn_of.kms}:alias/${local.name}-*"] },
    {
      # A service uses the key for what it creates; the role itself decrypts nothing.
      Sid       = "UseKeysThroughServices"
      Effect    = "Allow"
      Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource  = "*"
      Condition = merge(local.tagged_ours, { StringLike = { "kms:ViaService" = [for service in ["aps", "dynamodb", "secretsmanager"] : "${service}.${var.region}.amazonaws.com"] } })
    },
    # CloudFormation passes the password of the cache on with the rights of the caller.
    { Sid = "PassPassword", Effect = "Allow", Action = "secretsmanager:GetSecretValue", Resource = "${local.arn_of.secretsmanager}:secret:${local.name}/cache_password-*" },
    { Sid = "Unlimited", Effect = "Allow", Action = ["elasticloadbalancing:SetWebAcl", "secretsmanager:GetRandomPassword"], Resource = "*", Condition = local.in_region },
    { Sid = "ManagedRules", Effect = "Allow", Action = ["wafv2:CreateWebACL", "wafv2:UpdateWebACL"], Resource = "${local.arn_of.wafv2}:regional/managedruleset/*/*" },
    { Sid = "StateKeyStays", Effect = "Deny", Action = ["kms:DisableKey", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"], Resource = local.state_key_arn },
    { Sid = "WaitForRecords", Effect = "Allow", Action = "route53:GetChange", Resource = "arn:${local.partition}:route53:::change/*" },
    ], [for domain in var.domain_name[*] : {
      # A zone may hold the names of several environments.
      Sid      = "ChangeRecords"
      Effect   = "Allow"
      Action   = "route53:ChangeResourceRecordSets"
      Resource = "arn:${local.partition}:route53:::hostedzone/*"
      Condition = {
        "ForAllValues:StringLike" = { "route53:ChangeResourceRecordSetsNormalizedRecordNames" = [domain, "*.${domain}"] }
        Null                      = { "route53:ChangeResourceRecordSetsNormalizedRecordNames" = "false" }
      }
  }])

  make_roles = [
    {
      Sid       = "CreateRolesWithinTheBoundary"
      Effect    = "Allow"
      Action    = ["iam:CreateRole", "iam:DeleteRolePolicy", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"]
      Resource  = "${local.arn_of_roles}:role/${local.name}-*"
      Condition = { StringEquals = { "iam:PermissionsBoundary" = aws_iam_policy.boundary.arn } }
    },
    {
      Sid      = "ChangeRoles"
      Effect   = "Allow"
      Action   = ["iam:DeleteRole", "iam:ListInstanceProfilesForRole", "iam:TagRole", "iam:UntagRole", "iam:UpdateAssumeRolePolicy", "iam:UpdateRole", "iam:UpdateRoleDescription"]
      Resource = "${local.arn_of_roles}:role/${local.name}-*"
    },
    {
      Sid       = "PassRoleOfFlowLogs"
      Effect    = "Allow"
      Action    = "iam:PassRole"
      Resource  = "${local.arn_of_roles}:role/${local.name}-flow-logs"
      Condition = { StringEquals = { "iam:PassedToService" = "vpc-flow-logs.amazonaws.com" } }
    },
    {
      Sid      = "ServiceLinkedRoles"
      Effect   = "Allow"
      Action   = "iam:CreateServiceLinkedRole"
      Resource = [for service in ["ecs", "elasticache", "elasticloadbalancing", "wafv2"] : "${local.arn_of_roles}:role/aws-service-role/${service}.amazonaws.com/*"]
    },
    {
      Sid    = "NotItsOwnRights"
      Effect = "Deny"
      Action = [
        "iam:AttachRolePolicy", "iam:DeleteRole", "iam:DeleteRolePermissionsBoundary", "iam:DeleteRolePolicy", "iam:DetachRolePolicy",
        "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy", "iam:TagRole", "iam:UntagRole", "iam:UpdateAssumeRolePolicy",
      ]
      Resource = "${local.arn_of_roles}:role/${local.name}-workflow-*"
    },
    {
      # Tasks are started by `deploy` alone.
      Sid    = "RunNothing"
      Effect = "Deny"
      Action = [
        "ec2:CreateFleet", "ec2:RequestSpotInstances", "ec2:RunInstances", "ecs:CreateService", "ecs:CreateTaskSet", "ecs:ExecuteCommand",
        "ecs:RegisterTaskDefinition", "ecs:RunTask", "ecs:StartTask", "ecs:UpdateService",
      ]
      Resource = "*"
    },
  ]
}
