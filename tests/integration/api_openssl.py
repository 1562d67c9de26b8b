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
        key, sealed = self.file(public_key), self.file(signature)
        if algorithm.startswith("ED25519"):
            command = ["pkeyutl", "-verify", "-pubin", *_DER, "-inkey", key, "-rawin", "-sigfile", sealed, "-in"]
        else:
            command = [*_digesting(algorithm), *_DER, "-verify", key, "-signature", sealed]
        return await self._succeeds(*command, self.file(message))

    async def sign(self, private_key: bytes, algorithm: str, message: bytes) -> bytes:
        """Sign `message`; the private key is PKCS#8 in DER."""
        key = self.file(private_key)
        if algorithm.startswith("ED25519"):
            return await self._output("pkeyutl", "-sign", *_DER, "-inkey", key, "-rawin", "-in", self.file(message))
        return await self._output(*_digesting(algorithm), *_DER, "-sign", key, self.file(message))

    async def encrypt(self, public_key: bytes, plaintext: bytes, digest: str) -> bytes:
        """Encrypt with RSA-OAEP; `digest` is `sha1` or `sha256`, for the label and for MGF1."""
        key, content = self.file(public_key), self.file(plaintext)
        return await self._output("pkeyutl", "-encrypt", "-pubin", *_DER, "-inkey", key, *_oaep(digest), "-in", content)

    async def decrypt(self, private_key: bytes, ciphertext: bytes, digest: str) -> bytes:
        """Decrypt with RSA-OAEP."""
        key, content = self.file(private_key), self.file(ciphertext)
        return await self._output("pkeyutl", "-decrypt", *_DER, "-inkey", key, *_oaep(digest), "-in", content)

    async def _output(self, command: str, *arguments: str) -> bytes:
        result = self._folder / uuid4().hex
        assert await self._succeeds(command, "-out", str(result), *arguments)
        return result.read_bytes()

    async def _succeeds(self, *arguments: str) -> bool:
        process = await asyncio.create_subprocess_exec(
            "openssl", *arguments, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        return await process.wait() == 0


_DER = ("-keyform", "DER")


def _digesting(algorithm: str) -> list[str]:
    salt = ("rsa_padding_mode:pss", "rsa_pss_saltlen:digest") if "PSS" in algorithm else ()
    return ["dgst", f"-sha{algorithm[-3:]}", *(part for option in salt for part in ("-sigopt", option))]


def _oaep(digest: str) -> list[str]:
    options = ("rsa_padding_mode:oaep", f"rsa_oaep_md:{digest}", f"rsa_mgf1_md:{digest}")
    return [part for option in options for part in ("-pkeyopt", option)]
