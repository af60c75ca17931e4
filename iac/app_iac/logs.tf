resource "aws_cloudwatch_log_group" "application" {
  name              = "/${local.name}/application"
  retention_in_days = var.log_days.application
  kms_key_id        = module.people_key.arn
}

# The audit log. A task may append to it; no role of the service may read, change or delete it.
resource "aws_cloudwatch_log_group" "audit" {
  name                        = "/${local.name}/audit"
  retention_in_days           = var.log_days.audit
  kms_key_id                  = module.people_key.arn
  deletion_protection_enabled = var.deletion_protection
}
