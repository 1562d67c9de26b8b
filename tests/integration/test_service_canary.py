"""Plaintext that passes through the service is found nowhere afterwards."""

import asyncio
import base64
import http.client
import json
import secrets
from dataclasses import replace
from uuid import uuid4

from integration import raw
from integration.evidence import dead_letters, dumped, metrics, running
from integration.raw import SUCCESS, Producer
from kmsq.importing import wrap_key_material
from kmsq_schemas import models
from kmsq_schemas.codec import ContentType
from kmsq_schemas.models import (
    CreateKeyReply,
    CreateKeyRequest,
    DecryptReply,
    DecryptRequest,
    EncryptReply,
    EncryptRequest,
    GenerateDataKeyReply,
    GenerateDataKeyRequest,
    GenerateRandomReply,
    GenerateRandomRequest,
    ReEncryptRequest,
)
from kmsq_schemas.models.enums import (
    AlgorithmSpec,
    DataKeyPairSpec,
    DataKeySpec,
    ExpirationModel,
    KeyAgreementAlgorithm,
    KeySpec,
    KeyUsage,
    MacAlgorithm,
    Origin,
    SigningAlgorithm,
    WrappingKeySpec,
)
from kmsq_worker.telemetry import LOG_FIELDS
from services.stack import PrivateStack
from services.worker import Worker

JSON, CBOR = ContentType.JSON, ContentType.CBOR


def shapes_of(secret: bytes) -> set[str]:
    """Return what a secret may look like in text: plain, hexadecimal, base64 at each of its three offsets, a repr."""
    shapes = {secret.hex(), secret.hex().upper(), repr(secret)[2:-1]}
    for offset in range(3):
        # The first and last characters depend on what stands beside the secret.
        encoded = base64.b64encode(b"\0" * offset + secret).decode()
        shapes.add(encoded[4 if offset else 0 : -4])
        shapes.add(base64.urlsafe_b64encode(b"\0" * offset + secret).decode()[4 if offset else 0 : -4])
    return shapes


async def test_no_plaintext_appears_in_logs_tables_metrics_or_dead_letters(lone: PrivateStack, boss: Producer) -> None:
    canary = f"canary-{secrets.token_hex(12)}".encode()
    canaries = {canary}
    async with running(lone, 2, environment={"KMSQ_LOG_LEVEL": "DEBUG"}) as workers, dead_letters(lone) as letters:
        canaries |= await succeed(boss, canary)
        canaries |= await succeed_with_key_pairs_and_imports(boss, canary)
        canaries |= await succeed_and_fail_in_batches(boss, canary)
        await fail(boss, canary)
        async with raw.connected(lone.broker.administrator_url) as mighty:
            await mighty.publish(
                replace(mighty.message(GenerateRandomRequest(number_of_bytes=1)), body=canary, user_id=None)
            )
            letter = await letters.get()
        assert letter.body == b""
        found = {f"letter {letter.headers}", *map(metrics, workers)}
        await asyncio.gather(*(asyncio.to_thread(worker.stop) for worker in workers))
    found |= {worker.log.read_text() for worker in workers}
    found |= {lone.database.daemon.log.read_text(errors="replace"), lone.broker.daemon.log.read_text(errors="replace")}
    found.add(await asyncio.to_thread(dumped, lone, "--data-only"))
    assert sum('"event": "serving"' in text for text in found) == 2
    for secret in canaries:
        for shape in shapes_of(secret):
            assert not any(shape in text for text in found), f"as {shape[:8]}…"


async def succeed(boss: Producer, canary: bytes) -> set[bytes]:
    """Let requests with secrets succeed in both encodings; return the secrets that the service made."""
    made: set[bytes] = set()
    key = (await boss.call(CreateKeyRequest(), CreateKeyReply)).key_metadata.key_id
    for encoding in (JSON, CBOR):
        encrypt = EncryptRequest(key_id=key, plaintext=canary)
        blob = (await boss.call(encrypt, EncryptReply, content_type=encoding)).ciphertext_blob
        decrypted = await boss.call(DecryptRequest(ciphertext_blob=blob), DecryptReply, content_type=encoding)
        assert decrypted.plaintext == canary
        data_key = GenerateDataKeyRequest(key_id=key, key_spec=DataKeySpec.AES_256)
        made.add((await boss.call(data_key, GenerateDataKeyReply, content_type=encoding)).plaintext)
        random = GenerateRandomRequest(number_of_bytes=32)
        made.add((await boss.call(random, GenerateRandomReply, content_type=encoding)).plaintext)
        await boss.do(ReEncryptRequest(ciphertext_blob=blob, destination_key_id=key))
    return made


async def new_key(boss: Producer, spec: KeySpec, usage: KeyUsage, origin: Origin = Origin.AWS_KMS) -> str:
    request = CreateKeyRequest(key_spec=spec, key_usage=usage, origin=origin)
    return (await boss.call(request, CreateKeyReply)).key_metadata.key_id


async def succeed_with_key_pairs_and_imports(boss: Producer, canary: bytes) -> set[bytes]:
    """Sign, make codes, pairs and shared secrets, import; return the secrets that were made or came in."""
    signing = await new_key(boss, KeySpec.ECC_NIST_P256, KeyUsage.SIGN_VERIFY)
    agreeing = await new_key(boss, KeySpec.ECC_NIST_P256, KeyUsage.KEY_AGREEMENT)
    sealing = await new_key(boss, KeySpec.SYMMETRIC_DEFAULT, KeyUsage.ENCRYPT_DECRYPT)
    imported = await new_key(boss, KeySpec.HMAC_256, KeyUsage.GENERATE_VERIFY_MAC, Origin.EXTERNAL)
    await boss.do(
        models.SignRequest(key_id=signing, message=canary, signing_algorithm=SigningAlgorithm.ECDSA_SHA_256),
    )
    pair = await boss.call(
        models.GenerateDataKeyPairRequest(key_id=sealing, key_pair_spec=DataKeyPairSpec.ECC_NIST_P256),
        models.GenerateDataKeyPairReply,
    )
    shared = await boss.call(
        models.DeriveSharedSecretRequest(
            key_id=agreeing, key_agreement_algorithm=KeyAgreementAlgorithm.ECDH, public_key=pair.public_key
        ),
        models.DeriveSharedSecretReply,
    )
    material = secrets.token_bytes(32)
    parameters = await boss.call(
        models.GetParametersForImportRequest(
            key_id=imported,
            wrapping_algorithm=AlgorithmSpec.RSAES_OAEP_SHA_256,
            wrapping_key_spec=WrappingKeySpec.RSA_2048,
        ),
        models.GetParametersForImportReply,
    )
    await boss.do(
        models.ImportKeyMaterialRequest(
            key_id=imported,
            import_token=parameters.import_token,
            encrypted_key_material=wrap_key_material(material, parameters.public_key, AlgorithmSpec.RSAES_OAEP_SHA_256),
            expiration_model=ExpirationModel.KEY_MATERIAL_DOES_NOT_EXPIRE,
        ),
        models.GenerateMacRequest(key_id=imported, message=canary, mac_algorithm=MacAlgorithm.HMAC_SHA_256),
    )
    return {pair.private_key_plaintext, shared.shared_secret, material}


async def succeed_and_fail_in_batches(boss: Producer, canary: bytes) -> set[bytes]:
    """Let items with secrets succeed and fail, in both encodings; return the secrets that the service made."""
    made: set[bytes] = set()
    key = await new_key(boss, KeySpec.SYMMETRIC_DEFAULT, KeyUsage.ENCRYPT_DECRYPT)
    maker = await new_key(boss, KeySpec.HMAC_256, KeyUsage.GENERATE_VERIFY_MAC)
    data_keys = models.BatchGenerateDataKeyRequest(key_id=key, number_of_keys=3, key_spec=DataKeySpec.AES_256)
    for encoding in (JSON, CBOR):
        encrypt = models.BatchEncryptRequest(key_id=key, plaintexts=[canary, canary * 200, canary])
        sealed = await boss.call(encrypt, models.BatchEncryptReply, content_type=encoding)
        assert [blob is None for blob in sealed.ciphertext_blobs] == [False, True, False]
        decrypt = models.BatchDecryptRequest(ciphertext_blobs=[canary, sealed.ciphertext_blobs[0] or b"", canary * 9])
        opened = await boss.call(decrypt, models.BatchDecryptReply, content_type=encoding)
        assert opened.plaintexts == [None, canary, None]
        generated = await boss.call(data_keys, models.BatchGenerateDataKeyReply, content_type=encoding)
        made |= {data_key for data_key in generated.plaintexts if data_key}
        await boss.do(
            models.BatchReEncryptRequest(ciphertext_blobs=decrypt.ciphertext_blobs, destination_key_id=key),
            models.BatchGenerateMacRequest(
                key_id=maker, messages=[canary, canary * 200], mac_algorithm=MacAlgorithm.HMAC_SHA_256
            ),
        )
        wrong = encrypt.model_copy(update={"key_id": "alias/none"})
        assert (await boss.error(wrong, content_type=encoding)).code == "NotFoundException"
    assert len(made) == 6
    return made


async def fail(boss: Producer, canary: bytes) -> None:
    """Let requests with a secret fail at every step that can fail."""
    text, encoded = canary.decode(), base64.b64encode(canary).decode()
    honest = boss.message(EncryptRequest(key_id="alias/none", plaintext=canary))
    spoilt = [
        honest,
        replace(honest, body=honest.body[:-1]),
        replace(honest, body=honest.body.replace(b"Plaintext", b"Plaintxet")),
        replace(honest, body=b'{"KeyId": "%s", "Plaintext": 7}' % canary),
        replace(honest, body=b'{"%s": 1}' % canary),
        replace(honest, body=b'{"KeyId": "x", "Plaintext": "%s!"}' % encoded.encode()),
        replace(honest, content_type=CBOR),
        replace(honest, body=canary, content_type=text),
        replace(honest, headers={**honest.headers, "deadline": text}),
        replace(honest, headers={**honest.headers, "kmsq-version": text}),
        replace(honest, headers={**honest.headers, "deadline": raw.deadline_in(-1)}),
        boss.message(EncryptRequest(key_id="alias/none", plaintext=canary * 100)),
        boss.message(DecryptRequest(ciphertext_blob=canary)),
        boss.message(models.BatchEncryptRequest.model_construct(key_id="k", plaintexts=[canary] * 10_001)),
        replace(
            boss.message(models.BatchEncryptRequest(key_id="k", plaintexts=[b"x"])),
            body=b'{"KeyId": "k", "Plaintexts": ["%s!"]}' % encoded.encode(),
        ),
    ]
    for message in spoilt:
        fresh = replace(message, message_id=str(uuid4()), correlation_id=uuid4().hex)
        answer = await boss.ask(fresh)
        assert answer.code != SUCCESS
        # A field's name is told to its sender, a value never.
        assert canary not in answer.body or message.body.startswith(b'{"canary')


async def test_a_worker_serves_nothing_but_health_and_metrics_over_http(stack: PrivateStack) -> None:
    def status(worker: Worker, method: str, path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", worker.health_port, timeout=5)
        try:
            connection.request(method, path)
            return connection.getresponse().status
        finally:
            connection.close()

    worker = stack.workers[0]
    for path in ("/livez", "/readyz", "/metrics"):
        assert await asyncio.to_thread(status, worker, "GET", path) == 200
    for path in ("/", "/debug", "/metrics/../etc/passwd"):
        assert await asyncio.to_thread(status, worker, "GET", path) == 404
    assert await asyncio.to_thread(status, worker, "POST", "/metrics") == 501


async def test_no_metric_is_labelled_with_a_key_or_a_principal(stack: PrivateStack, admin: Producer) -> None:
    key = (await admin.call(CreateKeyRequest(), CreateKeyReply)).key_metadata.key_id
    await admin.do(EncryptRequest(key_id=key, plaintext=b"x"))
    for worker in stack.workers:
        text = metrics(worker)
        assert key not in text
        assert 'admin"' not in text.replace('lane="admin"', "")


def test_the_workers_logs_are_json_lines_of_allowed_fields(stack: PrivateStack) -> None:
    allowed = LOG_FIELDS | {"time", "level", "logger", "event", "exception", "process"}
    for worker in stack.workers:
        for line in worker.log.read_text().splitlines():
            assert json.loads(line).keys() <= allowed
