"""The cache in front of a store: one in Redis or Valkey that all processes share, and a small one in each process.

The cache may be slow, cold or unreachable, but it never returns a value that an acknowledged write has replaced.
"""
