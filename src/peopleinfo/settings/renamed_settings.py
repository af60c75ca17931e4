"""Settings that were renamed before the first release."""

from __future__ import annotations

# Old name → name since 0.1.0; deleted in 0.2.0.
RENAMED = {
    "store": "store_url",
    "cache": "cache_url",
    "cache_seconds": "cache_ttl",
    "cache_local": "cache_local_size",
    "cache_deadline": "cache_timeout",
    "cache_fence": "cache_fence_ttl",
    "cache_strict": "cache_strict_writes",
    "oidc_client": "oidc_client_id",
    "oidc_asked": "oidc_scopes",
    "audit": "audit_log",
    "proxies": "trusted_proxies",
    "rate_limits": "rate_limit",
    "rate_limits_shared": "rate_limit_shared",
    "retention": "retention_period",
    "open": "allow_anonymous",
    "connections": "max_connections",
    "body_seconds": "body_timeout",
    "metrics": "metrics_auth",
    "key": "api_key",
}
