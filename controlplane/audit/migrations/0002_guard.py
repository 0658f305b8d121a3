"""The log only grows: triggers refuse UPDATE, DELETE and TRUNCATE, except sealing an entry and erasing a payload."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION audit_entry_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE'
       AND OLD.seq IS NULL AND NEW.seq IS NOT NULL
       AND to_jsonb(NEW) - ARRAY['seq', 'previous_hash', 'hash', 'sealed_at']
         = to_jsonb(OLD) - ARRAY['seq', 'previous_hash', 'hash', 'sealed_at'] THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the audit log only grows: % of % is refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE FUNCTION audit_payload_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE'
       AND OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL
       AND NEW.entry_id = OLD.entry_id AND NEW.salt IS NULL AND NEW.document IS NULL THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the audit log only grows: % of % is refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER audit_entry_guard BEFORE UPDATE OR DELETE ON audit_auditentry
    FOR EACH ROW EXECUTE FUNCTION audit_entry_guard();
CREATE TRIGGER audit_entry_guard_truncate BEFORE TRUNCATE ON audit_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION audit_entry_guard();
CREATE TRIGGER audit_payload_guard BEFORE UPDATE OR DELETE ON audit_auditpayload
    FOR EACH ROW EXECUTE FUNCTION audit_payload_guard();
CREATE TRIGGER audit_payload_guard_truncate BEFORE TRUNCATE ON audit_auditpayload
    FOR EACH STATEMENT EXECUTE FUNCTION audit_payload_guard();
"""

REVERSE = """
DROP TRIGGER audit_entry_guard ON audit_auditentry;
DROP TRIGGER audit_entry_guard_truncate ON audit_auditentry;
DROP TRIGGER audit_payload_guard ON audit_auditpayload;
DROP TRIGGER audit_payload_guard_truncate ON audit_auditpayload;
DROP FUNCTION audit_entry_guard();
DROP FUNCTION audit_payload_guard();
"""


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]

    operations = [migrations.RunSQL(FORWARD, REVERSE)]
