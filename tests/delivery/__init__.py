"""What brings the service to where it runs: its image, its versions, the workflows."""
