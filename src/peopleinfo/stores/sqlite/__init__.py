"""The embedded store: one SQLite file, no service needed."""
