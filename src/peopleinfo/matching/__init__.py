"""Duplicates: blocking keys, comparison, scores and grades of pairs, the review queue, and merge and unmerge."""
