"""Stand-ins for the broker and the database, for tests that need neither."""
