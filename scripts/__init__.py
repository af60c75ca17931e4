"""The steps of the workflows as scripts, which can be run by hand and tested."""
