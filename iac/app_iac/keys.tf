# Two keys: one for all that holds people (table, cache, their secret, their logs), and one that the service itself uses to seal people's
# fields, so that neither a copy of the table nor whoever may read it shows anybody (PEOPLEINFO_ENCRYPTION).

module "people_key" {
  source      = "../modules/kms_key"
  name        = "${local.name}-people"
  description = "What holds people in ${local.name}: the table, the cache, logs."
  statements = [{
    Sid       = "LogsOfThisEnvironment"
    Effect    = "Allow"
    Principal = { Service = "logs.${var.region}.amazonaws.com" }
    Action    = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
    Resource  = "*"
    Condition = { ArnLike = { "kms:EncryptionContext:aws:logs:arn" = "arn:${local.partition}:logs:${var.region}:${local.account}:log-group:/${local.name}/*" } }
    }, {
    Sid       = "AlarmsToTheirTopic"
    Effect    = "Allow"
    Principal = { Service = ["aps.amazonaws.com", "cloudwatch.amazonaws.com"] }
    Action    = ["kms:Decrypt", "kms:GenerateDataKey*"]
    Resource  = "*"
    Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
  }]
}

module "sealing_key" {
  source      = "../modules/kms_key"
  name        = "${local.name}-sealing"
  description = "Wraps the keys with which the service seals people's fields in ${local.name}."
}
