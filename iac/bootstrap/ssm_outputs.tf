# Parameters for the other stacks and the workflows.

resource "aws_ssm_parameter" "published" {
  for_each = {
    state_bucket_name = module.state_bucket.name
    state_key_arn     = module.state_key.arn
  }
  name           = "/${local.name}/bootstrap/${each.key}"
  type           = "String"
  insecure_value = each.value
}

output "backend" {
  description = "The content of the file for `terraform init -backend-config=FILE` of the other stacks."
  value       = <<-EOT
    bucket     = "${module.state_bucket.name}"
    region     = "${var.region}"
    encrypt    = true
    kms_key_id = "${module.state_key.arn}"
  EOT
}
