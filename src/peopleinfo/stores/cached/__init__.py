"""The cache in front of a store: shared by all processes (Redis or Valkey), and a small one in each. It may be slow, cold or gone; it may not lie."""
