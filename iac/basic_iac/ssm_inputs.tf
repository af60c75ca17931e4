# Parameters of `bootstrap`.

data "aws_ssm_parameter" "bootstrap" {
  for_each = toset(["state_key_arn"])
  name     = "/${local.name}/bootstrap/${each.key}"
}

locals {
  state_key_arn = data.aws_ssm_parameter.bootstrap["state_key_arn"].insecure_value
}
