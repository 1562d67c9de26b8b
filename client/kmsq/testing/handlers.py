"""One function for each operation; a test holds the table against the contract."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from kmsq.testing import keys, names, usage
from kmsq.testing.world import World
from kmsq_schemas.models import Reply
from kmsq_schemas.operations import Operation

# `Any`: each takes its own operation's request, which the client has made from the table of operations.
HANDLERS: Mapping[Operation, Callable[[World, Any], Reply]] = MappingProxyType(
    {
        Operation.CREATE_KEY: keys.create_key,
        Operation.DESCRIBE_KEY: keys.describe_key,
        Operation.LIST_KEYS: keys.list_keys,
        Operation.ENABLE_KEY: keys.enable_key,
        Operation.DISABLE_KEY: keys.disable_key,
        Operation.UPDATE_KEY_DESCRIPTION: keys.update_key_description,
        Operation.SCHEDULE_KEY_DELETION: keys.schedule_key_deletion,
        Operation.CANCEL_KEY_DELETION: keys.cancel_key_deletion,
        Operation.ROTATE_KEY_ON_DEMAND: keys.rotate_key_on_demand,
        Operation.LIST_KEY_ROTATIONS: keys.list_key_rotations,
        Operation.CREATE_ALIAS: names.create_alias,
        Operation.UPDATE_ALIAS: names.update_alias,
        Operation.DELETE_ALIAS: names.delete_alias,
        Operation.LIST_ALIASES: names.list_aliases,
        Operation.GET_KEY_POLICY: names.get_key_policy,
        Operation.PUT_KEY_POLICY: names.put_key_policy,
        Operation.GET_ACCOUNT_POLICY: names.get_account_policy,
        Operation.PUT_ACCOUNT_POLICY: names.put_account_policy,
        Operation.ENCRYPT: usage.encrypt,
        Operation.DECRYPT: usage.decrypt,
        Operation.RE_ENCRYPT: usage.re_encrypt,
        Operation.GENERATE_DATA_KEY: usage.generate_data_key,
        Operation.GENERATE_DATA_KEY_WITHOUT_PLAINTEXT: usage.generate_data_key_without_plaintext,
        Operation.GENERATE_RANDOM: usage.generate_random,
    }
)
