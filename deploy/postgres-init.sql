-- Roles and passwords of kmsq, run by the Postgres image on an empty volume; may be run again to change passwords:
--     docker compose exec postgres psql -U postgres -d kmsq -f /docker-entrypoint-initdb.d/10-kmsq.sql
-- The passwords come from the URLs that the services use, so that they stand in one place and on no command line.
\set ON_ERROR_STOP on
\set owner `cat /run/secrets/database-owner-url`
\set crypto `cat /run/secrets/database-crypto-url`
\set change `cat /run/secrets/database-change-url`
\set auditor `cat /run/secrets/database-auditor-url`

SELECT format('CREATE ROLE %I', name)
FROM unnest(ARRAY['kmsq_owner', 'kmsq_crypto', 'kmsq_change', 'kmsq_auditor']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec

SELECT substring(:'owner' FROM '//kmsq_owner:([^@]+)@') AS owner_password,
    substring(:'crypto' FROM '//kmsq_crypto:([^@]+)@') AS crypto_password,
    substring(:'change' FROM '//kmsq_change:([^@]+)@') AS change_password,
    substring(:'auditor' FROM '//kmsq_auditor:([^@]+)@') AS auditor_password \gset
ALTER ROLE kmsq_owner LOGIN PASSWORD :'owner_password';
ALTER ROLE kmsq_crypto LOGIN PASSWORD :'crypto_password';
ALTER ROLE kmsq_change LOGIN PASSWORD :'change_password';
ALTER ROLE kmsq_auditor LOGIN PASSWORD :'auditor_password';

-- The migrations make the roles where they are missing (they are not, here), so their owner need not be able to.
ALTER DATABASE kmsq OWNER TO kmsq_owner;
REVOKE ALL ON DATABASE kmsq FROM PUBLIC;
GRANT CONNECT ON DATABASE kmsq TO kmsq_crypto, kmsq_change, kmsq_auditor;
