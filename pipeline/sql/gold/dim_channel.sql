-- dim_channel: one row per version of a sales channel (SCD 2). channel_source is the name that facts use for it.
-- Inputs: channels (every version).
-- The first version is valid from 1970-01-01: a channel's sales may be older than its first record.
WITH version AS (
    SELECT
        c.channel_id,
        c.name,
        c.kind,
        c.active,
        c.updated_at,
        ROW_NUMBER() OVER (PARTITION BY c.channel_id ORDER BY c.updated_at) AS version_no,
        LEAD(c.updated_at) OVER (PARTITION BY c.channel_id ORDER BY c.updated_at) AS next_updated_at
    FROM channels AS c
)
SELECT
    CAST(v.channel_id AS VARCHAR) AS channel_source,
    CAST(
        CASE WHEN v.version_no = 1 THEN CAST('1970-01-01 00:00:00Z' AS TIMESTAMPTZ) ELSE v.updated_at END AS TIMESTAMPTZ
    ) AS valid_from,
    CAST(v.next_updated_at AS TIMESTAMPTZ) AS valid_to,
    CAST(v.next_updated_at IS NULL AS BOOLEAN) AS is_current,
    CAST(v.name AS VARCHAR) AS name,
    CAST(v.kind AS VARCHAR) AS kind,
    CAST(v.active AS BOOLEAN) AS active
FROM version AS v
