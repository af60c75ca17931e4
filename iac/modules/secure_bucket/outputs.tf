output "arn" {
  description = "The ARN of the bucket, available after its protection is in place."
  value       = aws_s3_bucket.default.arn
  depends_on  = [aws_s3_bucket_policy.default, aws_s3_bucket_server_side_encryption_configuration.default]
}

output "name" {
  description = "The name of the bucket, available after its protection is in place."
  value       = aws_s3_bucket.default.bucket
  depends_on  = [aws_s3_bucket_policy.default, aws_s3_bucket_server_side_encryption_configuration.default]
}

output "policy" {
  description = "The policy of the bucket."
  value       = aws_s3_bucket_policy.default.policy
}
