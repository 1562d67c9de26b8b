"""`./dev demo`: kmsq at work, from nothing to a killed worker, in the eyes of a producer."""
