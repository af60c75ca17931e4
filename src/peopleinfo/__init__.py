"""PeopleInfo: an HTTP service for storing and searching person records."""

__version__ = "0.1.0"
