# What is turned away before it reaches the service.

resource "aws_wafv2_web_acl" "default" {
  name        = var.name
  description = "Before the load balancer of ${var.name}."
  scope       = "REGIONAL"

  default_action {
    allow {}
  }

  # Decoded and lower-cased first: /%6Detrics is the same path to the service.
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
      # Samples would show people: a request holds its URL and its headers.
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
    # These look at bodies. An import is larger than 8 KB, and a person's own members may hold a link or markup, which the service gives back
    # as JSON and never shows as a page: they are counted, and nobody is refused for how an address reads.
    AWSManagedRulesCommonRuleSet = {
      priority = 40
      counted  = ["SizeRestrictions_BODY", "CrossSiteScripting_BODY", "GenericLFI_BODY", "GenericRFI_BODY", "EC2MetaDataSSRF_BODY"]
    }
  }
}
