# Requests that are blocked before they reach the service.

resource "aws_wafv2_web_acl" "default" {
  name        = var.name
  description = "In front of the load balancer of ${var.name}."
  scope       = "REGIONAL"

  default_action {
    allow {}
  }

  # The path is decoded and lower-cased first: for the service, /%6Detrics is the same path.
  dynamic "rule" {
    for_each = var.metrics_public ? [] : [1]
    content {
      name     = "metrics-are-not-for-the-internet"
      priority = 0
      action {
        block {
          custom_response {
            response_code = 404
          }
        }
      }
      statement {
        byte_match_statement {
          search_string         = "/metrics"
          positional_constraint = "STARTS_WITH"
          field_to_match {
            uri_path {}
          }
          text_transformation {
            priority = 0
            type     = "URL_DECODE"
          }
          text_transformation {
            priority = 1
            type     = "NORMALIZE_PATH"
          }
          text_transformation {
            priority = 2
            type     = "LOWERCASE"
          }
        }
      }
      visibility_config {
        cloudwatch_metrics_enabled = true
        metric_name                = "metrics"
        sampled_requests_enabled   = false
      }
    }
  }

  rule {
    name     = "rate"
    priority = 10
    action {
      block {
        custom_response {
          response_code = 429
          response_header {
            name  = "Retry-After"
            value = "60"
          }
        }
      }
    }
    statement {
      rate_based_statement {
        limit                 = var.requests_per_minute
        evaluation_window_sec = 60
        aggregate_key_type    = "IP"
      }
    }
    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "rate"
      sampled_requests_enabled   = false
    }
  }

  dynamic "rule" {
    for_each = local.managed_rules
    content {
      name     = rule.key
      priority = rule.value.priority
      override_action {
        none {}
      }
      statement {
        managed_rule_group_statement {
          vendor_name = "AWS"
          name        = rule.key
          dynamic "rule_action_override" {
            for_each = rule.value.counted
            content {
              name = rule_action_override.value
              action_to_use {
                count {}
              }
            }
          }
        }
      }
      # Samples would disclose personal data: they contain URL and headers.
      visibility_config {
        cloudwatch_metrics_enabled = true
        metric_name                = rule.key
        sampled_requests_enabled   = false
      }
    }
  }

  visibility_config {
    cloudwatch_metrics_enabled = true
    metric_name                = var.name
    sampled_requests_enabled   = false
  }
}

locals {
  managed_rules = {
    AWSManagedRulesAmazonIpReputationList = { priority = 20, counted = [] }
    AWSManagedRulesKnownBadInputsRuleSet  = { priority = 30, counted = [] }
    # These rules inspect bodies. An import exceeds 8 KB, and custom fields may contain links or markup, which the service returns
    # as JSON and never renders as a page. They only count, so no record is rejected for its content.
    AWSManagedRulesCommonRuleSet = {
      priority = 40
      counted  = ["SizeRestrictions_BODY", "CrossSiteScripting_BODY", "GenericLFI_BODY", "GenericRFI_BODY", "EC2MetaDataSSRF_BODY"]
    }
  }
}
