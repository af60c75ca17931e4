"""Consistency check: real servers under random load and faults, and a checker of the recorded history."""
