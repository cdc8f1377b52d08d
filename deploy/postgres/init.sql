-- Roles, schemas and the law clock of one Regua database. Run as an administrator, in that
-- database, as often as you like: it creates what is missing and sets the passwords anew.
--
-- In: settings of the session, one password for each service, and the mode:
--   regua.password_scheduler, regua.password_sms_sender, regua.password_email_sender,
--   regua.password_whatsapp_sender, regua.password_contact_ledger
--   regua.mode   'production' (when absent) or 'sandbox': only then may the law clock be set
-- With psql: PGOPTIONS="-c regua.password_scheduler=… -c regua.mode=production" psql -f init.sql

-- One role and one schema per service; nobody reads another's.
DO $$
DECLARE
    service text;
    role text;
BEGIN
    FOREACH service IN ARRAY ARRAY['scheduler', 'sms_sender', 'email_sender', 'whatsapp_sender', 'contact_ledger']
    LOOP
        role := 'regua_' || service;
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', role);
        END IF;
        EXECUTE format('ALTER ROLE %I PASSWORD %L', role, current_setting('regua.password_' || service));
        EXECUTE format('ALTER ROLE %I SET search_path = %I', role, service);
        EXECUTE format('CREATE SCHEMA IF NOT EXISTS %I', service);
        EXECUTE format('ALTER SCHEMA %I OWNER TO %I', service, role);
        EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO %I', current_database(), role);
    END LOOP;
    EXECUTE format('REVOKE CONNECT, TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
END
$$;
REVOKE ALL ON SCHEMA public FROM PUBLIC;

-- The clocks. Law time decides windows, dues and promises; machine time decides deadlines and
-- order. They differ only in sandbox mode, where a driver may freeze and step law time.
CREATE SCHEMA IF NOT EXISTS platform;

CREATE TABLE IF NOT EXISTS platform.law_clock (
    one_row boolean PRIMARY KEY DEFAULT true CHECK (one_row),
    mode text NOT NULL DEFAULT 'production' CHECK (mode IN ('production', 'sandbox')),
    frozen_at timestamptz,
    CHECK (mode = 'sandbox' OR frozen_at IS NULL)
);
INSERT INTO platform.law_clock (mode)
VALUES (coalesce(nullif(current_setting('regua.mode', true), ''), 'production'))
ON CONFLICT (one_row) DO NOTHING;  -- the mode of a database is chosen once

CREATE OR REPLACE FUNCTION platform.machine_now() RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
AS 'SELECT clock_timestamp()';

-- STABLE, so that an index scan may use it: one reading serves a whole statement.
CREATE OR REPLACE FUNCTION platform.law_now() RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
AS 'SELECT coalesce(frozen_at, clock_timestamp()) FROM platform.law_clock';

CREATE OR REPLACE FUNCTION platform.set_law_now(wanted timestamptz) RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
AS $$
DECLARE
    clock platform.law_clock;
BEGIN
    SELECT * INTO STRICT clock FROM platform.law_clock FOR UPDATE;
    IF clock.mode <> 'sandbox' THEN
        RAISE EXCEPTION 'the law clock can be set in sandbox mode only' USING ERRCODE = 'RG001';
    END IF;
    IF wanted IS NULL OR NOT isfinite(wanted) OR wanted < clock.frozen_at THEN
        RAISE EXCEPTION 'the law clock never goes backwards (it stands at %)', clock.frozen_at
            USING ERRCODE = 'RG002';
    END IF;
    UPDATE platform.law_clock SET frozen_at = wanted;
    RETURN wanted;
END
$$;

REVOKE ALL ON FUNCTION platform.set_law_now(timestamptz) FROM PUBLIC;
GRANT USAGE ON SCHEMA platform TO
    regua_scheduler, regua_sms_sender, regua_email_sender, regua_whatsapp_sender, regua_contact_ledger;
GRANT SELECT ON platform.law_clock TO
    regua_scheduler, regua_sms_sender, regua_email_sender, regua_whatsapp_sender, regua_contact_ledger;
GRANT EXECUTE ON FUNCTION platform.machine_now(), platform.law_now(), platform.set_law_now(timestamptz) TO
    regua_scheduler, regua_sms_sender, regua_email_sender, regua_whatsapp_sender, regua_contact_ledger;
