# What `plan` and `infrastructure` read to compare the account with the stacks: settings of each resource, never the content of a table, log or
# secret. tests/iac/test_derived_rights.py derives each action from the resources of the stacks.

locals {
  read_settings = [
    {
      Sid    = "ReadNamed"
      Effect = "Allow"
      Action = [
        "budgets:ListTagsForResource", "budgets:ViewBudget", "cloudformation:DescribeStacks", "cloudformation:GetTemplate", "cloudwatch:DescribeAlarms",
        "cloudwatch:GetDashboard", "cloudwatch:ListTagsForResource", "dynamodb:DescribeContinuousBackups", "dynamodb:DescribeTable",
        "dynamodb:DescribeTimeToLive", "dynamodb:ListTagsOfResource", "ecr:DescribeRepositories", "ecr:GetLifecyclePolicy",
        "ecr:ListTagsForResource", "ecs:DescribeClusters", "ecs:DescribeServiceDeployments", "ecs:DescribeServices",
        "ecs:ListServiceDeployments", "elasticache:DescribeCacheClusters", "elasticache:DescribeCacheParameterGroups",
        "elasticache:DescribeCacheParameters", "elasticache:DescribeCacheSubnetGroups", "elasticache:DescribeReplicationGroups",
        "elasticache:DescribeUserGroups", "elasticache:ListTagsForResource", "logs:ListTagsForResource", "s3:GetAccelerateConfiguration",
        "s3:GetBucketAcl", "s3:GetBucketCORS", "s3:GetBucketLocation", "s3:GetBucketLogging", "s3:GetBucketObjectLockConfiguration",
        "s3:GetBucketOwnershipControls", "s3:GetBucketPolicy", "s3:GetBucketPublicAccessBlock", "s3:GetBucketRequestPayment",
        "s3:GetBucketTagging", "s3:GetBucketVersioning", "s3:GetBucketWebsite", "s3:GetEncryptionConfiguration",
        "s3:GetLifecycleConfiguration", "s3:GetReplicationConfiguration", "s3:ListBucket", "s3:ListTagsForResource",
        "secretsmanager:DescribeSecret", "secretsmanager:GetResourcePolicy", "sns:GetTopicAttributes", "sns:ListTagsForResource",
        "ssm:GetParameter", "ssm:ListTagsForResource", "wafv2:GetWebACL", "wafv2:GetWebACLForResource", "wafv2:ListTagsForResource",
      ]
      Resource = concat(local.named_ours, [
        "${local.arn_of.cloudwatch}:alarm:TargetTracking-service/${local.name}/*", "${local.arn_of.ecs}:service-deployment/${local.name}/*",
        "${local.arn_of.ecs}:service/${local.name}/*", "${local.parameters}/*",
      ])
    },
    {
      Sid    = "ReadTagged"
      Effect = "Allow"
      Action = [
        "acm:DescribeCertificate", "acm:ListTagsForCertificate", "application-autoscaling:ListTagsForResource",
        "aps:DescribeAlertManagerDefinition", "aps:DescribeLoggingConfiguration", "aps:DescribeRuleGroupsNamespace", "aps:DescribeWorkspace",
        "aps:ListTagsForResource", "ec2:DescribeVpcAttribute", "kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus",
        "kms:ListResourceTags",
      ]
      Resource  = "*"
      Condition = local.tagged_ours
    },
    # Actions that IAM cannot limit to a resource.
    {
      Sid    = "List"
      Effect = "Allow"
      Action = [
        "application-autoscaling:DescribeScalableTargets", "application-autoscaling:DescribeScalingPolicies", "ec2:DescribeAddresses",
        "ec2:DescribeAddressesAttribute", "ec2:DescribeFlowLogs", "ec2:DescribeInternetGateways", "ec2:DescribeNatGateways",
        "ec2:DescribeNetworkAcls", "ec2:DescribeNetworkInterfaces", "ec2:DescribePrefixLists", "ec2:DescribeRouteTables",
        "ec2:DescribeSecurityGroupRules", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcEndpoints",
        "ec2:DescribeVpcs", "ecs:DescribeTaskDefinition", "elasticloadbalancing:DescribeCapacityReservation",
        "elasticloadbalancing:DescribeListenerAttributes", "elasticloadbalancing:DescribeListeners",
        "elasticloadbalancing:DescribeLoadBalancerAttributes", "elasticloadbalancing:DescribeLoadBalancers",
        "elasticloadbalancing:DescribeRules", "elasticloadbalancing:DescribeTags", "elasticloadbalancing:DescribeTargetGroupAttributes",
        "elasticloadbalancing:DescribeTargetGroups", "kms:ListAliases", "logs:DescribeLogGroups", "sns:GetSubscriptionAttributes",
        "ssm:DescribeParameters",
      ]
      Resource  = "*"
      Condition = local.in_region
    },
    {
      Sid      = "ReadZones"
      Effect   = "Allow"
      Action   = ["route53:GetHostedZone", "route53:ListResourceRecordSets"]
      Resource = "arn:${local.partition}:route53:::hostedzone/*"
    },
    {
      Sid    = "ReadRoles"
      Effect = "Allow"
      Action = [
        "iam:GetOpenIDConnectProvider", "iam:GetPolicy", "iam:GetPolicyVersion", "iam:GetRole", "iam:GetRolePolicy",
        "iam:ListAttachedRolePolicies", "iam:ListRolePolicies",
      ]
      Resource = [
        "${local.arn_of_roles}:oidc-provider/${local.github_issuer}", "${local.arn_of_roles}:policy/${local.name}-*",
        "${local.arn_of_roles}:role/${local.name}-*",
      ]
    },
  ]
}
