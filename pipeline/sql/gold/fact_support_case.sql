-- fact_support_case: one row per conversation with support, on the business day it was opened.
-- Inputs: support_cases.
SELECT
    CAST(c.case_id AS VARCHAR) AS case_id,
    CAST(c.customer_token AS VARCHAR) AS customer_token,
    CAST(c.order_id AS VARCHAR) AS order_id,
    CAST(c.channel AS VARCHAR) AS channel,
    CAST(c.opened_date AS DATE) AS opened_date,
    CAST(c.opened_at AS TIMESTAMPTZ) AS opened_at,
    CAST(c.closed_at AS TIMESTAMPTZ) AS closed_at,
    CAST(business_date(c.closed_at, 'Europe/Paris') AS DATE) AS closed_date,
    CAST(c.status AS VARCHAR) AS status,
    CAST(seconds_between(c.opened_at, c.closed_at) AS BIGINT) AS resolution_time_s,
    CAST(c.csat_score AS BIGINT) AS csat_score,
    CAST(c.sentiment AS DECIMAL(5, 4)) AS sentiment
FROM support_cases AS c
INNER JOIN scope AS s ON s.opened_date = c.opened_date
