# Two roles. ECS uses the execution role to start a task: image, logs, secrets. The service uses the task role, which allows exactly
# the calls of the code; tests/iac/test_rights.py records them from the real store.

resource "aws_iam_role" "execution" {
  name                 = "${local.name}-execution"
  description          = "Starts the tasks of ${local.name}."
  permissions_boundary = local.basic["boundary_arn"]
  assume_role_policy   = jsonencode({ Version = "2012-10-17", Statement = local.by_tasks })
}

resource "aws_iam_role_policy" "execution" {
  name = "start"
  role = aws_iam_role.execution.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Sid = "SignIn", Effect = "Allow", Action = "ecr:GetAuthorizationToken", Resource = "*" },
      {
        Sid      = "Pull"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = local.basic["ecr_repository_arn"]
      },
      {
        Sid    = "WriteLogs"
        Effect = "Allow"
        Action = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = [for group in ["application", "audit"] :
        "arn:${local.partition}:logs:${var.region}:${local.account}:log-group:/${local.name}/${group}:*"]
      },
      { Sid = "ReadSecrets", Effect = "Allow", Action = "secretsmanager:GetSecretValue", Resource = compact(concat([aws_secretsmanager_secret.admin_key.arn, local.cache_password_arn], aws_secretsmanager_secret.oidc_client_secret[*].arn)) },
      {
        Sid       = "OpenSecrets"
        Effect    = "Allow"
        Action    = "kms:Decrypt"
        Resource  = module.people_key.arn
        Condition = { StringEquals = { "kms:ViaService" = "secretsmanager.${var.region}.amazonaws.com" } }
      },
    ]
  })
}

resource "aws_iam_role" "task" {
  name                 = "${local.name}-task"
  description          = "The service of ${local.name}."
  permissions_boundary = local.basic["boundary_arn"]
  assume_role_policy   = jsonencode({ Version = "2012-10-17", Statement = concat(local.by_tasks, var.kubernetes ? local.by_pods : []) })
}

resource "aws_iam_role_policy" "task" {
  name = "serve"
  role = aws_iam_role.task.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid    = "People"
          Effect = "Allow"
          Action = [
            "dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:DeleteItem", "dynamodb:GetItem",
            "dynamodb:PutItem", "dynamodb:Query", "dynamodb:Scan", "dynamodb:UpdateItem",
          ]
          Resource = module.people.table.arn
        },
        {
          # Keys of encrypted records (deploy_iac: encryption); an undo of a merge updates one. A key rotation also needs Scan, and is run by an operator.
          Sid    = "TheirKeys"
          Effect = "Allow"
          Action = [
            "dynamodb:BatchGetItem", "dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem",
          ]
          Resource = aws_dynamodb_table.keys.arn
        },
        { Sid = "FindByPrefix", Effect = "Allow", Action = "dynamodb:Query", Resource = "${module.people.table.arn}/index/prefixes" },
        {
          Sid       = "OpenTheTable"
          Effect    = "Allow"
          Action    = "kms:Decrypt"
          Resource  = module.people_key.arn
          Condition = { StringEquals = { "kms:ViaService" = "dynamodb.${var.region}.amazonaws.com" } }
        },
        {
          Sid       = "Seal"
          Effect    = "Allow"
          Action    = ["kms:Decrypt", "kms:Encrypt"]
          Resource  = module.sealing_key.arn
          Condition = { StringEquals = { "kms:EncryptionContext:service" = "peopleinfo" } }
        },
      ],
      [for workspace in aws_prometheus_workspace.default : { Sid = "WriteMetrics", Effect = "Allow", Action = "aps:RemoteWrite", Resource = workspace.arn }],
      var.traces ? [{ Sid = "WriteTraces", Effect = "Allow", Action = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"], Resource = "*" }] : [],
    )
  })
}

# ECS uses it to shift traffic between blue and green.
resource "aws_iam_role" "blue_green" {
  name                 = "${local.name}-blue-green"
  description          = "Shifts traffic in blue/green deployments of ${local.name}."
  permissions_boundary = local.basic["boundary_arn"]
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "ecs.amazonaws.com" }, Action = "sts:AssumeRole", Condition = { StringEquals = { "aws:SourceAccount" = local.account } } }]
  })
}

resource "aws_iam_role_policy" "blue_green" {
  name = "move"
  role = aws_iam_role.blue_green.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Look"
        Effect = "Allow"
        Action = [
          "elasticloadbalancing:DescribeListeners", "elasticloadbalancing:DescribeRules",
          "elasticloadbalancing:DescribeTargetGroups", "elasticloadbalancing:DescribeTargetHealth",
        ]
        Resource = "*"
      },
      {
        Sid      = "Targets"
        Effect   = "Allow"
        Action   = ["elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:RegisterTargets"]
        Resource = [for group in aws_lb_target_group.default : group.arn]
      },
      { Sid = "Traffic", Effect = "Allow", Action = "elasticloadbalancing:ModifyRule", Resource = aws_lb_listener_rule.service.arn },
    ]
  })
}

locals {
  cache_password_arn = one(flatten([for stack in aws_cloudformation_stack.cache_user : values(stack.outputs)]))
  by_tasks = [{
    Effect    = "Allow"
    Principal = { Service = "ecs-tasks.amazonaws.com" }
    Action    = "sts:AssumeRole"
    Condition = {
      StringEquals = { "aws:SourceAccount" = local.account }
      ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:ecs:${var.region}:${local.account}:*" }
    }
  }]
  by_pods = [{
    Effect    = "Allow"
    Principal = { Service = "pods.eks.amazonaws.com" }
    Action    = ["sts:AssumeRole", "sts:TagSession"]
    Condition = {
      StringEquals = { "aws:SourceAccount" = local.account }
      ArnEquals    = { "aws:SourceArn" = "arn:${local.partition}:eks:${var.region}:${local.account}:cluster/${local.name}" }
    }
  }]
}
