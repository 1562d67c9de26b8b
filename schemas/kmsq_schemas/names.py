"""The names of the exchanges and of the dead-letter queue. The queues of requests are named in `operations`."""

REQUESTS_EXCHANGE = "kmsq.requests"
REPLIES_EXCHANGE = "kmsq.replies"
DEAD_EXCHANGE = "kmsq.dead"
DEAD_QUEUE = "kmsq.dead"
