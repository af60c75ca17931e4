output "arn" {
  description = "The ARN of the web ACL, to be associated with a load balancer."
  value       = aws_wafv2_web_acl.default.arn
}
