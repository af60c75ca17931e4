mock_provider "aws" {
  override_during = plan
}

variables {
  name                = "people-info-qa"
  requests_per_minute = 6000
}

run "by_default" {
  command = plan
  # Metrics are not public.
  assert {
    condition = anytrue([
      for rule in aws_wafv2_web_acl.default.rule :
      try(one(one(rule.statement).byte_match_statement).search_string == "/metrics" && length(one(rule.action).block) == 1 &&
      contains([for transformation in one(one(rule.statement).byte_match_statement).text_transformation : transformation.type], "URL_DECODE"), false)
    ])
    error_message = "/metrics is reachable from the internet, possibly in another encoding."
  }

  # One address cannot exhaust the service, and no record is rejected for its content.
  assert {
    condition     = anytrue([for rule in aws_wafv2_web_acl.default.rule : try(one(one(rule.statement).rate_based_statement).limit, 0) == var.requests_per_minute])
    error_message = "There is no rate limit per address."
  }
  assert {
    condition = anytrue([
      for rule in aws_wafv2_web_acl.default.rule :
      rule.name == "AWSManagedRulesCommonRuleSet" && contains([for override in try(one(one(rule.statement).managed_rule_group_statement).rule_action_override, []) : override.name], "SizeRestrictions_BODY")
    ])
    error_message = "An import of more than 8 KB would be rejected."
  }
  assert {
    condition     = alltrue([for rule in aws_wafv2_web_acl.default.rule : !one(rule.visibility_config).sampled_requests_enabled])
    error_message = "Samples of requests would disclose personal data."
  }
}

run "metrics_for_everybody_when_that_is_said" {
  command = plan
  variables {
    metrics_public = true
  }
  assert {
    condition     = !contains([for rule in aws_wafv2_web_acl.default.rule : rule.name], "metrics-are-not-for-the-internet")
    error_message = "/metrics stays blocked although the variable allows it."
  }
}
