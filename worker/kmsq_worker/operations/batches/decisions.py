"""Policy decisions for a batch: one for what its items share, and one for each context where a policy reads it."""

import hashlib

from kmsq_worker.custody import Key
from kmsq_worker.errors import AccessDeniedException
from kmsq_worker.execution import TurnExecution, Values
from kmsq_worker.operations.batches.contexts import Bound


class Decisions:
    """Those on one action. Equal questions are asked once."""

    def __init__(self, execution: TurnExecution, action: str, values: Values) -> None:
        self._execution = execution
        self._action = action
        self._values = values
        self._reads_context: dict[str, bool] = {}
        self._decided: dict[tuple[str, bytes], AccessDeniedException | None] = {}

    def refusal(self, key: Key, bound: Bound) -> AccessDeniedException | None:
        """Return why the action is not allowed on `key` with this context, None if it is."""
        reads_context = self._reads_context.get(key.key_id)
        if reads_context is None:
            reads_context = self._reads_context[key.key_id] = self._asks_for_context(key)
        # A digest, since there can be as many questions as items, of 8 KB each.
        question = key.key_id, hashlib.sha256(bound.associated).digest() if reads_context else b""
        if question not in self._decided:
            self._decided[question] = self._decide(key, bound)
        return self._decided[question]

    def _decide(self, key: Key, bound: Bound) -> AccessDeniedException | None:
        try:
            self._execution.decide(self._action, key, context=bound.context, values=self._values)
        except AccessDeniedException as error:
            return error
        return None

    def _asks_for_context(self, key: Key) -> bool:
        if key.policy.reads_context or self._execution.account_policy().reads_context:
            return True
        grants = key.grants.of(self._execution.arn) if key.grants.rows else ()
        return any(grant.equals is not None or grant.subset is not None for grant in grants)
