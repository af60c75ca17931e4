# Which settings of the service an environment may choose (variable `settings`), by their names without PEOPLEINFO_, and how their values are
# written. What follows from the stacks stands in task_definition.tf. `allow_anonymous` is left out: on the internet it would show people to everybody.
# The chart has the same (deploy/helm/people-info-api/values.schema.json); tests/iac/test_settings.py holds both against the service itself.

locals {
  settable = {
    body_timeout        = "^[0-9]+([.][0-9]+)?$"
    cache_timeout       = "^[0-9]+([.][0-9]+)?$"
    cache_fence_ttl     = "^[0-9]+([.][0-9]+)?$"
    cache_local_size    = "^[0-9]+$"
    cache_ttl           = "^[0-9]+([.][0-9]+)?$"
    cache_strict_writes = "^(true|false)$"
    max_connections     = "^[1-9][0-9]*$"
    cors_origins        = "^([*]|https?://[a-z0-9.-]+(:[0-9]{1,5})?)(,([*]|https?://[a-z0-9.-]+(:[0-9]{1,5})?))*$"
    log_level           = "^(debug|info|warning|error)$"
    oidc_scopes         = "^[^ ]+( [^ ]+)*$"
    oidc_audience       = "^.+$"
    oidc_client_id      = "^.+$"
    oidc_issuer         = "^https://.+$"
    oidc_scopes_claim   = "^.+$"
    rate_limit          = "^[0-9]+$"
    rate_limit_shared   = "^(true|false)$"
    retention_period    = "^[1-9][0-9]{0,4}d$"
    workers             = "^([1-9]|[1-5][0-9]|6[0-4])$"
  }
}
