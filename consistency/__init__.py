"""The proof: real servers under random load and faults, and a checker that says whether what they answered can be true."""
