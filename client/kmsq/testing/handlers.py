"""One function for each operation that the fake does; a test holds the table against the contract."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from kmsq.testing import batches, keys, names, rotation, tags, usage
from kmsq.testing.world import World
from kmsq_schemas.models import Reply
from kmsq_schemas.operations import Operation

# `Any`: each takes its own operation's request, which the client has made from the table of operations.
Handler: TypeAlias = Callable[[World, Any], Reply]

HANDLERS: Mapping[Operation, Handler] = MappingProxyType(
    {
        Operation.CREATE_KEY: keys.create_key,
        Operation.DESCRIBE_KEY: keys.describe_key,
        Operation.LIST_KEYS: keys.list_keys,
        Operation.ENABLE_KEY: keys.enable_key,
        Operation.DISABLE_KEY: keys.disable_key,
        Operation.UPDATE_KEY_DESCRIPTION: keys.update_key_description,
        Operation.SCHEDULE_KEY_DELETION: keys.schedule_key_deletion,
        Operation.CANCEL_KEY_DELETION: keys.cancel_key_deletion,
        Operation.TAG_RESOURCE: tags.tag_resource,
        Operation.UNTAG_RESOURCE: tags.untag_resource,
        Operation.LIST_RESOURCE_TAGS: tags.list_resource_tags,
        Operation.CREATE_ALIAS: names.create_alias,
        Operation.UPDATE_ALIAS: names.update_alias,
        Operation.DELETE_ALIAS: names.delete_alias,
        Operation.LIST_ALIASES: names.list_aliases,
        Operation.GET_KEY_POLICY: names.get_key_policy,
        Operation.PUT_KEY_POLICY: names.put_key_policy,
        Operation.LIST_KEY_POLICIES: names.list_key_policies,
        Operation.GET_ACCOUNT_POLICY: names.get_account_policy,
        Operation.PUT_ACCOUNT_POLICY: names.put_account_policy,
        Operation.ENCRYPT: usage.encrypt,
        Operation.DECRYPT: usage.decrypt,
        Operation.RE_ENCRYPT: usage.re_encrypt,
        Operation.GENERATE_DATA_KEY: usage.generate_data_key,
        Operation.GENERATE_DATA_KEY_WITHOUT_PLAINTEXT: usage.generate_data_key_without_plaintext,
        Operation.GENERATE_RANDOM: usage.generate_random,
        Operation.ENABLE_KEY_ROTATION: rotation.enable_key_rotation,
        Operation.DISABLE_KEY_ROTATION: rotation.disable_key_rotation,
        Operation.GET_KEY_ROTATION_STATUS: rotation.get_key_rotation_status,
        Operation.ROTATE_KEY_ON_DEMAND: rotation.rotate_key_on_demand,
        Operation.LIST_KEY_ROTATIONS: rotation.list_key_rotations,
        Operation.BATCH_ENCRYPT: batches.batch_encrypt,
        Operation.BATCH_DECRYPT: batches.batch_decrypt,
        Operation.BATCH_RE_ENCRYPT: batches.batch_re_encrypt,
        Operation.BATCH_GENERATE_DATA_KEY: batches.batch_generate_data_key,
        Operation.BATCH_GENERATE_DATA_KEY_WITHOUT_PLAINTEXT: batches.batch_generate_data_key_without_plaintext,
    }
)

NOT_DONE: frozenset[Operation] = frozenset(
    {
        Operation.GET_KEY_LAST_USAGE,
        Operation.CREATE_GRANT,
        Operation.LIST_GRANTS,
        Operation.LIST_RETIRABLE_GRANTS,
        Operation.RETIRE_GRANT,
        Operation.REVOKE_GRANT,
        Operation.GENERATE_DATA_KEY_PAIR,
        Operation.GENERATE_DATA_KEY_PAIR_WITHOUT_PLAINTEXT,
        Operation.GET_PUBLIC_KEY,
        Operation.SIGN,
        Operation.VERIFY,
        Operation.DERIVE_SHARED_SECRET,
        Operation.ENCAPSULATE,
        Operation.DECAPSULATE,
        Operation.GENERATE_MAC,
        Operation.VERIFY_MAC,
        Operation.GET_PARAMETERS_FOR_IMPORT,
        Operation.IMPORT_KEY_MATERIAL,
        Operation.DELETE_IMPORTED_KEY_MATERIAL,
        Operation.BATCH_GENERATE_MAC,
    }
)
"""What the fake refuses, unless a test answers it itself: grants it would not enforce, and keys of other kinds."""
