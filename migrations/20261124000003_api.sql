-- migrate:up

-- Tags, automatic rotation, imported material, aliases that policies may ask for. The MAC of a key leaves these columns
-- out while they hold their defaults (kmsq_worker/store/rows.py), so that rows written before this migration stay authentic.
ALTER TABLE kmsq.keys
    ADD COLUMN tags text NOT NULL DEFAULT '{}', -- a JSON object, tag key to tag value
    ADD COLUMN rotation_period_days integer,
    ADD COLUMN next_rotation_date timestamptz,
    ADD COLUMN expiration_model text,
    ADD COLUMN valid_to timestamptz, -- when the first of the imported materials that it needs expires
    ADD COLUMN aliases_digest bytea NOT NULL DEFAULT ''; -- of its aliases' names; '': unknown until it is changed

-- What the scheduler looks for.
CREATE INDEX keys_by_rotation ON kmsq.keys (next_rotation_date) WHERE next_rotation_date IS NOT NULL;
CREATE INDEX keys_by_expiry ON kmsq.keys (valid_to) WHERE valid_to IS NOT NULL;
CREATE INDEX keys_by_deletion ON kmsq.keys (deletion_date) WHERE deletion_date IS NOT NULL;

-- Imported material can be destroyed while its row, which recognises it when it comes back, stays.
ALTER TABLE kmsq.key_material ALTER COLUMN wrapped DROP NOT NULL;

-- What is said of imported material, under a MAC. `material_id` is that of kmsq.key_material.
CREATE TABLE kmsq.imported_material (
    key_id text NOT NULL,
    material_number integer NOT NULL,
    material_id text NOT NULL,
    import_state text NOT NULL,
    expiration_model text NOT NULL,
    valid_to timestamptz,
    description text NOT NULL,
    revision bigint NOT NULL,
    mac bytea NOT NULL,
    PRIMARY KEY (key_id, material_number),
    FOREIGN KEY (key_id, material_number) REFERENCES kmsq.key_material
);
CREATE INDEX imported_material_by_expiry ON kmsq.imported_material (valid_to) WHERE valid_to IS NOT NULL;

-- A key's row holds a digest of the MACs of its grants: adding, removing and editing rows here makes the key unusable.
CREATE TABLE kmsq.grants (
    grant_id text COLLATE "C" PRIMARY KEY,
    key_id text NOT NULL REFERENCES kmsq.keys,
    name text,
    grantee_principal text NOT NULL,
    retiring_principal text,
    operations text[] NOT NULL,
    constraints text NOT NULL, -- a JSON object as in the API
    creation_date timestamptz NOT NULL,
    mac bytea NOT NULL
);
CREATE INDEX grants_by_key ON kmsq.grants (key_id, grant_id);
CREATE INDEX grants_by_retiring_principal ON kmsq.grants (retiring_principal, grant_id)
    WHERE retiring_principal IS NOT NULL;

-- When a key was last used, as far as it is known: no MAC, nothing decides on it. `slot` spreads workers over rows.
CREATE TABLE kmsq.key_last_use (
    key_id text NOT NULL, -- no foreign key: a use must not wait for, nor fail with, a deletion
    slot smallint NOT NULL,
    operation text NOT NULL,
    used_at timestamptz NOT NULL,
    request_id text NOT NULL,
    PRIMARY KEY (key_id, slot)
);
ALTER TABLE kmsq.account ADD COLUMN usage_tracked_since timestamptz NOT NULL DEFAULT clock_timestamp();

CREATE FUNCTION kmsq.note_last_use(
    p_slot smallint, p_key_ids text[], p_operations text[], p_used_at timestamptz[], p_request_ids text[]
) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO kmsq.key_last_use AS known (key_id, slot, operation, used_at, request_id)
    SELECT used.key_id, p_slot, used.operation, used.used_at, used.request_id
    FROM unnest(p_key_ids, p_operations, p_used_at, p_request_ids) AS used (key_id, operation, used_at, request_id)
    JOIN kmsq.keys USING (key_id) -- it may have been deleted meanwhile
    ORDER BY used.key_id -- two workers that share a slot must lock in one order
    ON CONFLICT (key_id, slot) DO UPDATE
    SET operation = excluded.operation, used_at = excluded.used_at, request_id = excluded.request_id
    WHERE known.used_at < excluded.used_at
$$;

GRANT SELECT ON kmsq.imported_material, kmsq.grants, kmsq.key_last_use TO kmsq_crypto, kmsq_change, kmsq_auditor;
GRANT INSERT, UPDATE ON kmsq.imported_material TO kmsq_change;
GRANT INSERT, DELETE ON kmsq.grants TO kmsq_change;
GRANT UPDATE (material_id, wrapped, rotation_type, created_at) ON kmsq.key_material TO kmsq_change;

-- Deletes a key and what belongs to it, if it waits for that: the role has no DELETE on these tables.
CREATE FUNCTION kmsq.delete_key(p_key_id text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM kmsq.keys WHERE key_id = p_key_id AND key_state = 'PendingDeletion' FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM kmsq.key_last_use WHERE key_id = p_key_id;
    DELETE FROM kmsq.grants WHERE key_id = p_key_id;
    DELETE FROM kmsq.imported_material WHERE key_id = p_key_id;
    DELETE FROM kmsq.key_material WHERE key_id = p_key_id;
    DELETE FROM kmsq.aliases WHERE key_id = p_key_id;
    DELETE FROM kmsq.keys WHERE key_id = p_key_id;
    RETURN true;
END
$$;
REVOKE EXECUTE ON FUNCTION kmsq.delete_key FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kmsq.delete_key TO kmsq_change;
REVOKE EXECUTE ON FUNCTION kmsq.note_last_use FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kmsq.note_last_use TO kmsq_crypto;

-- One scheduler works at a time; the lock ends with the session that holds it. ASCII "kmsq" + 1.
CREATE FUNCTION kmsq.scheduler_lock() RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT 1802335090::bigint';
REVOKE EXECUTE ON FUNCTION kmsq.scheduler_lock FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kmsq.scheduler_lock, kmsq.ensure_audit_partitions TO kmsq_change;

-- Forgets what changed long ago, up to `p_limit` epochs: whole ones, oldest first, and none beyond one that is to be kept.
-- So the log has no holes, also after the clock was wrong. The newest epoch stays: it is the account's. A worker that
-- follows from before what is left is `behind`.
CREATE FUNCTION kmsq.forget_changes(p_older_than interval, p_limit integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    forgotten integer;
    first_epoch bigint;
    first_kept bigint;
BEGIN
    SELECT min(log.epoch), max(log.epoch) INTO first_epoch, first_kept FROM kmsq.change_log AS log;
    SELECT least(first_kept, first_epoch + p_limit, min(log.epoch)) INTO first_kept FROM kmsq.change_log AS log
    WHERE log.epoch < first_epoch + p_limit AND log.changed_at >= clock_timestamp() - p_older_than;
    DELETE FROM kmsq.change_log AS log WHERE log.epoch < first_kept;
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    RETURN forgotten;
END
$$;
REVOKE EXECUTE ON FUNCTION kmsq.forget_changes FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kmsq.forget_changes TO kmsq_change;

-- As before (20261124000002), and `behind` also when the log no longer reaches back to `p_epoch`. Every change raises the
-- epoch by one and names a subject, so the log has the epoch after `p_epoch` unless it was forgotten.
CREATE OR REPLACE FUNCTION kmsq.commit_turn(
    p_epoch bigint, p_subjects text[], p_deadline timestamptz,
    p_chain_id uuid, p_expected_sequence bigint, p_expected_mac bytea,
    p_records bytea[], p_macs bytea[], p_head_seal bytea,
    OUT outcome text, OUT epoch bigint, OUT changed text[], OUT committed_at timestamptz
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(kmsq.account_lock());

    SELECT coalesce(max(log.epoch), p_epoch) INTO epoch FROM kmsq.change_log AS log;
    committed_at := clock_timestamp();
    IF epoch > p_epoch THEN
        IF epoch - p_epoch > 10000
            OR NOT EXISTS (SELECT FROM kmsq.change_log AS log WHERE log.epoch = p_epoch + 1)
        THEN
            outcome := 'behind';
            RETURN;
        END IF;
        SELECT array_agg(DISTINCT log.subject) INTO changed FROM kmsq.change_log AS log WHERE log.epoch > p_epoch;
        IF changed && p_subjects THEN
            outcome := 'stale';
            RETURN;
        END IF;
    END IF;
    IF committed_at > p_deadline THEN
        outcome := 'expired';
        RETURN;
    END IF;
    IF kmsq.append_audit(p_chain_id, p_expected_sequence, p_expected_mac, p_records, p_macs, p_head_seal) THEN
        outcome := 'committed';
    ELSE
        outcome := 'closed';
    END IF;
END
$$;

-- migrate:down
-- commit_turn stays: it does no more than before. Keys that were made or changed since do not survive going back: their
-- MACs cover the new columns.
REVOKE EXECUTE ON FUNCTION kmsq.ensure_audit_partitions FROM kmsq_change;
DROP FUNCTION kmsq.delete_key, kmsq.forget_changes, kmsq.scheduler_lock, kmsq.note_last_use;
ALTER TABLE kmsq.account DROP COLUMN usage_tracked_since;
DROP TABLE kmsq.key_last_use, kmsq.grants, kmsq.imported_material;
DROP INDEX kmsq.keys_by_deletion;
DELETE FROM kmsq.key_material WHERE wrapped IS NULL;
ALTER TABLE kmsq.key_material ALTER COLUMN wrapped SET NOT NULL;
ALTER TABLE kmsq.keys
    DROP COLUMN tags, DROP COLUMN rotation_period_days, DROP COLUMN next_rotation_date,
    DROP COLUMN expiration_model, DROP COLUMN valid_to, DROP COLUMN aliases_digest;
REVOKE UPDATE (material_id, wrapped, rotation_type, created_at) ON kmsq.key_material FROM kmsq_change;
