"""The container image: built from the real Dockerfile and run, without Docker."""
