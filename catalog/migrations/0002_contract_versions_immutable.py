from django.db import migrations

# ``imported_by`` may become NULL (a person is erased); nothing else may change.
FORWARDS = """
CREATE FUNCTION catalog_contractversion_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.imported_by_id IS NULL
       AND to_jsonb(NEW) - 'imported_by_id' = to_jsonb(OLD) - 'imported_by_id' THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a contract version never changes; import a new one' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER catalog_contractversion_immutable BEFORE UPDATE OR DELETE ON catalog_contractversion
    FOR EACH ROW EXECUTE FUNCTION catalog_contractversion_guard();
"""
BACKWARDS = """
DROP TRIGGER catalog_contractversion_immutable ON catalog_contractversion;
DROP FUNCTION catalog_contractversion_guard();
"""


class Migration(migrations.Migration):
    dependencies = [("catalog", "0001_initial")]
    operations = [migrations.RunSQL(FORWARDS, BACKWARDS)]
