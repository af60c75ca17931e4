"""What the workflows do, step by step, so that it can be done by hand and tested."""
