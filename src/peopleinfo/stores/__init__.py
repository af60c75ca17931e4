"""Stores for person records: SQLite, DynamoDB, and a cache in front of either."""
