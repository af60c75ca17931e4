"""Rows in and out of files: CSV, NDJSON and JSON, as they come."""
