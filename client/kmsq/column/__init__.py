"""
Columns of tables, encrypted and decrypted by the million: in parts, resumable, in constant memory. See docs/column.md.

    order = Order(verb=Verb.ENCRYPT, source=Path("cards.csv"), target=Path("sealed.csv"), columns=("number",),
                  key_id="alias/cards", table="cards")
    async with Client("amqp://alice:…@broker/") as client:
        summary = await run(order, client)
"""

from kmsq.column.engine import run
from kmsq.column.formats import Format
from kmsq.column.plan import OnError, Order, Verb
from kmsq.column.progress import Progress, Summary
from kmsq.column.table import Mode
from kmsq.column.verify import Finding, Findings, verify
from kmsq.column.workspace import Start

__all__ = [
    "Finding",
    "Findings",
    "Format",
    "Mode",
    "OnError",
    "Order",
    "Progress",
    "Start",
    "Summary",
    "Verb",
    "run",
    "verify",
]
