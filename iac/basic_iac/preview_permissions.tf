# The permissions of the preview role: its resources are named NAME-preview-pr-N (those of the load balancer NAME-pr-N).

locals {
  preview = "${local.name}-preview"

  preview_rights = [
    # Without a condition: `terraform init` lists workspaces, and S3 reports a missing object only to callers that may list the bucket.
    { Sid = "ListStates", Effect = "Allow", Action = "s3:ListBucket", Resource = local.state_bucket },
    { Sid = "KeepItsStates", Effect = "Allow", Action = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], Resource = "${local.state_bucket}/preview/*" },
    { Sid = "OpenStates", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = local.state_key_arn },
    {
      Sid      = "ReadWhatStands"
      Effect   = "Allow"
      Action   = ["ssm:GetParameter", "ssm:ListTagsForResource"]
      Resource = ["${local.parameters}/basic/*", "${local.parameters}/app/*", "${local.parameters}/bootstrap/*", "${local.parameters}/preview/*"]
    },
    { Sid = "Publish", Effect = "Allow", Action = ["ssm:AddTagsToResource", "ssm:DeleteParameter", "ssm:PutParameter", "ssm:RemoveTagsFromResource"], Resource = "${local.parameters}/preview/*" },
    { Sid = "SignIn", Effect = "Allow", Action = "ecr:GetAuthorizationToken", Resource = "*" },
    {
      Sid    = "Push"
      Effect = "Allow"
      Action = [
        "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:InitiateLayerUpload",
        "ecr:PutImage", "ecr:UploadLayerPart",
      ]
      Resource = "arn:${local.partition}:ecr:${var.region}:${local.account}:repository/${local.preview}"
    },
    {
      Sid    = "Tables"
      Effect = "Allow"
      Action = [
        "dynamodb:CreateTable", "dynamodb:DeleteTable", "dynamodb:DescribeContinuousBackups", "dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive",
        "dynamodb:ListTagsOfResource", "dynamodb:TagResource", "dynamodb:UntagResource", "dynamodb:UpdateContinuousBackups", "dynamodb:UpdateTable",
        "dynamodb:UpdateTimeToLive",
      ]
      Resource = "arn:${local.partition}:dynamodb:${var.region}:${local.account}:table/${local.preview}-*"
    },
    {
      Sid      = "Services"
      Effect   = "Allow"
      Action   = ["ecs:CreateService", "ecs:DeleteService", "ecs:DescribeServiceDeployments", "ecs:DescribeServices", "ecs:ListServiceDeployments", "ecs:TagResource", "ecs:UntagResource", "ecs:UpdateService"]
      Resource = [for kind in ["service", "service-deployment"] : "${local.arn_of.ecs}:${kind}/${local.name}/${local.preview}-*"]
    },
    {
      Sid      = "Tasks"
      Effect   = "Allow"
      Action   = ["ecs:RegisterTaskDefinition", "ecs:TagResource", "ecs:UntagResource"]
      Resource = "arn:${local.partition}:ecs:${var.region}:${local.account}:task-definition/${local.preview}-*"
    },
    # Actions that IAM cannot limit to a resource.
    {
      Sid    = "Describe"
      Effect = "Allow"
      Action = [
        "ec2:DescribeInternetGateways", "ec2:DescribeVpcs", "ecs:DescribeTaskDefinition", "elasticloadbalancing:DescribeRules",
        "elasticloadbalancing:DescribeTags", "elasticloadbalancing:DescribeTargetGroupAttributes", "elasticloadbalancing:DescribeTargetGroups",
        "ssm:DescribeParameters",
      ]
      Resource  = "*"
      Condition = local.in_region
    },
    {
      Sid    = "Targets"
      Effect = "Allow"
      Action = [
        "elasticloadbalancing:AddTags", "elasticloadbalancing:CreateTargetGroup", "elasticloadbalancing:DeleteTargetGroup",
        "elasticloadbalancing:ModifyTargetGroup", "elasticloadbalancing:ModifyTargetGroupAttributes", "elasticloadbalancing:RemoveTags",
      ]
      Resource = "arn:${local.partition}:elasticloadbalancing:${var.region}:${local.account}:targetgroup/${local.name}-pr-*/*"
    },
    # A rule is created with the tag of this stack, and other rules cannot be changed. Tags can be set only at creation: otherwise the rule of the
    # service could be tagged and then changed.
    {
      Sid       = "MakeRules"
      Effect    = "Allow"
      Action    = "elasticloadbalancing:CreateRule"
      Resource  = "arn:${local.partition}:elasticloadbalancing:${var.region}:${local.account}:listener/app/${local.name}/*"
      Condition = { StringEquals = { "aws:RequestTag/stack" = "preview" } }
    },
    {
      Sid       = "TagRulesThatAreMade"
      Effect    = "Allow"
      Action    = "elasticloadbalancing:AddTags"
      Resource  = "arn:${local.partition}:elasticloadbalancing:${var.region}:${local.account}:listener-rule/app/${local.name}/*"
      Condition = { StringEquals = { "aws:RequestTag/stack" = "preview", "elasticloadbalancing:CreateAction" = "CreateRule" } }
    },
    {
      Sid       = "ChangeItsRules"
      Effect    = "Allow"
      Action    = ["elasticloadbalancing:DeleteRule", "elasticloadbalancing:ModifyRule", "elasticloadbalancing:SetRulePriorities"]
      Resource  = "arn:${local.partition}:elasticloadbalancing:${var.region}:${local.account}:listener-rule/app/${local.name}/*"
      Condition = { StringEquals = { "aws:ResourceTag/stack" = "preview" } }
    },
    {
      Sid       = "HandOnTheRolesOfPreviews"
      Effect    = "Allow"
      Action    = "iam:PassRole"
      Resource  = [for role in ["task", "execution"] : "arn:${local.partition}:iam::${local.account}:role/${local.preview}-${role}"]
      Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
    },
  ]
}
