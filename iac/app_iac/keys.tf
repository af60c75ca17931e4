# Two keys: one encrypts all storage with personal data (table, cache, its secret, logs). The service uses the other one to encrypt the
# fields of records, so that a copy of the table or read access to it discloses no personal data (PEOPLEINFO_ENCRYPTION).

module "people_key" {
  source      = "../modules/kms_key"
  name        = "${local.name}-people"
  description = "Storage with personal data in ${local.name}: the table, the cache, logs."
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
  description = "Wraps the keys that encrypt the fields of records in ${local.name}."
}
