"""PeopleInfo: a service that stores people and finds them again."""

__version__ = "0.1.0"
