output "arn" {
  description = "The ARN of the firewall, to be put before a load balancer."
  value       = aws_wafv2_web_acl.default.arn
}
