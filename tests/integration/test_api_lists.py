"""Pages of every list: each entry once, in pages as long as asked for, and markers that only their own list takes."""

from uuid import uuid4

import pytest

from integration.api import Api, Reply, new_key
from integration.api_requests import GRANT, SOMEBODY

ENTRIES = {
    "ListAliases": ("Aliases", "AliasName"),
    "ListGrants": ("Grants", "GrantId"),
    "ListKeyRotations": ("Rotations", "KeyMaterialId"),
    "ListKeys": ("Keys", "KeyId"),
    "ListResourceTags": ("Tags", "TagKey"),
    "ListRetirableGrants": ("Grants", "GrantId"),
}
MOST = {"ListAliases": 100, "ListGrants": 100, "ListResourceTags": 50, "ListRetirableGrants": 100}
OF_ALL_KEYS = ("ListKeys", "ListRetirableGrants")
COUNT = 7


@pytest.fixture(scope="module")
def made() -> list[Reply]:
    return []


@pytest.fixture
async def full_key(api: Api, made: list[Reply]) -> Reply:
    """Return a key with seven of everything, the same for all tests, which leave it as it is."""
    if made:
        return made[0]
    tags = [{"TagKey": f"tag{number}", "TagValue": ""} for number in range(COUNT)]
    key = await new_key(api, Tags=tags)
    for _ in range(COUNT):
        await api("CreateAlias", AliasName=f"alias/{uuid4()}", TargetKeyId=key["KeyId"])
        await api("CreateGrant", KeyId=key["KeyId"], **GRANT, RetiringPrincipal=SOMEBODY)
        await api("RotateKeyOnDemand", KeyId=key["KeyId"])
    made.append(key)
    return key


def request_for(operation: str, key: Reply) -> dict[str, str]:
    if operation == "ListRetirableGrants":
        return {"RetiringPrincipal": SOMEBODY}
    return {} if operation == "ListKeys" else {"KeyId": key["KeyId"]}


@pytest.mark.parametrize("operation", ENTRIES)
@pytest.mark.parametrize("limit", [1, 3, 7, 50])
async def test_every_entry_is_on_one_page(api: Api, full_key: Reply, operation: str, limit: int) -> None:
    entries, name = ENTRIES[operation]
    if operation in OF_ALL_KEYS:
        limit = min(limit * 10, 100)  # there may be hundreds
    pages = await api.pages(operation, **request_for(operation, full_key), Limit=limit)
    assert all(len(page[entries]) == limit for page in pages[:-1])
    assert len(pages[-1][entries]) <= limit
    assert [page["Truncated"] for page in pages] == [True] * (len(pages) - 1) + [False]
    assert [("NextMarker" in page) for page in pages] == [page["Truncated"] for page in pages]
    found = [entry[name] for page in pages for entry in page[entries]]
    assert len(found) == len(set(found))
    if operation not in OF_ALL_KEYS:
        assert len(found) == COUNT
    if operation == "ListKeys":
        assert full_key["KeyId"] in found


async def test_aliases_of_the_account_are_listed_with_those_of_all_keys(api: Api, full_key: Reply) -> None:
    its = {entry["AliasName"] for entry in (await api("ListAliases", KeyId=full_key["KeyId"]))["Aliases"]}
    assert len(its) == COUNT
    pages = await api.pages("ListAliases", Limit=100)
    assert its <= {entry["AliasName"] for page in pages for entry in page["Aliases"]}


@pytest.mark.parametrize("operation", ENTRIES)
async def test_a_page_has_bounds(api: Api, full_key: Reply, operation: str) -> None:
    request = request_for(operation, full_key)
    for limit in (0, MOST.get(operation, 1000) + 1):
        assert await api.code(operation, **request, Limit=limit) == "ValidationException"
    await api(operation, **request, Limit=MOST.get(operation, 1000))


@pytest.mark.parametrize("operation", [*ENTRIES, "ListKeyPolicies"])
async def test_a_marker_is_for_its_own_list_alone(api: Api, full_key: Reply, operation: str) -> None:
    request = request_for(operation, full_key)
    foreign = [
        (await api(other, **request_for(other, full_key), Limit=1))["NextMarker"]
        for other in ENTRIES
        if other != operation
    ]
    for wrong in ("x", "AAAA", *foreign):
        assert await api.code(operation, **request, Marker=wrong) == "InvalidMarkerException"


@pytest.mark.parametrize("operation", ["ListAliases", "ListGrants", "ListKeyRotations", "ListResourceTags"])
async def test_a_marker_is_for_its_own_key_alone(api: Api, full_key: Reply, operation: str) -> None:
    other = (await new_key(api))["KeyId"]
    marker = (await api(operation, KeyId=full_key["KeyId"], Limit=1))["NextMarker"]
    assert await api.code(operation, KeyId=other, Marker=marker) == "InvalidMarkerException"


async def test_a_filter_belongs_to_the_marker_of_its_list(api: Api, full_key: Reply) -> None:
    marker = (await api("ListGrants", KeyId=full_key["KeyId"], Limit=1))["NextMarker"]
    request = {"KeyId": full_key["KeyId"], "Marker": marker, "GranteePrincipal": SOMEBODY}
    assert await api.code("ListGrants", **request) == "InvalidMarkerException"
    rotations = {"KeyId": full_key["KeyId"], "Limit": 1}
    marker = (await api("ListKeyRotations", **rotations))["NextMarker"]
    request = {**rotations, "Marker": marker, "IncludeKeyMaterial": "ALL_KEY_MATERIAL"}
    assert await api.code("ListKeyRotations", **request) == "InvalidMarkerException"


async def test_a_page_has_as_many_entries_as_aws_says_unless_asked(api: Api) -> None:
    key = (await new_key(api))["KeyId"]
    for number in range(51):
        await api("CreateGrant", KeyId=key, **GRANT, Name=str(number))
    page = await api("ListGrants", KeyId=key)
    assert (len(page["Grants"]), page["Truncated"]) == (50, True)
