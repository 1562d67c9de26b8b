"""Grants: permissions on one key that its users hand on and give back."""

from collections.abc import AsyncIterator, Mapping, Sequence

from kmsq.operations.base import Operations, pages
from kmsq_schemas.models import (
    CreateGrantReply,
    GrantConstraints,
    GrantListEntry,
    GrantOperation,
    ListGrantsReply,
    ListRetirableGrantsReply,
    RetireGrantReply,
    RevokeGrantReply,
)
from kmsq_schemas.operations import Operation


class GrantOperations(Operations):
    """Grants: permissions on one key that its users hand on and give back."""

    async def create_grant(
        self,
        key_id: str,
        operations: Sequence[GrantOperation | str],
        *,
        grantee_principal: str | None = None,
        retiring_principal: str | None = None,
        constraints: GrantConstraints | Mapping[str, Mapping[str, str]] | None = None,
        grant_tokens: list[str] | None = None,
        name: str | None = None,
        dry_run: bool | None = None,
        grantee_service_principal: str | None = None,
        retiring_service_principal: str | None = None,
        timeout_seconds: float | None = None,
    ) -> CreateGrantReply:
        """
        Permit a principal (`arn:kmsq:iam::…:user/…`) some operations on a key, named by id or ARN, from now on.

        `constraints` bind it to encryption contexts: `{"EncryptionContextSubset": {"team": "billing"}}` demands at least
        these pairs, `EncryptionContextEquals` these and no others. The same `name` with the same parameters returns the grant that is there. The `retiring_principal` may end it.
        """
        return await self._ask(
            Operation.CREATE_GRANT,
            CreateGrantReply,
            timeout_seconds,
            key_id=key_id,
            operations=list(operations),
            grantee_principal=grantee_principal,
            retiring_principal=retiring_principal,
            constraints=constraints,
            grant_tokens=grant_tokens,
            name=name,
            dry_run=dry_run,
            grantee_service_principal=grantee_service_principal,
            retiring_service_principal=retiring_service_principal,
        )

    async def list_grants(
        self,
        key_id: str,
        *,
        limit: int | None = None,
        marker: str | None = None,
        grant_id: str | None = None,
        grantee_principal: str | None = None,
        grantee_service_principal: str | None = None,
        timeout_seconds: float | None = None,
    ) -> ListGrantsReply:
        """List one page of a key's grants, 50 unless `limit` says otherwise; `iter_grants` goes through all."""
        return await self._ask(
            Operation.LIST_GRANTS,
            ListGrantsReply,
            timeout_seconds,
            key_id=key_id,
            limit=limit,
            marker=marker,
            grant_id=grant_id,
            grantee_principal=grantee_principal,
            grantee_service_principal=grantee_service_principal,
        )

    async def iter_grants(
        self,
        key_id: str,
        *,
        grant_id: str | None = None,
        grantee_principal: str | None = None,
        page_size: int | None = None,
    ) -> AsyncIterator[GrantListEntry]:
        """Go through all grants of a key, or those of one grantee, fetching pages as they are needed."""
        async for page in pages(
            lambda marker: self.list_grants(
                key_id, grant_id=grant_id, grantee_principal=grantee_principal, limit=page_size, marker=marker
            )
        ):
            for grant in page.grants:
                yield grant

    async def list_retirable_grants(
        self,
        *,
        limit: int | None = None,
        marker: str | None = None,
        retiring_principal: str | None = None,
        retiring_service_principal: str | None = None,
        timeout_seconds: float | None = None,
    ) -> ListRetirableGrantsReply:
        """List one page of the grants that a principal may retire; `iter_retirable_grants` goes through all."""
        return await self._ask(
            Operation.LIST_RETIRABLE_GRANTS,
            ListRetirableGrantsReply,
            timeout_seconds,
            limit=limit,
            marker=marker,
            retiring_principal=retiring_principal,
            retiring_service_principal=retiring_service_principal,
        )

    async def iter_retirable_grants(
        self, retiring_principal: str, *, page_size: int | None = None
    ) -> AsyncIterator[GrantListEntry]:
        """Go through all grants, of all keys, that a principal may retire, fetching pages as they are needed."""
        async for page in pages(
            lambda marker: self.list_retirable_grants(
                retiring_principal=retiring_principal, limit=page_size, marker=marker
            )
        ):
            for grant in page.grants:
                yield grant

    async def retire_grant(
        self,
        *,
        grant_token: str | None = None,
        key_id: str | None = None,
        grant_id: str | None = None,
        dry_run: bool | None = None,
        timeout_seconds: float | None = None,
    ) -> RetireGrantReply:
        """
        Give a grant back, named by its token, or by key and grant id.

        For its retiring principal, and for a grantee to whom it permits RetireGrant; others take `revoke_grant`.
        """
        return await self._ask(
            Operation.RETIRE_GRANT,
            RetireGrantReply,
            timeout_seconds,
            grant_token=grant_token,
            key_id=key_id,
            grant_id=grant_id,
            dry_run=dry_run,
        )

    async def revoke_grant(
        self, key_id: str, grant_id: str, *, dry_run: bool | None = None, timeout_seconds: float | None = None
    ) -> RevokeGrantReply:
        """Take a grant away. Once this returns, no request sent later succeeds by it."""
        return await self._ask(
            Operation.REVOKE_GRANT, RevokeGrantReply, timeout_seconds, key_id=key_id, grant_id=grant_id, dry_run=dry_run
        )
