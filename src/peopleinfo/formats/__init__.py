"""Readers and writers of CSV, NDJSON and JSON."""
