"""
A pandas pipeline: one column of a Parquet file is encrypted into a new file, read back, decrypted and compared.

What it shows: `encrypt_many` and `decrypt_many` take any number of values and return as many, in the same order, at the
speed of batches. Nulls stay nulls. The encryption context binds all values to table and column: moved elsewhere they do
not open.

The whole table is in memory here, as it is with pandas. One command does files of any size, in parts, and can be resumed
(its ciphertexts are bound to more than those made here, so that each opens its own only):

    kmsq column encrypt orders.parquet --key-id alias/examples --table orders --column card -o sealed.parquet
"""

import argparse
import asyncio
import os
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa

from kmsq import Client, KmsqError

BINARY = pd.ArrowDtype(pa.binary())
TEXT = pd.ArrowDtype(pa.string())


async def encrypt_column(client: Client, key_id: str, column: pd.Series, context: dict[str, str]) -> pd.Series:
    """Return the ciphertexts of a column of text, nulls where it has nulls."""
    values = (text.encode() for text in column.dropna())
    blobs = [blob async for blob in client.encrypt_many(key_id, values, context=context)]
    return spread(blobs, column, BINARY)


async def decrypt_column(client: Client, column: pd.Series, context: dict[str, str]) -> pd.Series:
    """Return the text of a column of ciphertexts: the inverse of `encrypt_column`. The ciphertexts name their key."""
    plaintexts = [plaintext async for plaintext in client.decrypt_many(column.dropna(), context=context)]
    return spread([plaintext.decode() for plaintext in plaintexts], column, TEXT)


def spread(results: list[bytes] | list[str], column: pd.Series, dtype: pd.ArrowDtype) -> pd.Series:
    """Return the results where `column` has values, nulls where it has none."""
    remaining = iter(results)
    values = [next(remaining) if there else None for there in column.notna()]
    return pd.Series(values, index=column.index, dtype=dtype)


async def run(amqp_url: str, key_id: str, source: Path, target: Path, column: str) -> bool:
    """Encrypt a column of `source` into `target`. Returns whether it decrypts to the same again."""
    context = {"table": source.stem, "column": column}
    async with Client(amqp_url) as client:
        frame = pd.read_parquet(source, dtype_backend="pyarrow").astype({column: TEXT})
        frame.assign(**{column: await encrypt_column(client, key_id, frame[column], context)}).to_parquet(target)
        sealed = pd.read_parquet(target, dtype_backend="pyarrow")
        opened = sealed.assign(**{column: await decrypt_column(client, sealed[column], context)})
    print(f"{column}: {frame[column].count()} of {len(frame)} rows have a value, now encrypted in {target}")
    return bool(opened.equals(frame))


def main() -> None:
    """Read the command line and the environment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="the Parquet file to read; its name is the table's")
    parser.add_argument("target", type=Path, help="the Parquet file to write")
    parser.add_argument("--key-id", required=True, help="the key: an id, ARN or alias")
    parser.add_argument("--column", required=True, help="a column of text")
    options = parser.parse_args()
    amqp_url = os.environ.get("KMSQ_AMQP_URL") or sys.exit("set KMSQ_AMQP_URL: ./dev up && source .dev/env")
    try:
        is_equal = asyncio.run(run(amqp_url, options.key_id, options.source, options.target, options.column))
    except KmsqError as error:
        sys.exit(f"dataframe_pipeline: {error}")
    print("read back and decrypted:", "equal" if is_equal else "NOT equal")
    sys.exit(not is_equal)


if __name__ == "__main__":
    main()
