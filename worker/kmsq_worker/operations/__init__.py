"""
What each operation does, by family, and the tables that say which function that is.

A turn's operation is a function of its execution and its request, and says beforehand which keys it wants. A change's
may have something prepared outside its transaction. docs/adding-an-operation.md shows how to add one.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from kmsq_schemas.models import Reply
from kmsq_schemas.operations import Operation
from kmsq_worker.arn import Account
from kmsq_worker.change_execution import ChangeExecution
from kmsq_worker.custody import Custody
from kmsq_worker.execution import TurnExecution
from kmsq_worker.operations import (
    aliases,
    asymmetric,
    batches,
    creation,
    data_key_pairs,
    data_keys,
    encryption,
    grants,
    importing,
    lifecycle,
    macs,
    policies,
    received,
    rotation,
    tags,
    usage,
    wants,
)
from kmsq_worker.view import Wanted

# The requests' and replies' own types are lost in a table of functions; a test holds each row against the contract.
AnyRequest = Any


@dataclass(frozen=True, slots=True)
class TurnOperation:
    """`wants` names the keys to load, `run` executes; what waits for the database or for a thread is awaited."""

    wants: Callable[[Account, AnyRequest], Sequence[Wanted]]
    run: Callable[[TurnExecution, AnyRequest], Reply | Awaitable[Reply]]

    async def execute(self, execution: TurnExecution, request: AnyRequest) -> Reply:
        """Run the operation. Raises `KmsError`, `Unavailable`."""
        reply = self.run(execution, request)
        return reply if isinstance(reply, Reply) else await reply


@dataclass(frozen=True, slots=True)
class ChangeOperation:
    """`prepare` makes, outside the transaction, what `run` gets. Only what alters nothing may share the lock."""

    run: Callable[[ChangeExecution, AnyRequest, Any], Awaitable[Reply]]
    prepare: Callable[[Custody, AnyRequest], Awaitable[object]] | None = None
    exclusive: bool = True


TURN_OPERATIONS: Mapping[Operation, TurnOperation] = MappingProxyType(
    {
        Operation.ENCRYPT: TurnOperation(wants.the_key, encryption.encrypt),
        Operation.DECRYPT: TurnOperation(encryption.wants_decrypt, encryption.decrypt),
        Operation.RE_ENCRYPT: TurnOperation(encryption.wants_re_encrypt, encryption.re_encrypt),
        Operation.GENERATE_DATA_KEY: TurnOperation(wants.the_key, data_keys.generate_data_key),
        Operation.GENERATE_DATA_KEY_WITHOUT_PLAINTEXT: TurnOperation(
            wants.the_key, data_keys.generate_data_key_without_plaintext
        ),
        Operation.GENERATE_DATA_KEY_PAIR: TurnOperation(wants.the_key, data_key_pairs.generate_data_key_pair),
        Operation.GENERATE_DATA_KEY_PAIR_WITHOUT_PLAINTEXT: TurnOperation(
            wants.the_key, data_key_pairs.generate_data_key_pair_without_plaintext
        ),
        Operation.GENERATE_RANDOM: TurnOperation(wants.nothing, data_keys.generate_random),
        Operation.GET_PUBLIC_KEY: TurnOperation(wants.the_key, asymmetric.get_public_key),
        Operation.SIGN: TurnOperation(wants.the_key, asymmetric.sign),
        Operation.VERIFY: TurnOperation(wants.the_key, asymmetric.verify),
        Operation.DERIVE_SHARED_SECRET: TurnOperation(wants.the_key, asymmetric.derive_shared_secret),
        Operation.ENCAPSULATE: TurnOperation(wants.the_key, asymmetric.encapsulate),
        Operation.DECAPSULATE: TurnOperation(wants.the_key, asymmetric.decapsulate),
        Operation.GENERATE_MAC: TurnOperation(wants.the_key, macs.generate_mac),
        Operation.VERIFY_MAC: TurnOperation(wants.the_key, macs.verify_mac),
        Operation.BATCH_ENCRYPT: TurnOperation(wants.the_key, batches.encryption.batch_encrypt),
        Operation.BATCH_DECRYPT: TurnOperation(
            batches.encryption.wants_batch_decrypt, batches.encryption.batch_decrypt
        ),
        Operation.BATCH_RE_ENCRYPT: TurnOperation(
            batches.re_encryption.wants_batch_re_encrypt, batches.re_encryption.batch_re_encrypt
        ),
        Operation.BATCH_GENERATE_DATA_KEY: TurnOperation(wants.the_key, batches.data_keys.batch_generate_data_key),
        Operation.BATCH_GENERATE_DATA_KEY_WITHOUT_PLAINTEXT: TurnOperation(
            wants.the_key, batches.data_keys.batch_generate_data_key_without_plaintext
        ),
        Operation.BATCH_GENERATE_MAC: TurnOperation(wants.the_key, batches.macs.batch_generate_mac),
        Operation.DESCRIBE_KEY: TurnOperation(wants.the_key, lifecycle.describe_key),
        Operation.LIST_KEYS: TurnOperation(wants.nothing, lifecycle.list_keys),
        Operation.LIST_ALIASES: TurnOperation(aliases.wants_aliases, aliases.list_aliases),
        Operation.GET_KEY_POLICY: TurnOperation(wants.the_key, policies.get_key_policy),
        Operation.GET_ACCOUNT_POLICY: TurnOperation(wants.nothing, policies.get_account_policy),
        Operation.LIST_KEY_POLICIES: TurnOperation(wants.the_key, policies.list_key_policies),
        Operation.LIST_KEY_ROTATIONS: TurnOperation(wants.the_key, rotation.list_key_rotations),
        Operation.GET_KEY_ROTATION_STATUS: TurnOperation(wants.the_key, rotation.get_key_rotation_status),
        Operation.GET_KEY_LAST_USAGE: TurnOperation(wants.the_key, usage.get_key_last_usage),
        Operation.LIST_RESOURCE_TAGS: TurnOperation(wants.the_key, tags.list_resource_tags),
        Operation.LIST_GRANTS: TurnOperation(wants.the_key, grants.list_grants),
        Operation.LIST_RETIRABLE_GRANTS: TurnOperation(wants.nothing, grants.list_retirable_grants),
        Operation.GET_PARAMETERS_FOR_IMPORT: TurnOperation(wants.the_key, importing.get_parameters_for_import),
    },
)

CHANGE_OPERATIONS: Mapping[Operation, ChangeOperation] = MappingProxyType(
    {
        Operation.CREATE_KEY: ChangeOperation(creation.create_key, creation.prepare_key, exclusive=False),
        Operation.ENABLE_KEY: ChangeOperation(lifecycle.enable_key),
        Operation.DISABLE_KEY: ChangeOperation(lifecycle.disable_key),
        Operation.UPDATE_KEY_DESCRIPTION: ChangeOperation(lifecycle.update_key_description),
        Operation.SCHEDULE_KEY_DELETION: ChangeOperation(lifecycle.schedule_key_deletion),
        Operation.CANCEL_KEY_DELETION: ChangeOperation(lifecycle.cancel_key_deletion),
        Operation.CREATE_ALIAS: ChangeOperation(aliases.create_alias),
        Operation.UPDATE_ALIAS: ChangeOperation(aliases.update_alias),
        Operation.DELETE_ALIAS: ChangeOperation(aliases.delete_alias),
        Operation.PUT_KEY_POLICY: ChangeOperation(policies.put_key_policy),
        Operation.PUT_ACCOUNT_POLICY: ChangeOperation(policies.put_account_policy),
        Operation.ROTATE_KEY_ON_DEMAND: ChangeOperation(rotation.rotate_key_on_demand),
        Operation.ENABLE_KEY_ROTATION: ChangeOperation(rotation.enable_key_rotation),
        Operation.DISABLE_KEY_ROTATION: ChangeOperation(rotation.disable_key_rotation),
        Operation.TAG_RESOURCE: ChangeOperation(tags.tag_resource),
        Operation.UNTAG_RESOURCE: ChangeOperation(tags.untag_resource),
        Operation.CREATE_GRANT: ChangeOperation(grants.create_grant),
        Operation.RETIRE_GRANT: ChangeOperation(grants.retire_grant),
        Operation.REVOKE_GRANT: ChangeOperation(grants.revoke_grant),
        Operation.IMPORT_KEY_MATERIAL: ChangeOperation(importing.import_key_material, received.receive),
        Operation.DELETE_IMPORTED_KEY_MATERIAL: ChangeOperation(importing.delete_imported_key_material),
    },
)
