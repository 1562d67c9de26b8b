"""The message contract of kmsq."""
