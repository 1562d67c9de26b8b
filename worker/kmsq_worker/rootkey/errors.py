"""What every root key provider raises."""


class RootKeyError(Exception):
    """The root key cannot be used. The message says what to do and never holds key bytes."""
