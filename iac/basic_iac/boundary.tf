# The permissions boundary of all roles of the service. Workflows may create roles only with it, so that
# a changed workflow cannot grant itself the whole account.

resource "aws_iam_policy" "boundary" {
  name        = "${local.name}-boundary"
  description = "The maximum permissions of a role of ${local.name}."
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "People"
        Effect = "Allow"
        Action = [
          "dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:ConditionCheckItem", "dynamodb:DeleteItem", "dynamodb:DescribeTable",
          "dynamodb:GetItem",
          "dynamodb:PutItem", "dynamodb:Query", "dynamodb:Scan", "dynamodb:UpdateItem",
        ]
        Resource = "arn:${local.partition}:dynamodb:${var.region}:${local.account}:table/${local.name}-*"
      },
      {
        Sid       = "Keys"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext"]
        Resource  = "arn:${local.partition}:kms:${var.region}:${local.account}:key/*"
        Condition = local.tagged_ours
      },
      {
        Sid      = "Secrets"
        Effect   = "Allow"
        Action   = "secretsmanager:GetSecretValue"
        Resource = "arn:${local.partition}:secretsmanager:${var.region}:${local.account}:secret:${local.name}/*"
      },
      {
        Sid      = "Logs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        Resource = "${local.arn_of.logs}:log-group:/${local.name}/*"
      },
      {
        Sid      = "Images"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = "arn:${local.partition}:ecr:${var.region}:${local.account}:repository/${local.name}-*"
      },
      {
        Sid      = "NotLimitedToResources"
        Effect   = "Allow"
        Action   = ["ecr:GetAuthorizationToken", "xray:PutTelemetryRecords", "xray:PutTraceSegments"]
        Resource = "*"
      },
      { Sid = "Metrics", Effect = "Allow", Action = "aps:RemoteWrite", Resource = "${local.arn_of.aps}:workspace/*", Condition = local.tagged_ours },
      {
        Sid    = "DescribeTraffic"
        Effect = "Allow"
        Action = [
          "elasticloadbalancing:DescribeListeners", "elasticloadbalancing:DescribeRules", "elasticloadbalancing:DescribeTargetGroups",
          "elasticloadbalancing:DescribeTargetHealth",
        ]
        Resource = "*"
      },
      # In another account, whose bucket admits the backup role alone.
      {
        Sid      = "Backups"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:ListBucket", "s3:PutObject"]
        Resource = ["arn:${local.partition}:s3:::${local.name}-backups-*"]
      },
      {
        Sid    = "MoveTraffic"
        Effect = "Allow"
        Action = ["elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:ModifyRule", "elasticloadbalancing:RegisterTargets"]
        Resource = [
          "${local.arn_of.elasticloadbalancing}:listener-rule/app/${local.name}/*", "${local.arn_of.elasticloadbalancing}:targetgroup/${local.name}-*/*",
        ]
      },
    ]
  })
}
