# Optional resources of previews (preview_iac): their own roles, key and log, and the host names under which
# they are reachable. Previews run unreviewed code, so none of these resources has access to the environment.

resource "aws_iam_role" "preview" {
  for_each             = toset(var.previews ? ["task", "execution"] : [])
  name                 = "${local.name}-preview-${each.key}"
  description          = "Previews of branches of ${local.name}."
  permissions_boundary = local.basic["boundary_arn"]
  assume_role_policy   = jsonencode({ Version = "2012-10-17", Statement = local.by_tasks })
}

resource "aws_iam_role_policy" "preview" {
  for_each = aws_iam_role.preview
  name     = "preview"
  role     = each.value.id
  policy   = jsonencode({ Version = "2012-10-17", Statement = local.preview_rights[each.key] })
}

resource "aws_ecr_repository" "preview" {
  count                = var.previews ? 1 : 0
  name                 = "${local.name}-preview"
  image_tag_mutability = "IMMUTABLE"
  force_delete         = true
  image_scanning_configuration {
    scan_on_push = true
  }
  encryption_configuration {
    encryption_type = "KMS"
  }
}

resource "aws_ecr_lifecycle_policy" "preview" {
  count      = var.previews ? 1 : 0
  repository = aws_ecr_repository.preview[0].name
  policy = jsonencode({ rules = [{
    rulePriority = 1
    description  = "Previews live for days."
    selection    = { tagStatus = "any", countType = "sinceImagePushed", countUnit = "days", countNumber = 14 }
    action       = { type = "expire" }
  }] })
}

# An operator sets its value; it must differ from the admin key of the environment.
resource "aws_secretsmanager_secret" "preview_admin_key" {
  count                   = var.previews ? 1 : 0
  name                    = "${local.name}/preview_admin_key"
  description             = "The admin key of every preview (PEOPLEINFO_ADMIN_KEY)."
  kms_key_id              = module.people_key.arn
  recovery_window_in_days = 7
}

resource "aws_cloudwatch_log_group" "preview" {
  count             = var.previews ? 1 : 0
  name              = "/${local.name}/preview"
  retention_in_days = 14
  kms_key_id        = module.people_key.arn
}

# The security group of the service would give access to the cache.
resource "aws_security_group" "preview" {
  count       = var.previews ? 1 : 0
  name        = "${local.name}-preview"
  description = "Previews of branches."
  vpc_id      = local.basic["vpc_id"]
  tags        = { Name = "${local.name}-preview" }
}

resource "aws_vpc_security_group_ingress_rule" "preview_from_alb" {
  count                        = var.previews ? 1 : 0
  security_group_id            = aws_security_group.preview[0].id
  description                  = "Requests from the load balancer."
  referenced_security_group_id = aws_security_group.alb.id
  ip_protocol                  = "tcp"
  from_port                    = local.service_port
  to_port                      = local.service_port
}

resource "aws_vpc_security_group_egress_rule" "alb_to_preview" {
  count                        = var.previews ? 1 : 0
  security_group_id            = aws_security_group.alb.id
  description                  = "Requests to previews."
  referenced_security_group_id = aws_security_group.preview[0].id
  ip_protocol                  = "tcp"
  from_port                    = local.service_port
  to_port                      = local.service_port
}

#trivy:ignore:AVD-AWS-0104 Port 443 alone, for DynamoDB, ECR, logs and secrets.
resource "aws_vpc_security_group_egress_rule" "preview_to_https" {
  count             = var.previews ? 1 : 0
  security_group_id = aws_security_group.preview[0].id
  description       = "HTTPS to AWS."
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

# pr-7.DOMAIN and so on; certificate.tf has the certificate.
resource "aws_route53_record" "previews" {
  count   = var.previews ? 1 : 0
  zone_id = var.endpoint.zone_id
  name    = "*.${var.endpoint.domain_name}"
  type    = "A"
  alias {
    name                   = aws_lb.default.dns_name
    zone_id                = aws_lb.default.zone_id
    evaluate_target_health = true
  }
}

locals {
  preview_tables = "arn:${local.partition}:dynamodb:${var.region}:${local.account}:table/${local.name}-preview-*"
  preview_rights = {
    task = [
      {
        Sid    = "PeopleOfPreviews"
        Effect = "Allow"
        Action = [
          "dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query",
          "dynamodb:Scan", "dynamodb:UpdateItem",
        ]
        Resource = local.preview_tables
      },
    ]
    execution = [
      { Sid = "SignIn", Effect = "Allow", Action = "ecr:GetAuthorizationToken", Resource = "*" },
      {
        Sid      = "Pull"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = aws_ecr_repository.preview[*].arn
      },
      { Sid = "WriteLogs", Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = "arn:${local.partition}:logs:${var.region}:${local.account}:log-group:/${local.name}/preview:*" },
      { Sid = "ReadItsKey", Effect = "Allow", Action = "secretsmanager:GetSecretValue", Resource = aws_secretsmanager_secret.preview_admin_key[*].arn },
      {
        Sid      = "OpenItsKey"
        Effect   = "Allow"
        Action   = "kms:Decrypt"
        Resource = module.people_key.arn
        Condition = {
          StringEquals = { "kms:ViaService" = "secretsmanager.${var.region}.amazonaws.com" }
          StringLike   = { "kms:EncryptionContext:SecretARN" = "arn:${local.partition}:secretsmanager:${var.region}:${local.account}:secret:${local.name}/preview_admin_key-*" }
        }
      },
    ]
  }
}
