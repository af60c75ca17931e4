# The settings of the service that an environment may set (variable `settings`), by their names without PEOPLEINFO_, with the pattern of
# their values. task_definition.tf sets those that depend on the stacks. `allow_anonymous` is excluded: it would expose all records to the internet.
# The chart has the same list (deploy/helm/people-info-api/values.schema.json); tests/iac/test_settings.py compares both with the service.

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
    identifiers         = "^(unique:)?[A-Za-z_][A-Za-z0-9_.-]*(,(unique:)?[A-Za-z_][A-Za-z0-9_.-]*)*$"
    log_level           = "^(debug|info|warning|error)$"
    oidc_scopes         = "^[^ ]+( [^ ]+)*$"
    oidc_audience       = "^.+$"
    oidc_client_id      = "^.+$"
    oidc_issuer         = "^https://.+$"
    oidc_scopes_claim   = "^.+$"
    rate_limit          = "^[0-9]+$"
    rate_limit_shared   = "^(true|false)$"
    retention_period    = "^[1-9][0-9]{0,4}d$"
    search_indexes      = "^(names|birthdate|address|duplicates|updated_at)(,(names|birthdate|address|duplicates|updated_at))*$"
    history             = "^([0-9]{1,5}|[1-9][0-9]{0,4}d)$"
    changes             = "^[1-9][0-9]{0,4}d$"
    trash               = "^[1-9][0-9]{0,4}d$"
    duplicates_refuse   = "^(certain|probable|possible)$"
    workers             = "^([1-9]|[1-5][0-9]|6[0-4])$"
  }
}
