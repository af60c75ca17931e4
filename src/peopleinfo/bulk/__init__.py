"""Bulk operations: import and its undo, copy, backup and restore."""
