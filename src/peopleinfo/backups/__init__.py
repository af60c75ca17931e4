"""Everybody of a store as files that can be read without it: packed lines of JSON in parts, and a manifest that vouches for them."""
