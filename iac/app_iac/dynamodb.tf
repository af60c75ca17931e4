# The tables, as the service's own description has them (src/peopleinfo/dynamodb/schema.py). A test compares the two.

resource "aws_dynamodb_table" "people" {
  name                        = "${local.name}-people"
  billing_mode                = "PAY_PER_REQUEST"
  deletion_protection_enabled = var.deletion_protection
  hash_key                    = "pk"
  range_key                   = "sk"

  attribute {
    name = "pk"
    type = "B"
  }
  attribute {
    name = "sk"
    type = "B"
  }
  attribute {
    name = "prefix_pk"
    type = "S"
  }
  attribute {
    name = "prefix_sk"
    type = "B"
  }

  global_secondary_index {
    name            = "prefixes"
    hash_key        = "prefix_pk"
    range_key       = "prefix_sk"
    projection_type = "KEYS_ONLY"
  }

  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }

  point_in_time_recovery {
    enabled                 = true
    recovery_period_in_days = 35
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = module.people_key.arn
  }
}
