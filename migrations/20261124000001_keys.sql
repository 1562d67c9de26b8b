-- migrate:up

-- The roles of the service (docs/operations.md). A deployment lets them log in, or grants them to its own logins.
DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['kmsq_crypto', 'kmsq_change', 'kmsq_auditor'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
        END IF;
    END LOOP;
END
$$;

CREATE SCHEMA kmsq;
GRANT USAGE ON SCHEMA kmsq TO kmsq_crypto, kmsq_change, kmsq_auditor;

-- Workers refuse a database at another version (kmsq_worker/store/schema.py).
GRANT SELECT ON public.schema_migrations TO kmsq_crypto, kmsq_change, kmsq_auditor;

-- One database is one account: region and account are in every ARN and never change.
CREATE TABLE kmsq.account (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    region text NOT NULL CHECK (region ~ '^[a-z0-9-]{1,32}$'),
    account_id text NOT NULL CHECK (account_id ~ '^[0-9]{12}$'),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Wrapped by the root key, which the database never sees.
CREATE TABLE kmsq.domain_keys (
    domain_key_id uuid PRIMARY KEY,
    root_key_id text NOT NULL,
    wrapped bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Key ids are text so that multi-Region ids (mrk-…) fit. Every column but `mac` is covered by it.
CREATE TABLE kmsq.keys (
    key_id text PRIMARY KEY,
    key_spec text NOT NULL,
    key_usage text NOT NULL,
    origin text NOT NULL,
    key_state text NOT NULL,
    description text NOT NULL,
    policy text NOT NULL,
    creation_date timestamptz NOT NULL,
    deletion_date timestamptz,
    pending_window_days integer,
    current_material integer NOT NULL,
    multi_region boolean NOT NULL DEFAULT false,
    custom_key_store_id text,
    grants_digest bytea NOT NULL DEFAULT '',
    revision bigint NOT NULL,
    mac bytea NOT NULL
);

-- `wrapped` binds key, number, spec, origin and purpose as associated data: a moved row does not unwrap.
CREATE TABLE kmsq.key_material (
    key_id text NOT NULL REFERENCES kmsq.keys,
    material_number integer NOT NULL CHECK (material_number > 0),
    material_id text NOT NULL,
    wrapped bytea NOT NULL,
    rotation_type text,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (key_id, material_number)
);

CREATE TABLE kmsq.aliases (
    alias_name text COLLATE "C" PRIMARY KEY,
    key_id text NOT NULL REFERENCES kmsq.keys,
    creation_date timestamptz NOT NULL,
    last_updated_date timestamptz NOT NULL,
    revision bigint NOT NULL,
    mac bytea NOT NULL
);
CREATE INDEX aliases_by_key ON kmsq.aliases (key_id, alias_name);

CREATE TABLE kmsq.account_policy (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    policy text NOT NULL,
    revision bigint NOT NULL,
    mac bytea NOT NULL
);

-- What changed at which epoch. The highest epoch is the account's.
CREATE TABLE kmsq.change_log (
    epoch bigint NOT NULL,
    subject text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (epoch, subject)
);

-- The outcome of every change, for whoever sends it again. Holds a keyed digest of the request, never the request;
-- `seal` is keyed, too, and covers digest and outcome.
CREATE TABLE kmsq.change_requests (
    principal text NOT NULL,
    message_id uuid NOT NULL,
    digest bytea NOT NULL,
    reply_type text,
    reply_body bytea,
    seal bytea,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (principal, message_id)
);
CREATE INDEX change_requests_by_expiry ON kmsq.change_requests (expires_at);

GRANT SELECT ON kmsq.account, kmsq.domain_keys, kmsq.keys, kmsq.key_material, kmsq.aliases, kmsq.account_policy,
    kmsq.change_log TO kmsq_crypto, kmsq_change, kmsq_auditor;
GRANT INSERT, UPDATE ON kmsq.keys, kmsq.account_policy TO kmsq_change;
GRANT INSERT ON kmsq.key_material, kmsq.change_log TO kmsq_change;
GRANT INSERT, UPDATE, DELETE ON kmsq.aliases TO kmsq_change;
GRANT SELECT, INSERT, UPDATE, DELETE ON kmsq.change_requests TO kmsq_change;

-- migrate:down
DROP SCHEMA kmsq CASCADE;
