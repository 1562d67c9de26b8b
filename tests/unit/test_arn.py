"""ARNs, and what a request may write for a key."""

import pytest

from kmsq_worker.arn import Account, KeyReference, KeyReferenceKind, parse_key_reference
from kmsq_worker.errors import InvalidArnException, NotFoundException

ACCOUNT = Account("eu-central-1", "111122223333")
KEY_ID = "1234abcd-12ab-34cd-56ef-1234567890ab"
MULTI_REGION = "mrk-1234abcd12ab34cd56ef1234567890ab"
HERE = "arn:kmsq:kms:eu-central-1:111122223333"


def test_the_arns_of_an_account() -> None:
    assert ACCOUNT.key_arn(KEY_ID) == f"{HERE}:key/{KEY_ID}"
    assert ACCOUNT.alias_arn("alias/x") == f"{HERE}:alias/x"
    assert ACCOUNT.user_arn("alice") == "arn:kmsq:iam::111122223333:user/alice"
    assert ACCOUNT.root_arn == "arn:kmsq:iam::111122223333:root"


def test_accounts_are_equal_by_region_and_id() -> None:
    assert Account("eu-central-1", "111122223333") == ACCOUNT
    assert Account("eu-west-1", "111122223333") != ACCOUNT


@pytest.mark.parametrize(
    ("region", "account_id"),
    [("", "111122223333"), ("eu:x", "111122223333"), ("EU", "111122223333"), ("eu", "1"), ("eu", "11112222333a")],
)
def test_an_account_that_no_arn_could_hold_is_refused(region: str, account_id: str) -> None:
    with pytest.raises(ValueError, match="12-digit"):
        Account(region, account_id)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        (KEY_ID, KeyReferenceKind.KEY_ID, KEY_ID),
        (f"{HERE}:key/{KEY_ID}", KeyReferenceKind.KEY_ID, KEY_ID),
        (MULTI_REGION, KeyReferenceKind.KEY_ID, MULTI_REGION),
        ("alias/a", KeyReferenceKind.ALIAS, "alias/a"),
        ("alias/Team/app:blue_1-2", KeyReferenceKind.ALIAS, "alias/Team/app:blue_1-2"),
        ("alias/aws/s3", KeyReferenceKind.ALIAS, "alias/aws/s3"),
        ("alias/" + "x" * 250, KeyReferenceKind.ALIAS, "alias/" + "x" * 250),
        (f"{HERE}:alias/team:blue", KeyReferenceKind.ALIAS, "alias/team:blue"),
    ],
)
def test_the_four_ways_to_name_a_key(text: str, kind: KeyReferenceKind, value: str) -> None:
    assert parse_key_reference(text, ACCOUNT) == KeyReference(kind, value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        KEY_ID.upper(),
        KEY_ID.replace("-", ""),
        KEY_ID + "\n",
        f" {KEY_ID}",
        f"key/{KEY_ID}",
        "mrk-fake-key-id",
        MULTI_REGION.upper(),
        "alias/",
        "alias/a b",
        "alias/ä",
        "alias/x\n",
        "alias/" + "x" * 251,
        f"{HERE}:key/{KEY_ID.upper()}",
        f"{HERE}:key/",
        f"{HERE}:alias/",
        f"arn:kmsq:kms:eu-central-1:444455556666:key/{KEY_ID}",
    ],
)
def test_what_cannot_name_a_key_is_not_found(text: str) -> None:
    with pytest.raises(NotFoundException) as caught:
        parse_key_reference(text, ACCOUNT)
    assert caught.value.message == f"Invalid keyId '{text}'"


def test_another_region_is_named_in_the_answer() -> None:
    with pytest.raises(NotFoundException, match=r"^Invalid arn us-east-1$"):
        parse_key_reference(f"arn:kmsq:kms:us-east-1:111122223333:key/{KEY_ID}", ACCOUNT)


@pytest.mark.parametrize(
    "text",
    [
        "arn:",
        "arn:kmsq:kms",
        "arn:kmsq:kms:eu-central-1:111122223333",
        f"arn:aws:kms:eu-central-1:111122223333:key/{KEY_ID}",
        f"arn:kmsq:iam:eu-central-1:111122223333:key/{KEY_ID}",
        f"{HERE}:grant/{KEY_ID}",
        f"{HERE}:{KEY_ID}",
        f"{HERE}:",
    ],
)
def test_what_is_no_arn_of_this_service_is_an_invalid_arn(text: str) -> None:
    with pytest.raises(InvalidArnException):
        parse_key_reference(text, ACCOUNT)
