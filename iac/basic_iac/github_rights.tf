# What the workflows' roles are made of.

locals {
  state_bucket = "arn:${local.partition}:s3:::${local.name}-state-${local.account}"
  here         = { StringEquals = { "aws:RequestedRegion" = var.region } }

  rights = {
    read_state = [
      { Sid = "ListStates", Effect = "Allow", Action = "s3:ListBucket", Resource = local.state_bucket },
      { Sid = "ReadStates", Effect = "Allow", Action = "s3:GetObject", Resource = "${local.state_bucket}/*" },
      { Sid = "OpenStates", Effect = "Allow", Action = "kms:Decrypt", Resource = local.state_key_arn },
    ]

    state = { for stack in ["basic_iac", "app_iac", "deploy_iac"] : stack => [
      { Sid = "List${replace(title(replace(stack, "_", " ")), " ", "")}", Effect = "Allow", Action = "s3:ListBucket", Resource = local.state_bucket },
      {
        Sid      = "Keep${replace(title(replace(stack, "_", " ")), " ", "")}"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject"]
        Resource = ["${local.state_bucket}/${stack}.tfstate", "${local.state_bucket}/${stack}.tfstate.tflock"]
      },
      {
        Sid      = "Unlock${replace(title(replace(stack, "_", " ")), " ", "")}"
        Effect   = "Allow"
        Action   = "s3:DeleteObject"
        Resource = "${local.state_bucket}/${stack}.tfstate.tflock"
      },
      { Sid = "Open${replace(title(replace(stack, "_", " ")), " ", "")}", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = local.state_key_arn },
    ] }

    see_no_people = [{
      Sid    = "SeeNoPeople"
      Effect = "Deny"
      Action = [
        "dynamodb:BatchGetItem", "dynamodb:ExportTableToPointInTime", "dynamodb:GetItem", "dynamodb:GetRecords", "dynamodb:PartiQLSelect",
        "dynamodb:Query", "dynamodb:Scan", "logs:FilterLogEvents", "logs:GetLogEvents", "logs:GetLogRecord", "logs:GetQueryResults",
        "logs:StartLiveTail", "logs:StartQuery", "logs:Unmask",
      ]
      Resource = "*"
      }, {
      # The password of the cache is not among them: CloudFormation hands it on with the rights of who asks it to.
      Sid      = "ReadNoKey"
      Effect   = "Deny"
      Action   = ["secretsmanager:GetSecretValue", "secretsmanager:PutResourcePolicy"]
      Resource = [for name in ["admin_key", "oidc_client_secret", "preview_admin_key"] : "arn:${local.partition}:secretsmanager:${var.region}:${local.account}:secret:${local.name}/${name}-*"]
      }, {
      Sid         = "ReadNoBucketButTheState"
      Effect      = "Deny"
      Action      = "s3:GetObject"
      NotResource = "${local.state_bucket}/*"
    }]

    build = [
      {
        Sid    = "Build"
        Effect = "Allow"
        Action = [
          "acm:*", "application-autoscaling:*", "aps:*", "cloudformation:*", "cloudwatch:*", "ec2:*", "ecr:*", "ecs:*", "elasticache:*",
          "elasticloadbalancing:*", "kms:*", "secretsmanager:*", "sns:*", "ssm:*Parameter*", "ssm:*TagsFor*", "ssm:ListTagsForResource",
          "wafv2:*",
          "dynamodb:CreateTable", "dynamodb:DeleteTable", "dynamodb:Describe*", "dynamodb:List*", "dynamodb:TagResource",
          "dynamodb:UntagResource", "dynamodb:UpdateContinuousBackups", "dynamodb:UpdateTable", "dynamodb:UpdateTimeToLive",
          "logs:AssociateKmsKey", "logs:CreateLogDelivery", "logs:CreateLogGroup", "logs:DeleteLogDelivery", "logs:DeleteLogGroup",
          "logs:Describe*", "logs:GetLogDelivery", "logs:List*", "logs:PutLogGroupDeletionProtection", "logs:PutResourcePolicy", "logs:PutRetentionPolicy", "logs:TagResource",
          "logs:UntagResource", "logs:UpdateLogDelivery", "logs:*MetricFilter",
        ]
        Resource  = "*"
        Condition = local.here
      },
      { Sid = "BuildWhatHasNoRegion", Effect = "Allow", Action = ["budgets:*", "route53:Get*", "route53:List*", "route53:ChangeResourceRecordSets"], Resource = "*" },
      { Sid = "Buckets", Effect = "Allow", Action = "s3:*", Resource = "arn:${local.partition}:s3:::${local.name}-alb-logs-*" },
      {
        # What runs is `deploy`'s business.
        Sid    = "RunNothing"
        Effect = "Deny"
        Action = [
          "ec2:CreateFleet", "ec2:RequestSpotInstances", "ec2:RunInstances", "ecs:CreateService", "ecs:CreateTaskSet", "ecs:ExecuteCommand",
          "ecs:RegisterTaskDefinition", "ecs:RunTask", "ecs:StartTask", "ecs:UpdateService",
        ]
        Resource = "*"
      },
      {
        Sid      = "TheStateKeyStays"
        Effect   = "Deny"
        Action   = ["kms:DisableKey", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"]
        Resource = local.state_key_arn
      },
    ]

    make_roles = [
      {
        Sid    = "ReadRoles"
        Effect = "Allow"
        Action = ["iam:Get*", "iam:List*"]
        Resource = [
          "arn:${local.partition}:iam::${local.account}:role/${local.name}-*", "arn:${local.partition}:iam::${local.account}:policy/${local.name}-*",
          "arn:${local.partition}:iam::${local.account}:oidc-provider/*",
        ]
      },
      {
        Sid       = "MakeRolesWithinTheBoundary"
        Effect    = "Allow"
        Action    = ["iam:AttachRolePolicy", "iam:CreateRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"]
        Resource  = "arn:${local.partition}:iam::${local.account}:role/${local.name}-*"
        Condition = { StringEquals = { "iam:PermissionsBoundary" = aws_iam_policy.boundary.arn } }
      },
      {
        Sid      = "ChangeRoles"
        Effect   = "Allow"
        Action   = ["iam:DeleteRole", "iam:TagRole", "iam:UntagRole", "iam:UpdateAssumeRolePolicy", "iam:UpdateRole", "iam:UpdateRoleDescription"]
        Resource = "arn:${local.partition}:iam::${local.account}:role/${local.name}-*"
      },
      {
        Sid      = "HandRolesToServices"
        Effect   = "Allow"
        Action   = "iam:PassRole"
        Resource = "arn:${local.partition}:iam::${local.account}:role/${local.name}-*"
        Condition = { StringEquals = { "iam:PassedToService" = [
          "ecs-tasks.amazonaws.com", "ecs.amazonaws.com", "vpc-flow-logs.amazonaws.com",
        ] } }
      },
      {
        Sid    = "RolesOfAwsItself"
        Effect = "Allow"
        Action = "iam:CreateServiceLinkedRole"
        Resource = [for service in ["ecs", "ecs.application-autoscaling", "elasticache", "elasticloadbalancing", "wafv2"] :
        "arn:${local.partition}:iam::${local.account}:role/aws-service-role/${service}.amazonaws.com/*"]
      },
      {
        Sid    = "NotItsOwnRights"
        Effect = "Deny"
        Action = [
          "iam:AttachRolePolicy", "iam:DeleteRole", "iam:DeleteRolePermissionsBoundary", "iam:DeleteRolePolicy", "iam:DetachRolePolicy",
          "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy",
        ]
        Resource = "arn:${local.partition}:iam::${local.account}:role/${local.name}-workflow-*"
      },
    ]

    push = [
      { Sid = "SignIn", Effect = "Allow", Action = "ecr:GetAuthorizationToken", Resource = "*" },
      {
        Sid    = "Push"
        Effect = "Allow"
        Action = [
          "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:DescribeImages",
          "ecr:DescribeImageScanFindings", "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart",
        ]
        Resource = aws_ecr_repository.default.arn
      },
      { Sid = "ReadWhereTo", Effect = "Allow", Action = ["ssm:GetParameter", "ssm:GetParameters"], Resource = "${local.parameters}/basic/*" },
    ]

    deploy = [
      {
        Sid      = "ReadWhatStands"
        Effect   = "Allow"
        Action   = ["ssm:GetParameter", "ssm:GetParameters", "ssm:ListTagsForResource"]
        Resource = ["${local.parameters}/basic/*", "${local.parameters}/app/*", "${local.parameters}/deploy/*"]
      },
      { Sid = "KnowWhatRanBefore", Effect = "Allow", Action = "ssm:GetParameterHistory", Resource = "${local.parameters}/deploy/*" },
      { Sid = "Publish", Effect = "Allow", Action = ["ssm:PutParameter", "ssm:DeleteParameter", "ssm:AddTagsToResource"], Resource = "${local.parameters}/deploy/*" },
      {
        Sid      = "Service"
        Effect   = "Allow"
        Action   = ["ecs:CreateService", "ecs:DeleteService", "ecs:DescribeServices", "ecs:UpdateService", "ecs:TagResource", "ecs:UntagResource"]
        Resource = "arn:${local.partition}:ecs:${var.region}:${local.account}:service/${local.name}/*"
      },
      {
        Sid      = "Tasks"
        Effect   = "Allow"
        Action   = ["ecs:RegisterTaskDefinition", "ecs:TagResource"]
        Resource = "arn:${local.partition}:ecs:${var.region}:${local.account}:task-definition/${local.name}-api:*"
      },
      {
        Sid      = "RoleOfTheAutoscalingItself"
        Effect   = "Allow"
        Action   = "iam:CreateServiceLinkedRole"
        Resource = "arn:${local.partition}:iam::${local.account}:role/aws-service-role/ecs.application-autoscaling.amazonaws.com/*"
      },
      {
        Sid    = "DescribeAndScale"
        Effect = "Allow"
        Action = [
          "application-autoscaling:*", "cloudwatch:DescribeAlarms", "cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms",
          "ecs:DeregisterTaskDefinition", "ecs:DescribeClusters", "ecs:DescribeServiceDeployments", "ecs:DescribeTaskDefinition",
          "ecs:DescribeTasks", "ecs:ListServiceDeployments", "ecs:ListTasks",
          "elasticloadbalancing:Describe*", "ssm:DescribeParameters",
        ]
        Resource  = "*"
        Condition = local.here
      },
      {
        Sid       = "HandOnTheRolesOfTheTask"
        Effect    = "Allow"
        Action    = "iam:PassRole"
        Resource  = [for role in ["task", "execution", "blue-green"] : "arn:${local.partition}:iam::${local.account}:role/${local.name}-${role}"]
        Condition = { StringEquals = { "iam:PassedToService" = ["ecs-tasks.amazonaws.com", "ecs.amazonaws.com"] } }
      },
      { Sid = "SeeImages", Effect = "Allow", Action = ["ecr:DescribeImages", "ecr:BatchGetImage"], Resource = aws_ecr_repository.default.arn },
    ]
  }

  parameters = "arn:${local.partition}:ssm:${var.region}:${local.account}:parameter/${local.name}"
}
