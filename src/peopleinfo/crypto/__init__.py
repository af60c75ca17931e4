"""Encryption at rest: a key for each person, keys that wrap those, and a master key that wraps these. It knows no store (docs/adr/0010)."""
