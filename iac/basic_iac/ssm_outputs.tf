# Parameters for the next stacks and the workflows.

resource "aws_ssm_parameter" "published" {
  for_each       = local.published
  name           = "/${local.name}/basic/${each.key}"
  type           = "String"
  insecure_value = each.value
}

locals {
  published = {
    boundary_arn       = aws_iam_policy.boundary.arn
    ecr_repository_arn = aws_ecr_repository.default.arn
    ecr_repository_url = aws_ecr_repository.default.repository_url
    ecs_cluster_name   = aws_ecs_cluster.default.name
    private_subnet_ids = join(",", [for letter in var.zones : aws_subnet.private[letter].id])
    profile            = var.profile
    public_cidrs       = join(",", [for letter in var.zones : aws_subnet.public[letter].cidr_block])
    public_subnet_ids  = join(",", [for letter in var.zones : aws_subnet.public[letter].id])
    service_public_ip  = tostring(local.nat == "none")
    service_subnet_ids = join(",", [for letter in var.zones : local.nat == "none" ? aws_subnet.public[letter].id : aws_subnet.private[letter].id])
    vpc_cidr           = aws_vpc.default.cidr_block
    vpc_id             = aws_vpc.default.id
  }
}

output "published" {
  description = "The parameters for the next stacks and the workflows, by their names in the parameter store."
  value       = { for key, parameter in aws_ssm_parameter.published : parameter.name => parameter.insecure_value }
}

output "workflow_role_arns" {
  description = "The roles of the GitHub workflows, by task."
  value       = { for task, role in aws_iam_role.workflow : task => role.arn }
}
