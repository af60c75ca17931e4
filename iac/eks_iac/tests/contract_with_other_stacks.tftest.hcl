# The chart receives the parameters of the other stacks.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  environment    = "qa"
  region         = "eu-west-1"
  administrators = ["arn:aws:iam::123456789012:role/platform"]
}

run "by_default" {
  assert {
    condition = yamldecode(output.values) == {
      image = { repository = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/people-info-qa-api" }
      ingress = {
        className = "alb"
        annotations = {
          "alb.ingress.kubernetes.io/scheme"                   = "internet-facing"
          "alb.ingress.kubernetes.io/target-type"              = "ip"
          "alb.ingress.kubernetes.io/listen-ports"             = "[{\"HTTPS\":443}]"
          "alb.ingress.kubernetes.io/ssl-policy"               = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"
          "alb.ingress.kubernetes.io/certificate-arn"          = "arn:aws:acm:eu-west-1:123456789012:certificate/44444444-4444-4444-4444-444444444444"
          "alb.ingress.kubernetes.io/healthcheck-path"         = "/status/live"
          "alb.ingress.kubernetes.io/load-balancer-attributes" = "access_logs.s3.bucket=people-info-qa-alb-logs-123456789012,access_logs.s3.enabled=true,idle_timeout.timeout_seconds=60,routing.http.desync_mitigation_mode=strictest,routing.http.drop_invalid_header_fields.enabled=true"
          "alb.ingress.kubernetes.io/target-group-attributes"  = "deregistration_delay.timeout_seconds=60,load_balancing.algorithm.type=least_outstanding_requests"
          "alb.ingress.kubernetes.io/wafv2-acl-arn"            = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/people-info-qa/55555555-5555-5555-5555-555555555555"
        }
      }
      networkPolicy = { from = [
        { ipBlock = { cidr = "10.20.0.0/22" } }, { ipBlock = { cidr = "10.20.4.0/22" } }, { ipBlock = { cidr = "10.20.8.0/22" } },
        { namespaceSelector = { matchLabels = { "kubernetes.io/metadata.name" = "monitoring" } } },
      ] }
      settings = {
        cache      = "rediss://master.people-info-qa.abc123.euw1.cache.amazonaws.com:6379"
        cache_user = "people-info-qa-service"
        encryption = "aws-kms://arn:aws:kms:eu-west-1:123456789012:key/33333333-3333-3333-3333-333333333333"
        store      = "dynamodb://eu-west-1/people-info-qa-people"
      }
    }
    error_message = "The settings of the chart differ from the parameters of the other stacks."
  }
  assert {
    condition     = aws_eks_addon.metrics_server.addon_name == "metrics-server"
    error_message = "Pods have no metrics, so the autoscaler of the chart never adds one."
  }
  assert {
    condition     = aws_eks_pod_identity_association.people.role_arn == "arn:aws:iam::123456789012:role/people-info-qa-task" && aws_eks_pod_identity_association.people.namespace == "people-info" && aws_eks_pod_identity_association.people.service_account == "people"
    error_message = "Pods do not have the role of the tasks, or other pods have it too."
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.cache_from_pods.security_group_id == "sg-01234567890cache" && aws_vpc_security_group_ingress_rule.cache_from_pods.referenced_security_group_id == one(aws_eks_cluster.default.vpc_config).cluster_security_group_id && aws_vpc_security_group_ingress_rule.cache_from_pods.cidr_ipv4 == null
    error_message = "Pods do not reach the cache, or other sources do."
  }
}

# tests/iac/test_stacks.py checks this plan.
run "applied_again_it_changes_nothing" {
  command = plan
}

run "a_network_without_a_nat_gateway_is_refused" {
  command = plan
  override_data {
    target = data.aws_ssm_parameter.basic["service_public_ip"]
    values = { insecure_value = "true" }
  }
  expect_failures = [aws_eks_cluster.default]
}
