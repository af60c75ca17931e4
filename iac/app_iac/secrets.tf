# The admin key, which creates all other keys through the API. An operator sets its value (iac/README.md); Terraform
# never sees it.
resource "aws_secretsmanager_secret" "admin_key" {
  name                    = "${local.name}/admin_key"
  description             = "The admin key of the service (PEOPLEINFO_ADMIN_KEY)."
  kms_key_id              = module.people_key.arn
  recovery_window_in_days = 7
}

# An operator also sets the client secret of the console at the OpenID provider, if it has one (PEOPLEINFO_OIDC_CLIENT_SECRET).
resource "aws_secretsmanager_secret" "oidc_client_secret" {
  count                   = var.oidc_client_secret ? 1 : 0
  name                    = "${local.name}/oidc_client_secret"
  description             = "The client secret of the console at the OpenID provider (PEOPLEINFO_OIDC_CLIENT_SECRET)."
  kms_key_id              = module.people_key.arn
  recovery_window_in_days = 7
}
