"""The documentation as a site: docs/*.md as they are, and pages that are made from the code (`make docs`)."""
