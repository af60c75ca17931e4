# Storage with personal data is encrypted with the key for people, at rest and in transit, and protected against deletion.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

# It has separate tests, and its plan takes longer than all others.
override_module {
  target  = module.firewall
  outputs = { arn = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/people-info-qa/55555555-5555-5555-5555-555555555555" }
}

variables {
  environment = "qa"
  region      = "eu-west-1"
  endpoint    = { domain_name = "people.example.org", zone_id = "Z0123456789EXAMPLE" }
}

run "by_default" {
  command = plan
  # At rest.
  assert {
    condition     = one(module.people.table.server_side_encryption).enabled && one(module.people.table.server_side_encryption).kms_key_arn == module.people_key.arn
    error_message = "The table is not encrypted with the key for people."
  }
  assert {
    condition     = tobool(aws_elasticache_replication_group.default[0].at_rest_encryption_enabled) && aws_elasticache_replication_group.default[0].kms_key_id == module.people_key.arn
    error_message = "The cache is not encrypted with the key for people."
  }
  assert {
    condition     = alltrue([for group in [aws_cloudwatch_log_group.application, aws_cloudwatch_log_group.audit] : group.kms_key_id == module.people_key.arn])
    error_message = "Logs are not encrypted with the key for people."
  }
  assert {
    condition     = aws_secretsmanager_secret.admin_key.kms_key_id == module.people_key.arn && jsondecode(aws_cloudformation_stack.cache_user[0].template_body).Resources.Password.Properties.KmsKeyId == module.people_key.arn
    error_message = "Secrets are not encrypted with the key for people."
  }
  assert {
    condition     = module.people_key.arn != module.sealing_key.arn && aws_ssm_parameter.published["encryption_url"].insecure_value == "aws-kms://${module.sealing_key.arn}"
    error_message = "A principal that may read the table could decrypt records too."
  }

  assert {
    condition     = aws_dynamodb_table.keys.name == "${module.people.table.name}-keys" && !one(aws_dynamodb_table.keys.point_in_time_recovery).enabled && aws_dynamodb_table.keys.deletion_protection_enabled && one(aws_dynamodb_table.keys.server_side_encryption).kms_key_arn == module.people_key.arn
    error_message = "The keys of erased people can be restored, or the table can be deleted by mistake."
  }

  # In transit to the cache.
  assert {
    condition     = aws_elasticache_replication_group.default[0].transit_encryption_enabled && aws_elasticache_replication_group.default[0].transit_encryption_mode == "required" && startswith(aws_ssm_parameter.published["cache_url"].insecure_value, "rediss://")
    error_message = "The connection to the cache does not use TLS."
  }

  # The cache has one user, and the state contains no password.
  assert {
    condition     = aws_elasticache_replication_group.default[0].user_group_ids == toset([aws_elasticache_user_group.default[0].user_group_id]) && aws_elasticache_user_group.default[0].user_ids == toset(["people-info-qa-service"])
    error_message = "The cache accepts other users than the service."
  }
  assert {
    condition     = jsondecode(aws_cloudformation_stack.cache_user[0].template_body).Resources.User.Properties.Passwords == [{ "Fn::Sub" = "{{resolve:secretsmanager:$${Password}}}" }]
    error_message = "The password is not passed by reference."
  }
  assert {
    condition     = startswith(local.cache_rights, "on ~pi:* -@all ") && !strcontains(local.cache_rights, "+@")
    error_message = "The user of the cache may run more commands than the service sends."
  }

  # Mistaken deletions can be undone.
  assert {
    condition     = try(one(module.people.table.point_in_time_recovery).enabled, false) && module.people.table.deletion_protection_enabled && aws_lb.default.enable_deletion_protection && aws_cloudwatch_log_group.audit.deletion_protection_enabled
    error_message = "The table, the load balancer or the audit log is not protected against deletion, or records cannot be recovered."
  }
  assert {
    condition     = aws_elasticache_replication_group.default[0].multi_az_enabled && aws_elasticache_replication_group.default[0].automatic_failover_enabled && aws_elasticache_replication_group.default[0].num_cache_clusters >= 2
    error_message = "The loss of a zone would lose the cache."
  }
  assert {
    condition     = aws_elasticache_replication_group.default[0].snapshot_retention_limit == 0
    error_message = "A snapshot of the cache would keep erased records."
  }

  # Fences are not evicted.
  assert {
    condition     = one(aws_elasticache_parameter_group.default[0].parameter).name == "maxmemory-policy" && startswith(one(aws_elasticache_parameter_group.default[0].parameter).value, "volatile-")
    error_message = "The cache may evict the fence of a running write."
  }

  # Logs have a retention period.
  assert {
    condition     = aws_cloudwatch_log_group.audit.retention_in_days >= 365 && aws_cloudwatch_log_group.application.retention_in_days == 30
    error_message = "Audit events are kept for less than a year, or the application log never expires."
  }
  assert {
    condition     = length(module.alb_logs) == 1 && one(one(aws_lb.default.access_logs).bucket[*]) == module.alb_logs[0].name
    error_message = "The load balancer writes no access log."
  }
}
