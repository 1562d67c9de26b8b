"""The program `openssl`: another implementation, which shares no code with the service but the standards."""

import asyncio
import shutil
from pathlib import Path
from uuid import uuid4

import pytest

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not on the PATH")


class OpenSSL:
    """Runs `openssl` on files of its own in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def file(self, content: bytes) -> str:
        """Put `content` into a file and return its path."""
        path = self._folder / uuid4().hex
        path.write_bytes(content)
        return str(path)

    async def verify(self, public_key: bytes, algorithm: str, message: bytes, signature: bytes) -> bool:
        """Tell whether `signature` is one of `message`; the public key is SubjectPublicKeyInfo in DER."""
        key = ["-keyform", "DER", "-inkey" if algorithm.startswith("ED") else "-verify", self.file(public_key)]
        if algorithm.startswith("ED25519"):
            command = ["pkeyutl", "-verify", "-pubin", *key, "-rawin", "-sigfile", self.file(signature), "-in"]
        else:
            salt = ("rsa_padding_mode:pss", "rsa_pss_saltlen:digest") if "PSS" in algorithm else ()
            options = [part for option in salt for part in ("-sigopt", option)]
            command = ["dgst", f"-sha{algorithm[-3:]}", *options, *key, "-signature", self.file(signature)]
        return await self._succeeds(*command, self.file(message))

    async def encrypt(self, public_key: bytes, plaintext: bytes, digest: str) -> bytes:
        """Encrypt with RSA-OAEP; `digest` is `sha1` or `sha256`, for the label and for MGF1."""
        ciphertext = self._folder / uuid4().hex
        options = ("rsa_padding_mode:oaep", f"rsa_oaep_md:{digest}", f"rsa_mgf1_md:{digest}")
        assert await self._succeeds(
            *("pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-inkey", self.file(public_key)),
            *(part for option in options for part in ("-pkeyopt", option)),
            *("-in", self.file(plaintext), "-out", str(ciphertext)),
        )
        return ciphertext.read_bytes()

    async def _succeeds(self, *arguments: str) -> bool:
        process = await asyncio.create_subprocess_exec(
            "openssl", *arguments, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        return await process.wait() == 0
