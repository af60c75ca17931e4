"""Middleware: authentication, rate limits, audit and headers."""
