-- migrate:up

-- One chain for each lane of each worker session, closed at the latest when its month (UTC) ends, so that dropping an
-- old month drops whole chains. `head_seal` is keyed: a shortened chain cannot be given a new head.
CREATE TABLE kmsq.audit_chains (
    chain_id uuid PRIMARY KEY,
    lane text NOT NULL,
    month date,
    domain_key_id uuid NOT NULL REFERENCES kmsq.domain_keys,
    opened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    head_sequence bigint NOT NULL,
    head_mac bytea NOT NULL,
    head_seal bytea NOT NULL
) WITH (fillfactor = 50); -- the head changes with every turn: leave room for HOT updates

-- Opening a chain is itself a record: in the one chain whose lane is `registry`, which has no month and is kept for ever.
CREATE UNIQUE INDEX audit_one_registry ON kmsq.audit_chains (lane) WHERE lane = 'registry';
CREATE TABLE kmsq.audit_registry (
    sequence bigint PRIMARY KEY,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    record bytea NOT NULL,
    mac bytea NOT NULL
);

CREATE TABLE kmsq.audit_records (
    chain_id uuid NOT NULL,
    sequence bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    record bytea NOT NULL,
    mac bytea NOT NULL,
    PRIMARY KEY (chain_id, sequence, recorded_at)
) PARTITION BY RANGE (recorded_at);

-- For `audit tail`: a few pages for millions of records, which arrive in the order of their time.
CREATE INDEX audit_records_by_time ON kmsq.audit_records USING brin (recorded_at);

CREATE TABLE kmsq.audit_records_default PARTITION OF kmsq.audit_records DEFAULT;

GRANT SELECT ON kmsq.audit_chains TO kmsq_crypto, kmsq_change, kmsq_auditor;
GRANT SELECT ON kmsq.audit_records, kmsq.audit_registry TO kmsq_auditor;

-- Makes the partitions of this month and the next `months`. A month that already has rows in the DEFAULT partition
-- stays there. Months are those of UTC. Making one locks out readers and waits for them, a second at most: months are
-- made ahead, so that it can be tried again.
CREATE FUNCTION kmsq.ensure_audit_partitions(months integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s' AS $$
DECLARE
    first_month timestamp := date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC');
    month_start timestamp;
    name text;
    made integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('kmsq.ensure_audit_partitions'));
    FOR ahead IN 0..least(months, 24) LOOP
        month_start := first_month + make_interval(months => ahead);
        name := 'audit_records_' || to_char(month_start, 'YYYY_MM');
        CONTINUE WHEN to_regclass('kmsq.' || name) IS NOT NULL;
        CONTINUE WHEN EXISTS (
            SELECT FROM kmsq.audit_records_default
            WHERE recorded_at >= month_start AT TIME ZONE 'UTC'
              AND recorded_at < (month_start + interval '1 month') AT TIME ZONE 'UTC'
        );
        EXECUTE format(
            'CREATE TABLE kmsq.%I PARTITION OF kmsq.audit_records FOR VALUES FROM (%L) TO (%L)',
            name, month_start AT TIME ZONE 'UTC', (month_start + interval '1 month') AT TIME ZONE 'UTC'
        );
        made := made + 1;
    END LOOP;
    RETURN made;
END
$$;

CREATE FUNCTION kmsq.audit_month() RETURNS date
LANGUAGE sql VOLATILE AS $$ SELECT date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')::date $$;

-- Appends records to a chain and moves its head, if the head is still the expected one and the chain's month is not
-- over; else returns false and writes nothing. `recorded_at` is the database's clock, read after whatever lock the
-- caller holds.
CREATE FUNCTION kmsq.append_audit(
    p_chain_id uuid, p_expected_sequence bigint, p_expected_mac bytea,
    p_records bytea[], p_macs bytea[], p_head_seal bytea
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now_once timestamptz := clock_timestamp(); -- a chain's month is its records' month, at midnight, too
BEGIN
    UPDATE kmsq.audit_chains
    SET head_sequence = p_expected_sequence + cardinality(p_macs),
        head_mac = p_macs[cardinality(p_macs)],
        head_seal = p_head_seal
    WHERE chain_id = p_chain_id AND month = date_trunc('month', now_once AT TIME ZONE 'UTC')::date
      AND head_sequence = p_expected_sequence AND head_mac = p_expected_mac;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO kmsq.audit_records (chain_id, sequence, recorded_at, record, mac)
    SELECT p_chain_id, p_expected_sequence + entry.position, now_once, entry.record, entry.mac
    FROM unnest(p_records, p_macs) WITH ORDINALITY AS entry (record, mac, position);
    RETURN true;
END
$$;

-- The account's lock: shared by commits, exclusive to changes (DESIGN.md §3). The number is ASCII "kmsq".
CREATE FUNCTION kmsq.account_lock() RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT 1802335089::bigint';

-- Commits a turn in one round trip. VOLATILE: each statement takes a fresh snapshot, so the second one sees every
-- change that committed before the lock was granted. Outcomes:
--   committed  the records are written
--   stale      the log beyond `p_epoch` names one of the turn's subjects; nothing is written
--   behind     the log beyond `p_epoch` is too long to be listed; nothing is written, forget everything
--   expired    `p_deadline`, the earliest of the turn's, has passed; nothing is written
--   closed     the chain's head is not the expected one, or its month is over; nothing is written
-- `changed` lists the subjects changed beyond `p_epoch` (not when behind), `epoch` is the account's.
CREATE FUNCTION kmsq.commit_turn(
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
        IF epoch - p_epoch > 10000 THEN
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

-- Opens a chain: registers it and records the opening in the registry chain, if that chain's head is the expected one
-- and `p_month`, which the record names, is the current month.
CREATE FUNCTION kmsq.open_chain(
    p_chain_id uuid, p_lane text, p_month date, p_domain_key_id uuid, p_head_mac bytea, p_head_seal bytea,
    p_registry_sequence bigint, p_registry_mac bytea,
    p_record bytea, p_record_mac bytea, p_registry_seal bytea
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF p_month <> kmsq.audit_month() THEN
        RETURN false;
    END IF;
    UPDATE kmsq.audit_chains
    SET head_sequence = head_sequence + 1, head_mac = p_record_mac, head_seal = p_registry_seal
    WHERE lane = 'registry' AND head_sequence = p_registry_sequence AND head_mac = p_registry_mac;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO kmsq.audit_registry (sequence, record, mac) VALUES (p_registry_sequence + 1, p_record, p_record_mac);
    INSERT INTO kmsq.audit_chains (chain_id, lane, month, domain_key_id, head_sequence, head_mac, head_seal)
    VALUES (p_chain_id, p_lane, p_month, p_domain_key_id, 0, p_head_mac, p_head_seal);
    RETURN true;
END
$$;

-- Requests that a worker runs alone because they were delivered before without an end. A mark that stays means that the
-- worker died over it (docs/decisions/0008). `digest` is keyed and says nothing about the request.
CREATE TABLE kmsq.suspects (
    digest bytea PRIMARY KEY,
    marks integer NOT NULL,
    marked_at timestamptz NOT NULL
);

CREATE FUNCTION kmsq.mark_suspect(p_digest bytea) RETURNS integer
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO kmsq.suspects AS suspect (digest, marks, marked_at) VALUES (p_digest, 1, clock_timestamp())
    ON CONFLICT (digest) DO UPDATE SET marks = suspect.marks + 1, marked_at = clock_timestamp()
    RETURNING marks
$$;

-- Takes marks back, and forgets those that nobody can be waiting for any more.
CREATE FUNCTION kmsq.clear_suspects(p_digests bytea[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM kmsq.suspects
    WHERE digest = ANY (p_digests) OR marked_at < clock_timestamp() - interval '30 days'
$$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA kmsq FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kmsq.audit_month TO kmsq_crypto, kmsq_change;
GRANT EXECUTE ON FUNCTION kmsq.commit_turn, kmsq.append_audit, kmsq.open_chain, kmsq.ensure_audit_partitions
    TO kmsq_crypto;
GRANT EXECUTE ON FUNCTION kmsq.append_audit, kmsq.open_chain, kmsq.account_lock TO kmsq_change;
GRANT EXECUTE ON FUNCTION kmsq.mark_suspect, kmsq.clear_suspects TO kmsq_crypto;

SELECT kmsq.ensure_audit_partitions(3);

-- migrate:down
DROP FUNCTION kmsq.mark_suspect, kmsq.clear_suspects, kmsq.open_chain, kmsq.commit_turn, kmsq.append_audit,
    kmsq.audit_month, kmsq.ensure_audit_partitions, kmsq.account_lock;
DROP TABLE kmsq.suspects, kmsq.audit_records, kmsq.audit_registry, kmsq.audit_chains;
