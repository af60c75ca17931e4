"""Encryption at rest: one key per person, key-encryption keys, and a master key (docs/adr/0010)."""
