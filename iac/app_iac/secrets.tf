# The key of the first administrator, from which all other keys are made by the API. Whoever installs puts it in (iac/README.md); Terraform
# never sees it.
resource "aws_secretsmanager_secret" "admin_key" {
  name                    = "${local.name}/admin_key"
  description             = "The service's first key, of an administrator (PEOPLEINFO_ADMIN_KEY)."
  kms_key_id              = module.people_key.arn
  recovery_window_in_days = 7
}

# Where the console's client at the OpenID provider has a secret (PEOPLEINFO_OIDC_CLIENT_SECRET), it is put in likewise.
resource "aws_secretsmanager_secret" "oidc_client_secret" {
  count                   = var.oidc_client_secret ? 1 : 0
  name                    = "${local.name}/oidc_client_secret"
  description             = "What the console shows to the OpenID provider (PEOPLEINFO_OIDC_CLIENT_SECRET)."
  kms_key_id              = module.people_key.arn
  recovery_window_in_days = 7
}
