"""What the models promise their Python callers: secrets stay out of sight, times are exact, members fit together."""

import copy
import pickle
from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from kmsq_schemas import limits
from kmsq_schemas.codec import ContentType, MalformedBody, decode, encode
from kmsq_schemas.models import (
    AliasListEntry,
    BatchDecryptReply,
    BatchEncryptRequest,
    BatchGenerateDataKeyReply,
    BatchGenerateMacRequest,
    CreateAliasRequest,
    CreateKeyRequest,
    DataKeyPairSpec,
    DataKeySpec,
    DecapsulateReply,
    DecryptReply,
    DeriveSharedSecretReply,
    EncapsulateReply,
    EncapsulationAlgorithm,
    EncryptionAlgorithm,
    EncryptRequest,
    ExpirationModel,
    GenerateDataKeyPairReply,
    GenerateDataKeyReply,
    GenerateDataKeyRequest,
    GenerateDataKeyWithoutPlaintextRequest,
    GenerateMacRequest,
    GenerateRandomReply,
    GetParametersForImportReply,
    ImportKeyMaterialRequest,
    KeyAgreementAlgorithm,
    KeySpec,
    KeyUsage,
    MacAlgorithm,
    Origin,
    RotationsListEntry,
    SigningAlgorithm,
    SignRequest,
    UsedMaterial,
    VerifyMacRequest,
    VerifyRequest,
)
from kmsq_schemas.models.base import Reply, Request, Unpicklable
from kmsq_schemas.operations import SPECS

SECRET = b"secret-bytes"
MATERIAL = "0" * limits.KEY_MATERIAL_ID_CHARS
BEARERS: list[Request | Reply] = [
    EncryptRequest(key_id="k", plaintext=SECRET),
    DecryptReply(key_id="k", plaintext=SECRET, encryption_algorithm=EncryptionAlgorithm.SYMMETRIC_DEFAULT),
    GenerateDataKeyReply(ciphertext_blob=b"c", plaintext=SECRET, key_id="k"),
    GenerateRandomReply(plaintext=SECRET),
    GenerateDataKeyPairReply(
        private_key_ciphertext_blob=b"c",
        private_key_plaintext=SECRET,
        public_key=b"p",
        key_id="k",
        key_pair_spec=DataKeyPairSpec.ECC_NIST_P256,
    ),
    SignRequest(key_id="k", message=SECRET, signing_algorithm=SigningAlgorithm.ECDSA_SHA_256),
    VerifyRequest(key_id="k", message=SECRET, signature=b"s", signing_algorithm=SigningAlgorithm.ECDSA_SHA_256),
    DeriveSharedSecretReply(
        key_id="k",
        shared_secret=SECRET,
        key_agreement_algorithm=KeyAgreementAlgorithm.ECDH,
        key_origin=Origin.AWS_KMS,
    ),
    EncapsulateReply(
        key_id="k",
        shared_secret=SECRET,
        shared_secret_ciphertext_blob=b"c",
        encapsulation_algorithm=EncapsulationAlgorithm.ML_KEM,
    ),
    DecapsulateReply(key_id="k", shared_secret=SECRET, encapsulation_algorithm=EncapsulationAlgorithm.ML_KEM),
    GenerateMacRequest(key_id="k", message=SECRET, mac_algorithm=MacAlgorithm.HMAC_SHA_256),
    VerifyMacRequest(key_id="k", message=SECRET, mac=b"m", mac_algorithm=MacAlgorithm.HMAC_SHA_256),
    BatchEncryptRequest(key_id="k", plaintexts=[SECRET]),
    BatchDecryptReply(
        plaintexts=[SECRET, None],
        encryption_algorithm=EncryptionAlgorithm.SYMMETRIC_DEFAULT,
        key_materials=[UsedMaterial(key_id="k", key_material_id=MATERIAL)],
        key_material_indexes=[0, None],
        failed=[],
    ),
    BatchGenerateDataKeyReply(
        key_id="k", key_material_id=MATERIAL, plaintexts=[SECRET], ciphertext_blobs=[b"c"], failed=[]
    ),
    BatchGenerateMacRequest(key_id="k", messages=[SECRET], mac_algorithm=MacAlgorithm.HMAC_SHA_256),
]
SECRET_MEMBERS = {"plaintext", "plaintexts", "private_key_plaintext", "shared_secret", "message", "messages"}
MESSAGES = [model for spec in SPECS.values() for model in (spec.request, spec.reply)]


@pytest.mark.parametrize("message", BEARERS, ids=lambda message: type(message).__name__)
def test_a_secret_is_not_printed(message: Request | Reply) -> None:
    assert SECRET.decode() not in repr(message)
    assert SECRET.decode() not in str(message)
    assert "key_id='k'" in repr(message) or isinstance(message, GenerateRandomReply)


@pytest.mark.parametrize("message", BEARERS, ids=lambda message: type(message).__name__)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_is_not_pickled(message: Request | Reply, protocol: int) -> None:
    with pytest.raises(TypeError, match="bears a secret"):
        pickle.dumps(message, protocol)


def test_every_message_with_a_secret_is_a_bearer() -> None:
    with_secret = {model for model in MESSAGES if SECRET_MEMBERS & model.model_fields.keys()}
    assert with_secret == {type(message) for message in BEARERS}
    assert with_secret == {model for model in MESSAGES if issubclass(model, Unpicklable)}


def test_an_import_token_is_not_printed() -> None:
    request = ImportKeyMaterialRequest(
        key_id="k",
        import_token=SECRET,
        encrypted_key_material=b"wrapped",
        expiration_model=ExpirationModel.KEY_MATERIAL_DOES_NOT_EXPIRE,
    )
    reply = GetParametersForImportReply(
        key_id="k", import_token=SECRET, public_key=b"public", parameters_valid_to=datetime(2026, 1, 1, tzinfo=UTC)
    )
    assert "secret" not in repr(request) + repr(reply)
    assert "wrapped" in repr(request)
    assert "public" in repr(reply)


def test_an_error_of_a_constructor_does_not_print_its_input() -> None:
    with pytest.raises(ValidationError) as caught:
        EncryptRequest(key_id="k", plaintext=SECRET * 1000)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("model", MESSAGES, ids=lambda model: model.__name__)
def test_messages_are_strict_and_frozen(model: type[Request | Reply]) -> None:
    config = model.model_config
    assert (config["strict"], config["frozen"], config["hide_input_in_errors"]) == (True, True, True)
    assert config["extra"] == ("forbid" if issubclass(model, Request) else "ignore")


def test_a_message_can_be_copied_in_memory() -> None:
    assert copy.deepcopy(BEARERS[0]) == BEARERS[0]


@pytest.mark.parametrize("content_type", ContentType)
@pytest.mark.parametrize(
    "moment",
    [
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2026, 2, 28, 23, 59, 59, 999_000, tzinfo=UTC),
        datetime(2038, 1, 19, 3, 14, 8, 1000, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 58, 999_000, tzinfo=UTC),
    ],
)
def test_times_keep_their_milliseconds(moment: datetime, content_type: ContentType) -> None:
    entry = RotationsListEntry(key_id="k", valid_to=moment)
    back = decode(RotationsListEntry, encode(entry, content_type), content_type).valid_to
    assert back == moment
    assert back is not None
    assert back.tzinfo is UTC


def test_times_are_seconds_on_the_wire_and_cut_to_milliseconds() -> None:
    entry = RotationsListEntry(key_id="k", valid_to=datetime(2001, 9, 9, 1, 46, 40, 123_999, tzinfo=UTC))
    assert encode(entry, ContentType.JSON) == b'{"KeyId":"k","ValidTo":1000000000.123}'
    body = b'{"KeyId":"k","ValidTo":1000000000}'
    assert decode(RotationsListEntry, body, ContentType.JSON).valid_to == datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC)


def test_a_time_of_another_zone_is_the_same_moment_in_utc() -> None:
    berlin = timezone(timedelta(hours=2))
    entry = RotationsListEntry(key_id="k", valid_to=datetime(2026, 7, 1, 2, tzinfo=berlin))
    assert entry.valid_to == datetime(2026, 7, 1, tzinfo=UTC)
    assert entry.valid_to.tzinfo is UTC


@pytest.mark.parametrize("value", ["-1", "253402300800", "1e300", '"2026-01-01T00:00:00Z"', "true", "[]"])
def test_other_times_are_refused_on_the_wire(value: str) -> None:
    with pytest.raises(MalformedBody, match="'validTo'"):
        decode(RotationsListEntry, f'{{"KeyId":"k","ValidTo":{value}}}'.encode(), ContentType.JSON)


@pytest.mark.parametrize("value", [datetime(2026, 1, 1), 0, 0.0, "2026-01-01"])  # noqa: DTZ001 -- naive is the point
def test_other_times_are_refused_in_python(value: object) -> None:
    with pytest.raises(ValidationError):
        RotationsListEntry.model_validate({"key_id": "k", "valid_to": value})


@pytest.mark.parametrize("model", [GenerateDataKeyRequest, GenerateDataKeyWithoutPlaintextRequest])
def test_a_data_key_has_exactly_one_length(
    model: type[GenerateDataKeyRequest | GenerateDataKeyWithoutPlaintextRequest],
) -> None:
    assert model(key_id="k", key_spec=DataKeySpec.AES_256).data_key_bytes == 32
    assert model(key_id="k", key_spec=DataKeySpec.AES_128).data_key_bytes == 16
    assert model(key_id="k", number_of_bytes=7).data_key_bytes == 7
    with pytest.raises(ValidationError, match="either number of bytes or key spec"):
        model(key_id="k")
    with pytest.raises(ValidationError, match="either number of bytes or key spec"):
        model(key_id="k", key_spec=DataKeySpec.AES_128, number_of_bytes=16)


def test_a_new_key_has_one_spec_and_the_usage_that_it_needs() -> None:
    assert CreateKeyRequest().spec is KeySpec.SYMMETRIC_DEFAULT
    old = b'{"CustomerMasterKeySpec":"RSA_2048","KeyUsage":"SIGN_VERIFY"}'
    assert decode(CreateKeyRequest, old, ContentType.JSON).spec is KeySpec.RSA_2048
    assert CreateKeyRequest(key_spec=KeySpec.SM2, key_usage=KeyUsage.SIGN_VERIFY).spec is KeySpec.SM2
    with pytest.raises(ValidationError, match="You must specify a KeyUsage value"):
        CreateKeyRequest(key_spec=KeySpec.HMAC_256)
    with pytest.raises(MalformedBody, match="You cannot specify KeySpec and CustomerMasterKeySpec"):
        decode(
            CreateKeyRequest,
            b'{"CustomerMasterKeySpec":"SYMMETRIC_DEFAULT","KeySpec":"SYMMETRIC_DEFAULT"}',
            ContentType.JSON,
        )


@pytest.mark.parametrize("name", ["app", "Alias/app", "alias", "", "alias/" + "a" * 251, "alias/a b", "alias/a\n"])
def test_an_alias_is_a_name_in_its_namespace(name: str) -> None:
    with pytest.raises(ValidationError):
        CreateAliasRequest(alias_name=name, target_key_id="k")
    assert CreateAliasRequest(alias_name="alias/a/b:c_d-E9", target_key_id="k").alias_name == "alias/a/b:c_d-E9"


def test_an_alias_may_have_256_characters() -> None:
    name = "alias/" + "a" * (limits.ALIAS_MAX_CHARS - len("alias/"))
    assert CreateAliasRequest(alias_name=name, target_key_id="k").alias_name == name
    assert AliasListEntry.model_fields["alias_name"].is_required()


@pytest.mark.parametrize(("size", "accepted"), [(8192 - 8 - 1, True), (8192 - 8, False)])
@pytest.mark.parametrize("character", ["a", "ä", "🔑"])
def test_a_context_has_at_most_8192_bytes_with_its_lengths(size: int, character: str, *, accepted: bool) -> None:
    width = len(character.encode())
    context = {"k": character * (size // width) + "a" * (size % width)}
    if accepted:
        assert EncryptRequest(key_id="k", plaintext=b"p", encryption_context=context).encryption_context == context
    else:
        with pytest.raises(ValidationError, match="8192 bytes"):
            EncryptRequest(key_id="k", plaintext=b"p", encryption_context=context)


@pytest.mark.parametrize("context", [{"\ud800": "a"}, {"a": "\udfff"}])
def test_a_context_of_python_has_no_lone_surrogates_either(context: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="lone surrogates"):
        EncryptRequest(key_id="k", plaintext=b"p", encryption_context=context)


def test_enumerations_are_taken_by_member_or_text() -> None:
    by_text = GenerateDataKeyRequest.model_validate({"key_id": "k", "key_spec": "AES_256"})
    assert by_text.key_spec is DataKeySpec.AES_256
    with pytest.raises(ValidationError):
        GenerateDataKeyRequest.model_validate({"key_id": "k", "key_spec": b"AES_256"})


def test_pydantic_s_own_json_methods_use_standard_base64_too() -> None:
    request = EncryptRequest(key_id="k", plaintext=b"\xfb\xff")
    assert '"+/8="' in request.model_dump_json()
    assert EncryptRequest.model_validate_json('{"KeyId":"k","Plaintext":"+/8="}') == request
    with pytest.raises(ValidationError, match="canonical base64"):
        EncryptRequest.model_validate_json('{"KeyId":"k","Plaintext":"-_8="}')
