"""Readers and writers of files: CSV, workbooks, NDJSON, JSON, vCard, LDIF, SCIM and FHIR. What headings and dates in files mean."""
