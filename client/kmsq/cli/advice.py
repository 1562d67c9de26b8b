"""What a person may do about an error."""

from collections.abc import Mapping

from kmsq import errors
from kmsq_schemas.errors import ErrorCode

_ANSWERED: Mapping[str, str] = {
    ErrorCode.ACCESS_DENIED: (
        "`kmsq policy get KEY` shows the key's policy and `kmsq policy get --account` the account's, to whoever may "
        "read them."
    ),
    ErrorCode.ALREADY_EXISTS: "`kmsq alias update` points an alias at another key.",
    ErrorCode.DISABLED: "`kmsq key enable KEY` lets it be used again.",
    ErrorCode.EXPIRED: "Workers are too busy for the --timeout, or a clock is wrong: see `kmsq doctor`.",
    ErrorCode.EXPIRED_IMPORT_TOKEN: "`kmsq import` again gets a new one.",
    ErrorCode.INCORRECT_KEY: "Leave --key out: the ciphertext knows its key.",
    ErrorCode.INCORRECT_KEY_MATERIAL: (
        "It must be of the key's spec, and the very bytes that the key had before; --new-material adds others to a "
        "symmetric key."
    ),
    ErrorCode.INVALID_CIPHERTEXT: (
        "Give the same --context that it was encrypted with, and the whole ciphertext, unchanged."
    ),
    ErrorCode.INVALID_KEY_USAGE: "`kmsq key show KEY` shows what it is for, and its algorithms for --algorithm.",
    ErrorCode.KMS_INVALID_MAC: "It is not the code of this message under this key.",
    ErrorCode.KMS_INVALID_SIGNATURE: "It is not the signature of this message by this key with this --algorithm.",
    ErrorCode.KMS_INVALID_STATE: (
        "`kmsq key show KEY` shows its state; `kmsq key cancel-deletion KEY` keeps it, `kmsq import` brings its material."
    ),
    ErrorCode.NOT_FOUND: (
        "`kmsq alias list` and `kmsq key list` show what there is. Commands that manage a key take its id or ARN, not an "
        "alias: `kmsq key show alias/…` prints them."
    ),
}
_ARISEN: Mapping[type[errors.KmsqError], str] = {
    errors.DeadlineExceeded: "`kmsq doctor` finds out what is missing.",
    errors.NotConnected: "Check KMSQ_AMQP_URL; `kmsq doctor` finds out more.",
    errors.RequestRefused: "`kmsq doctor` shows which operations this user may send.",
    errors.TopologyMissing: "`kmsq doctor` shows what is there.",
}


def advice(error: errors.KmsqError) -> str | None:
    """Return what to do about `error`, if there is something to say."""
    if isinstance(error, errors.ServiceError):
        return _ANSWERED.get(error.code)
    return next((_ARISEN[kind] for kind in type(error).__mro__ if kind in _ARISEN), None)
