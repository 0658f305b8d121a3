-- fact_session: one row per visit to the shop, on the business day it started.
-- Inputs: sessions.
SELECT
    CAST(v.session_id AS VARCHAR) AS session_id,
    CAST(v.session_date AS DATE) AS session_date,
    CAST(v.customer_token AS VARCHAR) AS customer_token,
    CAST(v.channel_source AS VARCHAR) AS channel_source,
    CAST(v.region AS VARCHAR) AS region,
    CAST(v.device AS VARCHAR) AS device,
    CAST(v.started_at AS TIMESTAMPTZ) AS started_at,
    CAST(v.ended_at AS TIMESTAMPTZ) AS ended_at,
    CAST(seconds_between(v.started_at, v.ended_at) AS BIGINT) AS duration_s,
    CAST(v.page_views AS BIGINT) AS page_views
FROM sessions AS v
INNER JOIN scope AS s ON s.session_date = v.session_date
