"""Authentication and authorization: credentials, principals, field access and rate limits."""
