"""The console: web pages that use the public API."""
