"""What a person may do about an error."""

from kmsq import errors

_ADVICE: dict[type[errors.KmsqError], str] = {
    errors.AccessDeniedException: (
        "`kmsq policy get KEY` shows the key's policy and `kmsq policy get --account` the account's, to whoever may "
        "read them."
    ),
    errors.AlreadyExistsException: "`kmsq alias update` points an alias at another key.",
    errors.DisabledException: "`kmsq key enable KEY` lets it be used again.",
    errors.ExpiredException: "Workers are too busy for the --timeout, or a clock is wrong: see `kmsq doctor`.",
    errors.IncorrectKeyException: "Leave --key out: the ciphertext knows its key.",
    errors.InvalidCiphertextException: (
        "Give the same --context that it was encrypted with, and the whole ciphertext, unchanged."
    ),
    errors.KMSInvalidStateException: "`kmsq key show KEY` shows its state; `kmsq key cancel-deletion KEY` keeps it.",
    errors.NotFoundException: (
        "Commands that manage a key take its id or ARN, not an alias: `kmsq key show alias/…` prints them."
    ),
    errors.DeadlineExceeded: "`kmsq doctor` finds out what is missing.",
    errors.NotConnected: "Check KMSQ_AMQP_URL; `kmsq doctor` finds out more.",
    errors.RequestRefused: "`kmsq doctor` shows which operations this user may send.",
    errors.TopologyMissing: "`kmsq doctor` shows what is there.",
}


def advice(error: errors.KmsqError) -> str | None:
    """Return what to do about `error`, if there is something to say."""
    return next((_ADVICE[kind] for kind in type(error).__mro__ if kind in _ADVICE), None)
