"""Which keys a request needs, for what most operations need; others say so beside their function."""

from collections.abc import Sequence

from kmsq_schemas.models import (
    BatchEncryptRequest,
    BatchGenerateDataKeyRequest,
    BatchGenerateDataKeyWithoutPlaintextRequest,
    BatchGenerateMacRequest,
    DecapsulateRequest,
    DeriveSharedSecretRequest,
    DescribeKeyRequest,
    EncapsulateRequest,
    EncryptRequest,
    GenerateDataKeyPairRequest,
    GenerateDataKeyPairWithoutPlaintextRequest,
    GenerateDataKeyRequest,
    GenerateDataKeyWithoutPlaintextRequest,
    GenerateMacRequest,
    GetKeyLastUsageRequest,
    GetKeyPolicyRequest,
    GetKeyRotationStatusRequest,
    GetParametersForImportRequest,
    GetPublicKeyRequest,
    ListGrantsRequest,
    ListKeyPoliciesRequest,
    ListKeyRotationsRequest,
    ListResourceTagsRequest,
    SignRequest,
    VerifyMacRequest,
    VerifyRequest,
)
from kmsq_worker.arn import Account, parse_key_reference
from kmsq_worker.view import Wanted

NamesKey = (
    BatchEncryptRequest
    | BatchGenerateDataKeyRequest
    | BatchGenerateDataKeyWithoutPlaintextRequest
    | BatchGenerateMacRequest
    | DecapsulateRequest
    | DeriveSharedSecretRequest
    | DescribeKeyRequest
    | EncapsulateRequest
    | EncryptRequest
    | GenerateDataKeyPairRequest
    | GenerateDataKeyPairWithoutPlaintextRequest
    | GenerateDataKeyRequest
    | GenerateDataKeyWithoutPlaintextRequest
    | GenerateMacRequest
    | GetKeyLastUsageRequest
    | GetKeyPolicyRequest
    | GetKeyRotationStatusRequest
    | GetParametersForImportRequest
    | GetPublicKeyRequest
    | ListGrantsRequest
    | ListKeyPoliciesRequest
    | ListKeyRotationsRequest
    | ListResourceTagsRequest
    | SignRequest
    | VerifyMacRequest
    | VerifyRequest
)
"""The requests whose `KeyId` is all that they need to name."""


def the_key(account: Account, request: NamesKey) -> Sequence[Wanted]:
    """Need the key that the request names, with its current material."""
    return (Wanted(parse_key_reference(request.key_id, account)),)


def nothing(_account: Account, _request: object) -> Sequence[Wanted]:
    """Need no key."""
    return ()
