"""Tests of the HTTP API."""  # noqa: A005 - named after what it tests
