"""kmsq: a key management service whose front door is a message queue. The producer side."""
