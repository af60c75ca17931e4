"""The service over HTTP: the contract, in and out, and nothing else."""
