"""`./dev bench`: what kmsq does, beside what does less."""

import sys
from importlib import import_module

COMPARISONS = {
    "singles": "single Encrypt requests against a bare echo consumer",
    "batches": "BatchEncrypt against a bare pipe: CBOR, AES-GCM, CBOR",
    "coalescing": "single calls from many tasks, coalesced and not, beside FastStream",
    "columns": "kmsq column over five million rows: speed and memory, and that they come back equal",
    "envelope": "kmsq file against openssl enc and age",
    "pipelines": "a column of values: row by row, single calls, encrypt_many, kmsq column in both modes",
}


def main() -> None:
    """Run the comparison that is named first."""
    name, *arguments = sys.argv[1:] or ["--help"]
    if name not in COMPARISONS:
        print("usage: ./dev bench COMPARISON [--help]\n")
        print("\n".join(f"  {one:12}{what}" for one, what in COMPARISONS.items()))
        sys.exit(0 if name in {"-h", "--help"} else 2)
    import_module(f"bench.{name}").main(arguments)


if __name__ == "__main__":
    main()
