# The permissions of the workflow roles.

locals {
  state_bucket = "arn:${local.partition}:s3:::${local.name}-state-${local.account}"

  rights = {
    manage_keys    = local.manage_keys
    manage_network = local.manage_network
    manage_service = local.manage_service
    make_roles     = local.make_roles
    read_settings  = local.read_settings

    read_state = [
      { Sid = "ListStates", Effect = "Allow", Action = "s3:ListBucket", Resource = local.state_bucket },
      { Sid = "ReadStates", Effect = "Allow", Action = "s3:GetObject", Resource = "${local.state_bucket}/*" },
      { Sid = "DecryptStates", Effect = "Allow", Action = "kms:Decrypt", Resource = local.state_key_arn },
    ]

    state = { for stack in ["basic_iac", "app_iac", "deploy_iac"] : stack => [
      { Sid = "List${replace(title(replace(stack, "_", " ")), " ", "")}", Effect = "Allow", Action = "s3:ListBucket", Resource = local.state_bucket },
      {
        Sid      = "Write${replace(title(replace(stack, "_", " ")), " ", "")}"
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
      { Sid = "Encrypt${replace(title(replace(stack, "_", " ")), " ", "")}", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = local.state_key_arn },
    ] }

    hide_people = [{
      Sid    = "ReadNoPeople"
      Effect = "Deny"
      Action = [
        "dynamodb:BatchGetItem", "dynamodb:ExportTableToPointInTime", "dynamodb:GetItem", "dynamodb:GetRecords", "dynamodb:PartiQLSelect",
        "dynamodb:Query", "dynamodb:Scan", "logs:FilterLogEvents", "logs:GetLogEvents", "logs:GetLogRecord", "logs:GetQueryResults",
        "logs:StartLiveTail", "logs:StartQuery", "logs:Unmask",
      ]
      Resource = "*"
      }, {
      # Every secret except the password of the cache, which CloudFormation reads with the permissions of the caller.
      Sid         = "ReadNoSecret"
      Effect      = "Deny"
      Action      = ["secretsmanager:BatchGetSecretValue", "secretsmanager:GetSecretValue", "secretsmanager:PutResourcePolicy"]
      NotResource = "${local.arn_of.secretsmanager}:secret:${local.name}/cache_password-*"
      }, {
      Sid         = "ReadNoBucketButTheState"
      Effect      = "Deny"
      Action      = "s3:GetObject"
      NotResource = "${local.state_bucket}/*"
    }]

    push = [
      { Sid = "SignIn", Effect = "Allow", Action = "ecr:GetAuthorizationToken", Resource = "*" },
      {
        Sid    = "Push"
        Effect = "Allow"
        Action = [
          "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:DescribeImageScanFindings",
          "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart",
        ]
        Resource = aws_ecr_repository.default.arn
      },
      { Sid = "ReadParameters", Effect = "Allow", Action = "ssm:GetParameter", Resource = ["${local.parameters}/basic/*", "${local.parameters}/deploy/image_version"] },
    ]

    deploy = [
      {
        Sid      = "ReadParameters"
        Effect   = "Allow"
        Action   = ["ssm:GetParameter", "ssm:ListTagsForResource"]
        Resource = [for stack in ["bootstrap", "basic", "app", "deploy"] : "${local.parameters}/${stack}/*"]
      },
      { Sid = "ReadVersions", Effect = "Allow", Action = "ecr:DescribeImages", Resource = aws_ecr_repository.default.arn },
      { Sid = "ReadPreviousVersion", Effect = "Allow", Action = "ssm:GetParameterHistory", Resource = "${local.parameters}/deploy/*" },
      { Sid = "Publish", Effect = "Allow", Action = ["ssm:AddTagsToResource", "ssm:DeleteParameter", "ssm:PutParameter", "ssm:RemoveTagsFromResource"], Resource = "${local.parameters}/deploy/*" },
      {
        Sid    = "Service"
        Effect = "Allow"
        Action = [
          "ecs:CreateService", "ecs:DeleteService", "ecs:DescribeServiceDeployments", "ecs:DescribeServices", "ecs:ListServiceDeployments",
          "ecs:TagResource", "ecs:UntagResource", "ecs:UpdateService",
        ]
        Resource = ["${local.arn_of.ecs}:service/${local.name}/*", "${local.arn_of.ecs}:service-deployment/${local.name}/*"]
      },
      {
        Sid      = "Tasks"
        Effect   = "Allow"
        Action   = ["ecs:RegisterTaskDefinition", "ecs:TagResource", "ecs:UntagResource"]
        Resource = "${local.arn_of.ecs}:task-definition/${local.name}-api:*"
      },
      {
        Sid      = "RoleOfTheAutoscalingItself"
        Effect   = "Allow"
        Action   = "iam:CreateServiceLinkedRole"
        Resource = "${local.arn_of_roles}:role/aws-service-role/ecs.application-autoscaling.amazonaws.com/*"
      },
      { Sid = "CreateTarget", Effect = "Allow", Action = ["application-autoscaling:RegisterScalableTarget", "application-autoscaling:TagResource"], Resource = "*", Condition = local.created_ours },
      {
        Sid    = "ChangeTarget"
        Effect = "Allow"
        Action = [
          "application-autoscaling:DeleteScalingPolicy", "application-autoscaling:DeregisterScalableTarget", "application-autoscaling:ListTagsForResource",
          "application-autoscaling:PutScalingPolicy", "application-autoscaling:RegisterScalableTarget", "application-autoscaling:UntagResource",
        ]
        Resource  = "*"
        Condition = local.tagged_ours
      },
      # Target tracking creates its alarms with the permissions of the caller.
      {
        Sid      = "AlarmsOfTheAutoscaling"
        Effect   = "Allow"
        Action   = ["cloudwatch:DeleteAlarms", "cloudwatch:DescribeAlarms", "cloudwatch:PutMetricAlarm"]
        Resource = ["${local.arn_of.cloudwatch}:alarm:${local.name}-*", "${local.arn_of.cloudwatch}:alarm:TargetTracking-service/${local.name}/*"]
      },
      # Actions that IAM cannot limit to a resource.
      {
        Sid       = "Describe"
        Effect    = "Allow"
        Action    = ["application-autoscaling:DescribeScalableTargets", "application-autoscaling:DescribeScalingPolicies", "ecs:DescribeTaskDefinition", "ssm:DescribeParameters"]
        Resource  = "*"
        Condition = local.in_region
      },
      {
        Sid       = "PassRolesOfTheTask"
        Effect    = "Allow"
        Action    = "iam:PassRole"
        Resource  = [for role in ["task", "execution"] : "${local.arn_of_roles}:role/${local.name}-${role}"]
        Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
      },
      {
        Sid       = "PassRoleOfTheTraffic"
        Effect    = "Allow"
        Action    = "iam:PassRole"
        Resource  = "${local.arn_of_roles}:role/${local.name}-blue-green"
        Condition = { StringEquals = { "iam:PassedToService" = "ecs.amazonaws.com" } }
      },
    ]
  }
}
