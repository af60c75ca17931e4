# What the other stacks and the workflows are told of this one.

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
  description = "What `terraform init -backend-config=FILE` of the other stacks takes: the content of the file."
  value       = <<-EOT
    bucket     = "${module.state_bucket.name}"
    region     = "${var.region}"
    encrypt    = true
    kms_key_id = "${module.state_key.arn}"
  EOT
}
