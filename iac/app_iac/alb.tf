# The way in. Port 443 serves; port 80 sends there, or serves itself in a trial without a certificate.

#trivy:ignore:AVD-AWS-0053 It is public on purpose: it is the way in. `clients` narrows whose.
resource "aws_lb" "default" {
  name                       = local.name
  load_balancer_type         = "application"
  internal                   = false
  subnets                    = slice(local.public, 0, local.profile.balancer_zones) # each has a public address, which costs
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

#trivy:ignore:AVD-AWS-0054 Port 80 only redirects, unless the variable says a trial without a certificate.
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

# A rule rather than the listener's default, because a blue/green deployment moves traffic by changing a rule. Its weights are then ECS's
# business, so what it forwards to is not looked at again.
resource "aws_lb_listener_rule" "service" {
  listener_arn = local.has_https ? one(aws_lb_listener.https[*].arn) : aws_lb_listener.http.arn
  priority     = 50000 # the last: names of previews come before
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

# Green is used by blue/green deployments alone; without targets it costs nothing.
resource "aws_lb_target_group" "default" {
  for_each         = toset(["blue", "green"])
  name             = "${local.name}-${each.key}"
  vpc_id           = local.basic["vpc_id"]
  target_type      = "ip"
  protocol         = "HTTP"
  protocol_version = "HTTP1"
  port             = local.service_port

  # A task that is told to end answers `not ready` and serves on for a while, then finishes what is under way (deploy_iac: stop_seconds).
  # The balancer stops sending at once when a task is deregistered; the delay is for what it has sent, the longest of which is an export.
  deregistration_delay          = local.drain_seconds
  load_balancing_algorithm_type = "least_outstanding_requests"

  health_check {
    path                = "/status/live" # not the store: replacing every task would not bring it back, and empties their caches
    matcher             = "200"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }
}

locals {
  # Shorter than the service keeps an idle connection (75 s): else the balancer would send requests into connections that are being closed.
  idle_seconds  = 60
  drain_seconds = 60
}
