"""Which statement speaks about which access: principals, actions, resources. A table."""

import json
from typing import Any, NamedTuple

import pytest

from kmsq_worker.policy.document import parse
from kmsq_worker.policy.evaluate import Access, Decision, evaluate

ALICE = "arn:kmsq:iam::111122223333:user/alice"
BOB = "arn:kmsq:iam::111122223333:user/bob"
ROOT = "arn:kmsq:iam::111122223333:root"
ELSEWHERE = "arn:kmsq:iam::444455556666:user/alice"
KEY = "arn:kmsq:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
OTHER_KEY = KEY.replace("1234abcd", "ffffffff")
ALIAS = "arn:kmsq:kms:eu-central-1:111122223333:alias/alice/blue"

ALLOW, DENY, NEUTRAL = Decision.ALLOW, Decision.DENY, Decision.NEUTRAL


class Case(NamedTuple):
    """The statements, each with what differs from an Allow of everything, and who gets what."""

    statements: list[dict[str, Any]]
    expected: Decision
    principal: str = ALICE
    action: str = "kms:Encrypt"
    resource: str = KEY


def deny(**changes: Any) -> dict[str, Any]:
    return {"Effect": "Deny", **changes}


def named(arn: str) -> dict[str, Any]:
    return {"Principal": {"AWS": arn}}


CASES = {
    # principals
    "everyone": Case([{}], ALLOW),
    "one user": Case([named(ALICE)], ALLOW),
    "another user": Case([named(BOB)], NEUTRAL),
    "one of several": Case([{"Principal": {"AWS": [BOB, ALICE]}}], ALLOW),
    "the same name in another account": Case([named(ELSEWHERE)], NEUTRAL),
    "the root is no user": Case([named(ROOT)], NEUTRAL),
    "the account id is the root": Case([named("111122223333")], NEUTRAL),
    "denying the root denies its users": Case([{}, deny(**named(ROOT))], DENY),
    "denying the account denies its users": Case([{}, deny(**named("111122223333"))], DENY),
    "denying another account": Case([{}, deny(**named("444455556666"))], ALLOW),
    "denying another user": Case([{}, deny(**named(BOB))], ALLOW),
    "denying all but him": Case([{}, deny(Principal=None, NotPrincipal={"AWS": ALICE})], ALLOW),
    "denying all but another": Case([{}, deny(Principal=None, NotPrincipal={"AWS": BOB})], DENY),
    "denying all but the root": Case([{}, deny(Principal=None, NotPrincipal={"AWS": ROOT})], DENY),
    "names are exact": Case([named(ALICE + "s")], NEUTRAL),
    # decisions
    "a deny wins over an allow": Case([{}, deny()], DENY),
    "a deny wins wherever it stands": Case([deny(), {}], DENY),
    "a deny without an allow": Case([deny()], DENY),
    "a deny of something else": Case([{}, deny(Action="kms:Decrypt")], ALLOW),
    "one allow is enough": Case([{"Action": "kms:Decrypt"}, {}], ALLOW),
    # actions
    "all actions": Case([{"Action": "*"}], ALLOW),
    "all of the service": Case([{"Action": "kms:*"}], ALLOW),
    "this action": Case([{"Action": "kms:Encrypt"}], ALLOW),
    "this action in a list": Case([{"Action": ["kms:Decrypt", "kms:Encrypt"]}], ALLOW),
    "another action": Case([{"Action": "kms:Decrypt"}], NEUTRAL),
    "actions ignore case": Case([{"Action": "KMS:eNCRYPT"}], ALLOW),
    "actions ignore case both ways": Case([{"Action": "kms:Encrypt"}], ALLOW, action="kms:ENCRYPT"),
    "a prefix": Case([{"Action": "kms:GenerateDataKey*"}], ALLOW, action="kms:GenerateDataKeyWithoutPlaintext"),
    "a prefix may be the whole": Case([{"Action": "kms:GenerateDataKey*"}], ALLOW, action="kms:GenerateDataKey"),
    "a prefix that is not met": Case([{"Action": "kms:GenerateData*"}], NEUTRAL),
    "an action is no prefix": Case([{"Action": "kms:GenerateDataKey"}], NEUTRAL, action="kms:GenerateDataKeyPair"),
    "a suffix": Case([{"Action": "kms:*crypt"}], ALLOW),
    "a suffix, not met": Case([{"Action": "kms:*crypt"}], NEUTRAL, action="kms:ReEncryptTo"),
    "the middle": Case([{"Action": "kms:*Crypt*"}], ALLOW, action="kms:ReEncryptFrom"),
    "one character": Case([{"Action": "kms:??crypt"}], ALLOW),
    "one character is one": Case([{"Action": "kms:?crypt"}], NEUTRAL),
    "a star after a character": Case([{"Action": "kms:Encrypt?*"}], NEUTRAL),
    "all but another action": Case([{"Action": None, "NotAction": "kms:Decrypt"}], ALLOW),
    "all but this action": Case([{"Action": None, "NotAction": ["kms:Enc*", "kms:Decrypt"]}], NEUTRAL),
    "denying all but this action": Case([{}, deny(Action=None, NotAction="kms:encrypt")], ALLOW),
    "denying all but another action": Case([{}, deny(Action=None, NotAction="kms:Decrypt")], DENY),
    "all but everything": Case([{"Action": None, "NotAction": "*"}], NEUTRAL),
    # resources
    "this key": Case([{"Resource": KEY}], ALLOW),
    "another key": Case([{"Resource": OTHER_KEY}], NEUTRAL),
    "all keys": Case([{"Resource": "arn:kmsq:kms:eu-central-1:111122223333:key/*"}], ALLOW),
    "all keys everywhere": Case([{"Resource": "arn:kmsq:kms:*:*:key/*"}], ALLOW),
    "keys are no aliases": Case([{"Resource": "arn:kmsq:kms:*:*:key/*"}], NEUTRAL, resource=ALIAS),
    "all keys elsewhere": Case([{"Resource": "arn:kmsq:kms:us-*:*:key/*"}], NEUTRAL),
    "some keys": Case([{"Resource": "arn:kmsq:kms:*:*:key/1234*-1234567890a?"}], ALLOW),
    "ARNs keep their case": Case([{"Resource": KEY.upper().replace("ARN:", "arn:")}], NEUTRAL),
    "a star stays in its part": Case([{"Resource": "arn:kmsq:kms:*:key/*:*"}], NEUTRAL),
    "a star stays in its part, denying": Case([{}, deny(Resource="arn:*:*:*:*:key/*")], DENY),
    "a star in the last part crosses": Case(
        [{"Resource": "arn:kmsq:kms:*:*:alias/a*blue"}], ALLOW, resource=ALIAS.replace("alice/", "a:b/c:")
    ),
    "the caller's own aliases": Case([{"Resource": "arn:kmsq:kms:*:*:alias/${aws:username}/*"}], ALLOW, resource=ALIAS),
    "the caller's own alias by name": Case(
        [{"Resource": "arn:kmsq:kms:eu-central-1:111122223333:alias/${AWS:UserName}/blue"}], ALLOW, resource=ALIAS
    ),
    "another's aliases": Case(
        [{"Resource": "arn:kmsq:kms:*:*:alias/${aws:username}/*"}], NEUTRAL, principal=BOB, resource=ALIAS
    ),
    "a literal star": Case([{"Resource": "arn:kmsq:kms:*:*:alias/${*}"}], NEUTRAL, resource=ALIAS),
    "a literal star, met": Case(
        [{"Resource": "arn:kmsq:kms:*:*:alias/${*}${?}${$}"}], ALLOW, resource=ALIAS[: ALIAS.index("alice")] + "*?$"
    ),
    "a dollar is a dollar": Case(
        [{"Resource": "arn:kmsq:kms:*:*:alias/$x"}], ALLOW, resource=ALIAS[: ALIAS.index("alice")] + "$x"
    ),
    "all but another key": Case([{"Resource": None, "NotResource": OTHER_KEY}], ALLOW),
    "all but this key": Case([{"Resource": None, "NotResource": KEY}], NEUTRAL),
    "no key needs a star": Case([{"Resource": "*"}], ALLOW, action="kms:CreateKey", resource="*"),
    "no key is no key": Case([{"Resource": "arn:*:*:*:*:*"}], NEUTRAL, action="kms:CreateKey", resource="*"),
    "no key is none of the others": Case(
        [{"Resource": None, "NotResource": KEY}], ALLOW, action="kms:CreateKey", resource="*"
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_decision_is(case: Case) -> None:
    plain = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}
    wholes = [{**plain, **changes} for changes in case.statements]
    statements = [{name: value for name, value in whole.items() if value is not None} for whole in wholes]
    policy = parse(json.dumps({"Version": "2012-10-17", "Statement": statements}))
    access = Access(principal=case.principal, action=case.action, resource=case.resource)
    assert evaluate(policy, access) is case.expected
