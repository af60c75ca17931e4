"""Tests of the delivery: the image, the versions and the workflows."""
