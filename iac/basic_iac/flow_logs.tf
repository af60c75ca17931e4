# Flow logs of the VPC (addresses and ports, no content).

resource "aws_flow_log" "default" {
  vpc_id               = aws_vpc.default.id
  traffic_type         = "ALL"
  log_destination_type = "cloud-watch-logs"
  log_destination      = aws_cloudwatch_log_group.flow.arn
  iam_role_arn         = aws_iam_role.flow.arn
  tags                 = { Name = local.name }
}

resource "aws_cloudwatch_log_group" "flow" {
  name              = "/${local.name}/flow"
  retention_in_days = var.log_days
  kms_key_id        = module.key.arn
}

resource "aws_iam_role" "flow" {
  name                 = "${local.name}-flow-logs"
  description          = "Writes the flow logs of the VPC."
  permissions_boundary = aws_iam_policy.boundary.arn
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "vpc-flow-logs.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role_policy" "flow" {
  name = "write"
  role = aws_iam_role.flow.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
      Resource = "arn:${local.partition}:logs:${var.region}:${local.account}:log-group:/${local.name}/flow:*"
    }]
  })
}
