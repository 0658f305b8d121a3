-- fact_returns: one row per returned line, on the business day the return was initiated.
-- Inputs: returns, dim_fx_rate.
-- A refund exists once it is granted (refunded_at); it is converted with the rate valid at that moment, and counts on that
-- business day (refunded_date). Until then refund_amount is NULL, whatever amount the source announces.
WITH return_line AS (
    SELECT
        r.return_id,
        r.order_id,
        r.line_no,
        r.sku,
        r.channel_source,
        r.region,
        r.reason,
        r.initiated_date,
        r.initiated_at,
        r.refunded_at,
        business_date(r.refunded_at, 'Europe/Paris') AS refunded_date,
        r.currency,
        r.refund_amount
    FROM returns AS r
    INNER JOIN scope AS s ON s.initiated_date = r.initiated_date
),
refund_day AS (
    SELECT DISTINCT l.refunded_date
    FROM return_line AS l
    WHERE l.refunded_date IS NOT NULL
),
rate AS (
    SELECT
        d.refunded_date,
        f.currency,
        f.valid_from,
        f.valid_to,
        f.rate_to_eur
    FROM dim_fx_rate AS f
    INNER JOIN refund_day AS d
        ON f.valid_from_date <= d.refunded_date AND (f.valid_to_date IS NULL OR f.valid_to_date >= d.refunded_date)
)
SELECT
    CAST(l.return_id AS VARCHAR) AS return_id,
    CAST(l.order_id AS VARCHAR) AS order_id,
    CAST(l.line_no AS BIGINT) AS line_no,
    CAST(l.sku AS VARCHAR) AS sku,
    CAST(l.channel_source AS VARCHAR) AS channel_source,
    CAST(l.region AS VARCHAR) AS region,
    CAST(l.reason AS VARCHAR) AS reason,
    CAST(l.initiated_date AS DATE) AS initiated_date,
    CAST(l.initiated_at AS TIMESTAMPTZ) AS initiated_at,
    CAST(l.refunded_at AS TIMESTAMPTZ) AS refunded_at,
    CAST(l.refunded_date AS DATE) AS refunded_date,
    CAST(l.currency AS VARCHAR) AS currency,
    CAST(r.rate_to_eur AS DECIMAL(12, 8)) AS fx_rate,
    CAST(eur(l.refund_amount, r.rate_to_eur) AS DECIMAL(18, 2)) AS refund_amount
FROM return_line AS l
LEFT JOIN rate AS r
    ON
        r.currency = l.currency
        AND r.refunded_date = l.refunded_date
        AND r.valid_from <= l.refunded_at
        AND (r.valid_to IS NULL OR l.refunded_at < r.valid_to)
