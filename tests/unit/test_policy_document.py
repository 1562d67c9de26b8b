"""What is a policy, what is not, and what the answer says."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from kmsq_worker.errors import LimitExceededException, MalformedPolicyDocumentException
from kmsq_worker.policy.document import MAX_BYTES, parse
from kmsq_worker.policy.keys import ConditionKey

ALICE = "arn:kmsq:iam::111122223333:user/alice"


def statement(**changes: Any) -> dict[str, Any]:
    """Make a statement; a change to `None` leaves the element out."""
    whole = {"Effect": "Allow", "Principal": {"AWS": ALICE}, "Action": "kms:*", "Resource": "*", **changes}
    return {name: value for name, value in whole.items() if value is not None}


def policy(*statements: object, **changes: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements), **changes})


def with_condition(condition: object) -> str:
    return policy(statement(Condition=condition))


ACCEPTED = {
    "plain": policy(statement()),
    "one statement that is no list": json.dumps({"Version": "2012-10-17", "Statement": statement()}),
    "the older version": policy(statement(), Version="2008-10-17"),
    "no version": json.dumps({"Statement": [statement()]}),
    "id": policy(statement(), Id="key-default-1"),
    "a sid with spaces": policy(statement(Sid="Enable the account's policy")),
    "statements without a sid": policy(statement(), statement(), statement(Sid=""), statement(Sid="")),
    "everyone": policy(statement(Principal="*")),
    "everyone, the other way": policy(statement(Principal={"AWS": "*"})),
    "everyone in a list": policy(statement(Principal={"AWS": ["*", ALICE]})),
    "account root": policy(statement(Principal={"AWS": "arn:kmsq:iam::111122223333:root"})),
    "account id": policy(statement(Principal={"AWS": "111122223333"})),
    "all but one": policy(statement(Effect="Deny", Principal=None, NotPrincipal={"AWS": [ALICE]})),
    "actions": policy(statement(Action=["kms:Encrypt", "KMS:Generate*", "kms:?ecrypt", "*"])),
    "other actions": policy(statement(Action=None, NotAction="kms:Decrypt")),
    "a key": policy(statement(Resource="arn:kmsq:kms:eu-central-1:111122223333:key/x")),
    "other resources": policy(statement(Resource=None, NotResource=["arn:kmsq:kms:*:*:key/?*"])),
    "a variable in a resource": policy(statement(Resource="arn:kmsq:kms:*:*:alias/${aws:username}/*")),
    "no conditions": with_condition({}),
    "condition values of all types": with_condition(
        {"StringEquals": {"kms:KeySpec": ["A", 1, 1.5, True]}, "Bool": {"kms:MultiRegion": False}},
    ),
    "dates": with_condition(
        {
            "DateLessThan": {"aws:CurrentTime": ["2030-01-31", "2030-01-31T12:00Z", "2030-01-31T12:00:00.5+02:00"]},
            "DateGreaterThan": {"aws:EpochTime": [1700000000, "1700000000"]},
        },
    ),
    "numbers": with_condition({"NumericEquals": {"kms:RotationPeriodInDays": ["90", 365, "-1.5"]}}),
}

REFUSED = {
    # JSON
    "empty": ("", "JSON: Expecting value"),
    "trailing junk": (policy(statement()) + "x", "JSON: Extra data"),
    "duplicate element": ('{"Version": "2012-10-17", "Version": "2012-10-17"}', "JSON: 'Version' appears twice"),
    "duplicate in a statement": (
        policy(statement()).replace('"Effect"', '"Effect": "Deny", "Effect"'),
        "JSON: 'Effect' appears twice",
    ),
    "deep": ("[" * 9 + "]" * 9, "JSON: nested too deeply"),
    "deep beyond recursion": ("[" * 10_000, "JSON: nested too deeply"),
    "not a number": ('{"Version": NaN}', "JSON: NaN is not JSON"),
    "huge number": ('{"Version": 1' + "0" * 5_000 + "}", "JSON: a number is too long"),
    "huge exponent": ('{"Version": 1e99999999999999999999}', "JSON: a number is too long"),
    "half a surrogate pair": ('{"Id": "\\ud800"}', "JSON: a character is half"),
    "half a surrogate pair, unescaped": ('{"Id": "\ud800"}', "JSON: a character is half"),
    # the whole
    "list": ("[]", "Policy: an object is needed"),
    "unknown element": (policy(statement(), Statements=[]), "'Statements': unknown element"),
    "lower-case element": (json.dumps({"statement": [statement()]}), "'statement': unknown element"),
    "unknown version": (policy(statement(), Version="2020-01-01"), "Version: 2012-10-17 or"),
    "version of another type": (policy(statement(), Version=["2012-10-17"]), "Version: 2012-10-17 or"),
    "id of another type": (policy(statement(), Id=1), "Id: a string"),
    "no statement": ('{"Version": "2012-10-17"}', "Statement 1: Statement: an object is needed, not None"),
    "no statements": (policy(), "Statement: the list is empty"),
    "a statement of another type": (policy(statement(), "x"), "Statement 2: Statement: an object is needed"),
    "sid twice": (policy(statement(Sid="x"), statement(Sid="x")), "Sid: 'x' names 2 statements"),
    # statements
    "unknown statement element": (policy(statement(Actions=[])), "Statement 1: 'Actions': unknown element"),
    "sid of another type": (policy(statement(Sid=1)), "Statement 1 (1): Sid: a string"),
    "the sid is named": (policy(statement(Sid="Mine", Effect="allow")), "Statement 1 ('Mine'): Effect: Allow or Deny"),
    "no effect": (policy(statement(Effect=None)), "Statement 1: Effect: Allow or Deny is needed, not None"),
    "effect of another type": (policy(statement(Effect=["Allow"])), "Statement 1: Effect: Allow or Deny"),
    # principals
    "no principal": (policy(statement(Principal=None)), "Principal: exactly one of Principal and NotPrincipal"),
    "both principals": (policy(statement(NotPrincipal="*")), "Principal: exactly one of"),
    "bare ARN": (policy(statement(Principal=ALICE)), 'Principal: "*" or an object'),
    "list of principals": (policy(statement(Principal=["*"])), 'Principal: "*" or an object'),
    "no AWS principal": (policy(statement(Principal={})), "Principal: only the type AWS"),
    "service": (policy(statement(Principal={"Service": "s3"})), "Principal: only the type AWS"),
    "service, too": (policy(statement(Principal={"AWS": ALICE, "Service": "x"})), "Principal: only the type AWS"),
    "empty principals": (policy(statement(Principal={"AWS": []})), "Principal: the list is empty"),
    "principal of another type": (policy(statement(Principal={"AWS": 111122223333})), "Principal: a string is needed"),
    "wildcard in a principal": (policy(statement(Principal={"AWS": ALICE[:-1] + "*"})), "is not a principal"),
    "role": (policy(statement(Principal={"AWS": "arn:kmsq:iam::111122223333:role/x"})), "is not a principal"),
    "another partition": (policy(statement(Principal={"AWS": "arn:aws:iam::111122223333:root"})), "is not a principal"),
    "a name without account": (policy(statement(Principal={"AWS": "alice"})), "is not a principal"),
    "NotPrincipal in an Allow": (
        policy(statement(Principal=None, NotPrincipal={"AWS": ALICE})),
        "NotPrincipal: it can be used in a Deny only",
    ),
    "nobody but everyone": (
        policy(statement(Effect="Deny", Principal=None, NotPrincipal="*")),
        'NotPrincipal: "*" would except everyone',
    ),
    # actions and resources
    "no action": (policy(statement(Action=None)), "Action: exactly one of Action and NotAction"),
    "both actions": (policy(statement(NotAction="kms:Decrypt")), "Action: exactly one of"),
    "empty actions": (policy(statement(Action=[])), "Action: the list is empty"),
    "another service": (policy(statement(Action=["kms:*", "s3:GetObject"])), "Action: kms:… or * is needed, not 's3:"),
    "no service": (policy(statement(Action="Encrypt")), "Action: kms:… or * is needed"),
    "wildcard service": (policy(statement(Action="k*:Encrypt")), "Action: kms:… or * is needed"),
    "an action with a space": (policy(statement(Action="kms:Encrypt ")), "Action: kms:… or * is needed"),
    "an action beyond ASCII": (policy(statement(Action="\u212ams:Encrypt")), "Action: kms:… or * is needed"),
    "a variable in an action": (policy(statement(Action="kms:${aws:username}")), "Action: kms:… or * is needed"),
    "no resource": (policy(statement(Resource=None)), "Resource: exactly one of Resource and NotResource"),
    "key id as resource": (policy(statement(Resource="1234abcd-12ab-34cd-56ef-1234567890ab")), "is not an ARN"),
    "alias as resource": (policy(statement(Resource="alias/x")), "is not an ARN"),
    "short ARN": (policy(statement(Resource="arn:kmsq:kms:*")), "is not an ARN"),
    "NotResource of another type": (policy(statement(Resource=None, NotResource=1)), "NotResource: a string is needed"),
    "unknown variable": (
        policy(statement(Resource="arn:kmsq:kms:*:*:alias/${aws:userid}")),
        "Resource: unknown policy variable 'aws:userid'",
    ),
    "variable with a default": (
        policy(statement(Resource="arn:kmsq:kms:*:*:alias/${aws:username, 'x'}")),
        "Resource: unknown policy variable",
    ),
    "open variable": (policy(statement(Resource="arn:kmsq:kms:*:*:alias/${x")), "Resource: a policy variable is not"),
    "variable in the head of an ARN": (
        policy(statement(Resource="arn:kmsq:kms:${*}:*:key/x")),
        "Resource: policy variables are not allowed here",
    ),
    "variable in the older version": (
        policy(statement(Resource="arn:kmsq:kms:*:*:alias/${aws:username}"), Version="2008-10-17"),
        "Resource: policy variables are not allowed here, or need Version 2012-10-17",
    ),
    # conditions
    "conditions of another type": (with_condition([]), "Condition: an object with operators is needed"),
    "unknown operator": (with_condition({"StringIs": {"kms:KeySpec": "x"}}), "Condition: unknown operator 'StringIs'"),
    "lower-case operator": (with_condition({"stringEquals": {"kms:KeySpec": "x"}}), "Condition: unknown operator"),
    "unknown set operator": (with_condition({"ForSome:StringEquals": {}}), "Condition: unknown operator"),
    "two set operators": (with_condition({"ForAnyValue:ForAnyValue:Bool": {}}), "Condition: unknown operator"),
    "IP address": (with_condition({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), "Condition: unknown operator"),
    "NullIfExists": (with_condition({"NullIfExists": {"kms:KeySpec": True}}), "Condition: unknown operator"),
    "a set of nulls": (with_condition({"ForAnyValue:Null": {"kms:KeySpec": True}}), "Condition: unknown operator"),
    "empty operator": (with_condition({"StringEquals": {}}), "Condition: StringEquals is empty"),
    "operator of another type": (with_condition({"Bool": True}), "Condition: an object with condition keys under Bool"),
    "unknown key": (with_condition({"StringEquals": {"kms:KeySpecs": "x"}}), "Condition: unknown condition key"),
    "a key that means nothing here": (
        with_condition({"StringEquals": {"kms:ViaService": "s3"}}),
        "Condition: unknown condition key 'kms:ViaService'",
    ),
    "a key that nothing supplies": (
        with_condition({"StringEquals": {"aws:PrincipalTag/team": "x"}}),
        "Condition: unknown condition key 'aws:PrincipalTag/team'",
    ),
    "no tag named": (with_condition({"StringEquals": {"aws:ResourceTag/": "x"}}), "unknown condition key"),
    "all tags of a key": (with_condition({"StringEquals": {"aws:ResourceTag": "x"}}), "unknown condition key"),
    "all tags of a request": (with_condition({"StringEquals": {"aws:RequestTag": "x"}}), "unknown condition key"),
    "a variable in a tag's key": (
        with_condition({"StringEquals": {"aws:RequestTag/${aws:username}": "x"}}),
        "Condition: a condition key cannot hold a variable",
    ),
    "ARNs of a tag": (with_condition({"ArnLike": {"aws:ResourceTag/x": "arn:aws:*:*:*:*"}}), "ArnLike does not fit"),
    "no pair named": (with_condition({"StringEquals": {"kms:EncryptionContext:": "x"}}), "unknown condition key"),
    "a variable in a key": (
        with_condition({"StringEquals": {"kms:EncryptionContext:${aws:username}": "x"}}),
        "Condition: a condition key cannot hold a variable",
    ),
    "a key twice": (
        with_condition({"StringEquals": {"kms:KeySpec": "x", "KMS:keyspec": "y"}}),
        "Condition: StringEquals names a key twice",
    ),
    "no values": (with_condition({"StringEquals": {"kms:KeySpec": []}}), "Condition: a list of values is empty"),
    "value of another type": (
        with_condition({"StringEquals": {"kms:KeySpec": None}}),
        "Condition: a string, number or",
    ),
    "nested value": (with_condition({"StringEquals": {"kms:KeySpec": [["x"]]}}), "Condition: a string, number or"),
    "numbers of text": (with_condition({"NumericEquals": {"kms:KeySpec": 1}}), "NumericEquals does not fit"),
    "text of dates": (with_condition({"StringEquals": {"aws:CurrentTime": "x"}}), "StringEquals does not fit"),
    "ARNs of text": (with_condition({"ArnLike": {"kms:KeySpec": "arn:*"}}), "ArnLike does not fit"),
    "truth of text": (with_condition({"Bool": {"kms:KeySpec": True}}), "Bool does not fit"),
    "a pattern that is no ARN": (
        with_condition({"ArnLike": {"aws:PrincipalArn": "*"}}),
        "Condition: '*' is not an ARN",
    ),
    "neither true nor false": (with_condition({"Bool": {"kms:MultiRegion": "yes"}}), "Condition: true or false"),
    "null neither true nor false": (with_condition({"Null": {"kms:KeySpec": "x"}}), "Condition: true or false"),
    "two nulls": (with_condition({"Null": {"kms:KeySpec": [True, False]}}), "Condition: Null takes one value"),
    "not a number of days": (
        with_condition({"NumericLessThan": {"kms:RotationPeriodInDays": "1e3"}}),
        "Condition: a number is needed, not '1e3'",
    ),
    "a year, which would be taken for seconds": (
        with_condition({"DateLessThan": {"aws:CurrentTime": "2030"}}),
        "Condition: a date is needed",
    ),
    "milliseconds": (with_condition({"DateLessThan": {"aws:EpochTime": 1700000000000}}), "Condition: a date is needed"),
    "no such day": (with_condition({"DateLessThan": {"aws:CurrentTime": "2030-02-30"}}), "Condition: a date is needed"),
    "a time without zone": (
        with_condition({"DateLessThan": {"aws:CurrentTime": "2030-01-31T12:00:00"}}),
        "Condition: a date is needed",
    ),
    "a variable that is not known": (
        with_condition({"StringEquals": {"kms:EncryptionContext:user": "${aws:userid}"}}),
        "Condition: unknown policy variable",
    ),
    "every value of a pair": (
        with_condition({"ForAllValues:StringEquals": {"kms:EncryptionContext:app": "x"}}),
        "Condition: ForAllValues would match requests without",
    ),
    "every value of a key's tag": (
        with_condition({"ForAllValues:StringLike": {"AWS:resourceTag/app": "x"}}),
        "Condition: ForAllValues would match requests without 'aws:ResourceTag/app'",
    ),
    "every value of a request's tag": (
        with_condition({"ForAllValues:StringNotEquals": {"aws:RequestTag/app": "x"}}),
        "Condition: ForAllValues would match requests without 'aws:RequestTag/app'",
    ),
}


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_a_policy_is_accepted(text: str) -> None:
    parse(text)


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_policy_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(MalformedPolicyDocumentException) as caught:
        parse(text)
    assert message in caught.value.message


def test_the_examples_in_the_documentation_are_policies() -> None:
    page = Path(__file__).parents[2] / "docs" / "policies.md"
    examples = [
        json.loads(text) for text in re.findall(r"```json\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    ]
    assert len(examples) == 4
    for example in examples:
        parse(json.dumps(example if "Version" in example else {"Version": "2012-10-17", "Statement": example}))


def test_a_message_is_short_whatever_the_policy_holds() -> None:
    with pytest.raises(MalformedPolicyDocumentException) as caught:
        parse(policy(statement(Sid="s" * 1_000, Principal={"AWS": "x" * 1_000})))
    assert len(caught.value.message) == 200


def test_the_size_limit_counts_bytes() -> None:
    padding = MAX_BYTES - len(policy(statement(), Id=""))
    parse(policy(statement(), Id="x" * padding))
    with pytest.raises(LimitExceededException):
        parse(policy(statement(), Id="x" * (padding + 1)))
    with pytest.raises(LimitExceededException):
        parse("é" * (MAX_BYTES // 2 + 1))


def test_a_policy_tells_which_values_it_may_ask_for() -> None:
    text = with_condition(
        {
            "StringEquals": {"KMS:keyspec": "x", "kms:EncryptionContext:a": "x"},
            "DateLessThan": {"aws:CurrentTime": "2030-01-31"},
            "Null": {"aws:PrincipalArn": False},
        },
    )
    assert parse(text).condition_keys == {"kms:KeySpec", "aws:EpochTime"}
    assert parse(policy(statement())).condition_keys == frozenset()


def test_a_policy_tells_that_it_may_ask_for_tags() -> None:
    names = {
        "aws:resourcetag/Team": ConditionKey.RESOURCE_TAG,
        "AWS:RequestTag/cost center": ConditionKey.REQUEST_TAG,
        "aws:tagKeys": ConditionKey.TAG_KEYS,
    }
    for name, supplied in names.items():
        assert parse(with_condition({"StringEquals": {name: "x"}})).condition_keys == {supplied}
