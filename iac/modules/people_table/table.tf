# A table of records with the schema of the service (src/peopleinfo/stores/dynamodb/schema.py). A test compares the two.

resource "aws_dynamodb_table" "people" {
  name                        = var.name
  billing_mode                = "PAY_PER_REQUEST"
  deletion_protection_enabled = var.protected.from_deletion
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
    projection_type = "KEYS_ONLY"

    key_schema {
      attribute_name = "prefix_pk"
      key_type       = "HASH"
    }
    key_schema {
      attribute_name = "prefix_sk"
      key_type       = "RANGE"
    }
  }

  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }

  dynamic "point_in_time_recovery" {
    for_each = var.protected.recovery_days > 0 ? [1] : []
    content {
      enabled                 = true
      recovery_period_in_days = var.protected.recovery_days
    }
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = var.kms_key_arn
  }
}
