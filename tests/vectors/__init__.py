"""Test vectors of docs/ciphertext.md, and the second implementation that makes them."""
