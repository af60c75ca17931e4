"""The contract over HTTP."""  # noqa: A005 - named after what it tests
