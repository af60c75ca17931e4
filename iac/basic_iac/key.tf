# The key for data of the platform (images, logs, names of parameters); app_iac has a separate key for personal data.

module "key" {
  source      = "../modules/kms_key"
  name        = local.name
  description = "Images and logs of ${local.name}."
  statements = [{
    Sid       = "LogsOfThisEnvironment"
    Effect    = "Allow"
    Principal = { Service = "logs.${var.region}.amazonaws.com" }
    Action    = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
    Resource  = "*"
    Condition = {
      ArnLike = {
        "kms:EncryptionContext:aws:logs:arn" = "arn:${local.partition}:logs:${var.region}:${local.account}:log-group:/${local.name}/*"
      }
    }
  }]
}
