"""
What keys do beyond the ciphertext blob: signatures, RSA encryption, agreement, encapsulation, MACs, imported material.

Pure: no I/O but the operating system's randomness. Only `kmsq_worker.errors` come out, and no message holds a secret.
Every function takes keys that are loaded already (`key_pairs.load`), for the caller to keep: the first private-key
operation after loading an RSA key costs about twice what the next ones cost. Whether an algorithm fits a key is the
caller's to check (`keyspecs.algorithms`), with the error that suits the operation; a key of a foreign type is our own
mistake, a `TypeError`.
"""
