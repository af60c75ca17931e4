"""Duplicate detection, merge and unmerge, as pure functions: match keys, scores of pairs, grades, and the merge model."""
