# The load balancer. Port 443 serves; port 80 redirects to it, or serves in a trial without a certificate.

#trivy:ignore:AVD-AWS-0053 The load balancer is public on purpose; `clients` restricts the addresses.
resource "aws_lb" "default" {
  name                       = local.name
  load_balancer_type         = "application"
  internal                   = false
  subnets                    = slice(local.public, 0, local.profile.balancer_zones) # each has a public IPv4 address, which AWS charges for
  security_groups            = [aws_security_group.alb.id]
  drop_invalid_header_fields = true
  desync_mitigation_mode     = "strictest"
  enable_deletion_protection = var.deletion_protection
  idle_timeout               = local.idle_seconds

  dynamic "access_logs" {
    for_each = module.alb_logs
    content {
      enabled = true
      bucket  = access_logs.value.name
    }
  }
}

resource "aws_lb_listener" "https" {
  count             = local.has_https ? 1 : 0
  load_balancer_arn = aws_lb.default.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"
  certificate_arn   = local.certificate_arn
  default_action {
    type = "fixed-response"
    fixed_response {
      content_type = "text/plain"
      status_code  = "404"
    }
  }
}

#trivy:ignore:AVD-AWS-0054 Port 80 only redirects, except in a trial without a certificate.
resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.default.arn
  port              = 80
  protocol          = "HTTP"
  default_action {
    type = local.has_https ? "redirect" : "fixed-response"
    dynamic "redirect" {
      for_each = local.has_https ? [1] : []
      content {
        protocol    = "HTTPS"
        port        = "443"
        status_code = "HTTP_301"
      }
    }
    dynamic "fixed_response" {
      for_each = local.has_https ? [] : [1]
      content {
        content_type = "text/plain"
        status_code  = "404"
      }
    }
  }
}

# A rule instead of the listener's default, because a blue/green deployment shifts traffic by changing a rule. ECS then owns its
# weights, so Terraform ignores the action.
resource "aws_lb_listener_rule" "service" {
  listener_arn = local.has_https ? one(aws_lb_listener.https[*].arn) : aws_lb_listener.http.arn
  priority     = 50000 # the last rule: rules of previews come first
  action {
    type = "forward"
    forward {
      target_group {
        arn    = aws_lb_target_group.default["blue"].arn
        weight = 100
      }
      target_group {
        arn    = aws_lb_target_group.default["green"].arn
        weight = 0
      }
    }
  }
  condition {
    path_pattern {
      values = ["/*"]
    }
  }
  lifecycle {
    ignore_changes = [action]
  }
}

# Only blue/green deployments use green; without targets it costs nothing.
resource "aws_lb_target_group" "default" {
  for_each         = toset(["blue", "green"])
  name             = "${local.name}-${each.key}"
  vpc_id           = local.basic["vpc_id"]
  target_type      = "ip"
  protocol         = "HTTP"
  protocol_version = "HTTP1"
  port             = local.service_port

  # After SIGTERM a task reports `not ready`, continues to serve for a while, and then finishes its requests (deploy_iac: stop_seconds).
  # A deregistered target receives no new requests; the delay covers running requests, of which an export is the longest.
  deregistration_delay          = local.drain_seconds
  load_balancing_algorithm_type = "least_outstanding_requests"

  health_check {
    path                = "/status/live" # not the store: replacing all tasks would not repair it and would empty their caches
    matcher             = "200"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }
}

locals {
  # Shorter than the service's idle timeout (75 s): otherwise the load balancer would reuse connections that the service closes.
  idle_seconds  = 60
  drain_seconds = 60
}
