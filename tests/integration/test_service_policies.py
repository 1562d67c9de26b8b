"""Who may do what: default deny, an explicit deny wins, creating, encrypting and decrypting are separate."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from integration import raw
from integration.raw import SUCCESS, Producer
from kmsq_schemas import models
from kmsq_schemas.models import CreateKeyReply, CreateKeyRequest, DecryptRequest, EncryptReply, EncryptRequest
from kmsq_schemas.models.enums import DataKeySpec
from services.stack import PrivateStack

DENIED = "AccessDeniedException"
USER = "arn:kmsq:iam::000000000000:user/"
ROOT = "arn:kmsq:iam::000000000000:root"


def statement(who: str, *actions: str, effect: str = "Allow", **more: object) -> dict[str, object]:
    principal = who if who == "*" else {"AWS": who if who.startswith("arn:") else USER + who}
    return {"Effect": effect, "Principal": principal, "Action": list(actions), "Resource": "*", **more}


def policy(*statements: dict[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


ADMINISTER = statement("admin", "kms:*")


async def new_key(producer: Producer, **fields: str) -> str:
    made = await producer.call(CreateKeyRequest(**fields), CreateKeyReply)  # type: ignore[arg-type]
    return made.key_metadata.key_id


async def put(admin: Producer, key: str, *statements: dict[str, object]) -> None:
    await admin.do(models.PutKeyPolicyRequest(key_id=key, policy=policy(ADMINISTER, *statements)))


@dataclass(frozen=True)
class Roles:
    """A principal of each kind, connected."""

    admin: Producer
    carol: Producer
    enc: Producer
    dec: Producer


@pytest.fixture
async def roles(principals: dict[str, str]) -> AsyncGenerator[Roles]:
    async with AsyncExitStack() as connections:
        yield Roles(
            **{name: await connections.enter_async_context(raw.connected(url)) for name, url in principals.items()}
        )


async def test_creating_encrypting_and_decrypting_are_separate(roles: Roles) -> None:
    key = await new_key(roles.admin)
    await put(roles.admin, key, statement("enc", "kms:Encrypt", "kms:GenerateDataKey"), statement("dec", "kms:Decrypt"))
    blob = (await roles.enc.call(EncryptRequest(key_id=key, plaintext=b"x"), EncryptReply)).ciphertext_blob
    assert await roles.enc.code(models.GenerateDataKeyRequest(key_id=key, key_spec=DataKeySpec.AES_256)) == SUCCESS
    assert await roles.dec.code(DecryptRequest(ciphertext_blob=blob)) == SUCCESS
    without = models.GenerateDataKeyWithoutPlaintextRequest(key_id=key, key_spec=DataKeySpec.AES_256)
    assert await roles.enc.code(without) == DENIED  # a permission of its own
    # The broker stops what a role may not even ask for.
    for producer, request in ((roles.enc, DecryptRequest(ciphertext_blob=blob)), (roles.dec, CreateKeyRequest())):
        with pytest.raises(raw.PUBLISH_REFUSED):
            await producer.publish(producer.message(request))


async def test_whoever_may_ask_for_everything_may_do_nothing_without_a_policy(roles: Roles) -> None:
    key = await new_key(roles.admin)
    blob = (await roles.admin.call(EncryptRequest(key_id=key, plaintext=b"x"), EncryptReply)).ciphertext_blob
    own = json.dumps(policy(statement("carol", "kms:*")))
    requests: list[models.Request] = [
        CreateKeyRequest(),
        CreateKeyRequest(policy=policy(statement("carol", "kms:*"))),
        models.ListKeysRequest(),
        models.ListAliasesRequest(),
        models.GenerateRandomRequest(number_of_bytes=1),
        models.GetAccountPolicyRequest(),
        models.PutAccountPolicyRequest(policy=own, bypass_policy_lockout_safety_check=True),
        EncryptRequest(key_id=key, plaintext=b"x"),
        DecryptRequest(ciphertext_blob=blob),
        models.ReEncryptRequest(ciphertext_blob=blob, destination_key_id=key),
        models.GenerateDataKeyRequest(key_id=key, number_of_bytes=1),
        models.GenerateDataKeyWithoutPlaintextRequest(key_id=key, number_of_bytes=1),
        models.DescribeKeyRequest(key_id=key),
        models.GetKeyPolicyRequest(key_id=key),
        models.PutKeyPolicyRequest(key_id=key, policy=own, bypass_policy_lockout_safety_check=True),
        models.ListKeyRotationsRequest(key_id=key),
        models.RotateKeyOnDemandRequest(key_id=key),
        models.UpdateKeyDescriptionRequest(key_id=key, description="x"),
        models.CreateAliasRequest(alias_name="alias/carols", target_key_id=key),
        models.DisableKeyRequest(key_id=key),
        models.EnableKeyRequest(key_id=key),
        models.ScheduleKeyDeletionRequest(key_id=key),
        models.CancelKeyDeletionRequest(key_id=key),
    ]
    codes = await asyncio.gather(*map(roles.carol.code, requests))
    assert dict(zip(map(type, requests), codes, strict=True)) == dict.fromkeys(map(type, requests), DENIED)


async def test_an_administrator_may_administer_a_key_that_another_created_and_not_use_it(roles: Roles) -> None:
    account = (await roles.admin.call(models.GetAccountPolicyRequest(), models.GetAccountPolicyReply)).policy
    extended = json.loads(account)
    extended["Statement"].append(statement("carol", "kms:CreateKey"))
    await roles.admin.do(models.PutAccountPolicyRequest(policy=json.dumps(extended)))
    try:
        key = await new_key(roles.carol)
    finally:
        await roles.admin.do(models.PutAccountPolicyRequest(policy=account))
    blob = (await roles.carol.call(EncryptRequest(key_id=key, plaintext=b"x"), EncryptReply)).ciphertext_blob
    assert await roles.admin.code(EncryptRequest(key_id=key, plaintext=b"x")) == DENIED
    assert await roles.admin.code(DecryptRequest(ciphertext_blob=blob)) == DENIED
    assert await roles.admin.code(models.DisableKeyRequest(key_id=key)) == SUCCESS
    assert await roles.admin.code(models.GetKeyPolicyRequest(key_id=key)) == SUCCESS
    assert await roles.carol.code(CreateKeyRequest()) == DENIED


async def test_an_explicit_deny_wins_wherever_it_stands(roles: Roles) -> None:
    key = await new_key(roles.admin)
    encrypt = EncryptRequest(key_id=key, plaintext=b"x")
    allow, deny = statement("enc", "kms:*"), statement("enc", "kms:Enc*", effect="Deny")
    for statements in ([allow, deny], [deny, allow], [allow, statement("*", "kms:Encrypt", effect="Deny")]):
        await put(roles.admin, key, *statements)
        assert await roles.enc.code(encrypt) == DENIED
    await put(roles.admin, key, allow)
    assert await roles.enc.code(encrypt) == SUCCESS


async def test_the_account_policy_adds_where_the_key_policy_names_the_root_and_denies_everywhere(
    roles: Roles,
) -> None:
    delegating, closed = await new_key(roles.admin), await new_key(roles.admin)
    await put(roles.admin, delegating, statement(ROOT, "kms:*"))
    account = (await roles.admin.call(models.GetAccountPolicyRequest(), models.GetAccountPolicyReply)).policy
    statements = json.loads(account)["Statement"]
    encrypts = [EncryptRequest(key_id=key, plaintext=b"x") for key in (delegating, closed)]
    try:
        allowing = policy(*statements, statement("enc", "kms:Encrypt"))
        await roles.admin.do(models.PutAccountPolicyRequest(policy=allowing))
        assert [await roles.enc.code(encrypt) for encrypt in encrypts] == [SUCCESS, DENIED]
        await put(roles.admin, closed, statement("enc", "kms:Encrypt"))
        denying = policy(*statements, statement("enc", "kms:Encrypt", effect="Deny"))
        await roles.admin.do(models.PutAccountPolicyRequest(policy=denying))
        assert [await roles.enc.code(encrypt) for encrypt in encrypts] == [DENIED, DENIED]
    finally:
        await roles.admin.do(models.PutAccountPolicyRequest(policy=account))
    assert [await roles.enc.code(encrypt) for encrypt in encrypts] == [DENIED, SUCCESS]


async def test_a_condition_on_the_encryption_context_binds(roles: Roles) -> None:
    key = await new_key(roles.admin)
    condition = {"StringEquals": {"kms:EncryptionContext:tenant": "${aws:username}"}}
    await put(roles.admin, key, statement("enc", "kms:Encrypt", Condition=condition))
    for context, code in (({"tenant": "enc"}, SUCCESS), ({"tenant": "dec"}, DENIED), (None, DENIED), ({}, DENIED)):
        request = EncryptRequest(key_id=key, plaintext=b"x", encryption_context=context)
        assert await roles.enc.code(request) == code


async def test_re_encrypting_needs_a_permission_on_each_side(roles: Roles) -> None:
    source, destination = await new_key(roles.admin), await new_key(roles.admin)
    blob = (await roles.admin.call(EncryptRequest(key_id=source, plaintext=b"x"), EncryptReply)).ciphertext_blob
    request = models.ReEncryptRequest(ciphertext_blob=blob, destination_key_id=destination)
    both = [statement("carol", "kms:ReEncryptFrom"), statement("carol", "kms:ReEncryptTo")]
    for on_source, on_destination, code in (
        ([], [], DENIED),
        ([both[0]], [], DENIED),
        ([], [both[1]], DENIED),
        ([both[1]], [both[0]], DENIED),
        ([both[0]], [both[1]], SUCCESS),
    ):
        await put(roles.admin, source, *on_source)
        await put(roles.admin, destination, *on_destination)
        assert await roles.carol.code(request) == code
    assert await roles.carol.code(DecryptRequest(ciphertext_blob=blob)) == DENIED


async def test_moving_an_alias_needs_a_permission_on_both_keys(roles: Roles) -> None:
    first, second = await new_key(roles.admin), await new_key(roles.admin)
    alias = f"alias/{first}"
    await roles.admin.do(models.CreateAliasRequest(alias_name=alias, target_key_id=first))
    move = models.UpdateAliasRequest(alias_name=alias, target_key_id=second)
    await put(roles.admin, first, statement("carol", "kms:UpdateAlias"))
    assert await roles.carol.code(move) == DENIED
    await put(roles.admin, second, statement("carol", "kms:UpdateAlias"))
    assert await roles.carol.code(move) == SUCCESS


async def test_a_policy_that_would_lock_its_author_out_is_refused_unless_he_insists(
    roles: Roles, stack: PrivateStack
) -> None:
    assert stack.workers
    key = await new_key(roles.admin)
    for locking in (policy(statement("carol", "kms:*")), policy(ADMINISTER, statement("*", "kms:Put*", effect="Deny"))):
        request = models.PutKeyPolicyRequest(key_id=key, policy=locking)
        refused = await roles.admin.error(request)
        assert refused.code == "MalformedPolicyDocumentException"
        assert "will not allow you to update the key policy" in refused.message
        created = await roles.admin.code(CreateKeyRequest(policy=locking))
        assert created == "MalformedPolicyDocumentException"
    await roles.admin.do(
        models.PutKeyPolicyRequest(
            key_id=key, policy=policy(statement("carol", "kms:*")), bypass_policy_lockout_safety_check=True
        )
    )
    assert await roles.admin.code(models.GetKeyPolicyRequest(key_id=key)) == DENIED
    assert await roles.carol.code(models.GetKeyPolicyRequest(key_id=key)) == SUCCESS


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"Version":"2012-10-17","Statement":[]}',
        '{"Version":"2013-01-01","Statement":[]}',
        policy(statement("admin", "s3:*")),
        policy(ADMINISTER, statement("enc", "kms:Encrypt", Condition={"Like": {"kms:KeySpec": "x"}})),
        policy(ADMINISTER, statement("enc", "kms:Encrypt", Condition={"StringEquals": {"kms:Unknown": "x"}})),
        policy(ADMINISTER, statement("enc", "kms:Encrypt", Unknown="x")),
        policy(ADMINISTER, {**ADMINISTER, "Effect": "allow"}),
        policy(ADMINISTER)[:-1] + ',"Statement":[]}',
    ],
)
async def test_a_policy_that_does_not_parse_is_refused_and_changes_nothing(admin: Producer, text: str) -> None:
    key = await new_key(admin)
    before = await admin.call(models.GetKeyPolicyRequest(key_id=key), models.GetKeyPolicyReply)
    malformed = "MalformedPolicyDocumentException"
    assert await admin.code(models.PutKeyPolicyRequest(key_id=key, policy=text)) == malformed
    assert await admin.code(models.PutAccountPolicyRequest(policy=text)) == malformed
    assert await admin.code(CreateKeyRequest(policy=text)) == malformed
    assert await admin.call(models.GetKeyPolicyRequest(key_id=key), models.GetKeyPolicyReply) == before


async def test_a_policy_has_at_most_32_kib_and_only_the_name_default(admin: Producer) -> None:
    key = await new_key(admin)
    text = policy(ADMINISTER)
    for size, code in ((32_768, SUCCESS), (32_769, "LimitExceededException")):
        padded = text + " " * (size - len(text))
        assert await admin.code(models.PutKeyPolicyRequest(key_id=key, policy=padded)) == code
    named = models.PutKeyPolicyRequest(key_id=key, policy=text, policy_name="other")
    assert await admin.code(named) == "NotFoundException"
    assert await admin.code(models.GetKeyPolicyRequest(key_id=key, policy_name="other")) == "NotFoundException"


async def test_a_bootstrap_administrator_can_put_right_an_account_policy_that_locked_everybody_out(
    roles: Roles,
) -> None:
    account = (await roles.admin.call(models.GetAccountPolicyRequest(), models.GetAccountPolicyReply)).policy
    await roles.admin.do(models.PutAccountPolicyRequest(policy=policy(statement("*", "kms:*", effect="Deny"))))
    assert await roles.admin.code(models.ListKeysRequest()) == DENIED
    assert await roles.carol.code(models.PutAccountPolicyRequest(policy=account)) == DENIED
    await roles.admin.do(models.PutAccountPolicyRequest(policy=account))
    assert await roles.admin.code(models.ListKeysRequest()) == SUCCESS
