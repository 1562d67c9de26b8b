"""All SQL, and the only import of asyncpg. Driver errors never leave: they become `Unavailable`."""
