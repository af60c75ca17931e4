"""The audit log, the export of one person's data, and retention."""
