"""Bulk operations: import, copy, backup and restore."""
