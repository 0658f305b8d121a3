-- mart_daily_revenue: one row per business day, sales channel and region.
-- Inputs: fact_order, fact_returns, dim_channel (as it stood at the end of the day).
-- Sales count on the day of the order, cancelled orders left out; refunds count on the day they are granted, which may be a
-- day without sales. net_revenue = gross - discounts - taxes - refunds: the definition of Net Revenue, of which the KPI is
-- the sum.
WITH sale AS (
    SELECT
        f.order_date,
        f.channel_source,
        f.region,
        COUNT(DISTINCT f.order_id) AS orders,
        COUNT(f.line_no) AS lines,
        SUM(f.gross_amount) AS gross_amount,
        SUM(f.discount_amount) AS discount_amount,
        SUM(f.tax_amount) AS tax_amount,
        SUM(f.net_revenue_amount) AS net_revenue_amount
    FROM fact_order AS f
    INNER JOIN scope AS s ON s.order_date = f.order_date
    WHERE NOT f.is_cancelled
    GROUP BY f.order_date, f.channel_source, f.region
),
refund AS (
    SELECT
        r.refunded_date AS order_date,
        r.channel_source,
        r.region,
        SUM(r.refund_amount) AS refund_amount
    FROM fact_returns AS r
    INNER JOIN scope AS s ON s.order_date = r.refunded_date
    WHERE r.refund_amount IS NOT NULL
    GROUP BY r.refunded_date, r.channel_source, r.region
),
place AS (
    SELECT
        a.order_date,
        a.channel_source,
        a.region
    FROM sale AS a
    UNION
    SELECT
        b.order_date,
        b.channel_source,
        b.region
    FROM refund AS b
),
day AS (
    SELECT
        p.order_date,
        p.channel_source,
        p.region,
        add_seconds(day_start(add_days(p.order_date, 1), 'Europe/Paris'), -1) AS day_end_at
    FROM place AS p
)
SELECT
    CAST(d.order_date AS DATE) AS order_date,
    CAST(d.channel_source AS VARCHAR) AS channel_source,
    CAST(d.region AS VARCHAR) AS region,
    CAST(d.day_end_at AS TIMESTAMPTZ) AS day_end_at,
    CAST(c.name AS VARCHAR) AS channel_name,
    CAST(c.kind AS VARCHAR) AS channel_kind,
    CAST(COALESCE(a.orders, 0) AS BIGINT) AS orders,
    CAST(COALESCE(a.lines, 0) AS BIGINT) AS lines,
    CAST(COALESCE(a.gross_amount, 0) AS DECIMAL(18, 2)) AS gross_amount,
    CAST(COALESCE(a.discount_amount, 0) AS DECIMAL(18, 2)) AS discount_amount,
    CAST(COALESCE(a.tax_amount, 0) AS DECIMAL(18, 2)) AS tax_amount,
    CAST(COALESCE(b.refund_amount, 0) AS DECIMAL(18, 2)) AS refund_amount,
    CAST(COALESCE(a.net_revenue_amount, 0) - COALESCE(b.refund_amount, 0) AS DECIMAL(18, 2)) AS net_revenue
FROM day AS d
LEFT JOIN sale AS a
    ON a.order_date = d.order_date AND a.channel_source = d.channel_source AND a.region = d.region
LEFT JOIN refund AS b
    ON b.order_date = d.order_date AND b.channel_source = d.channel_source AND b.region = d.region
LEFT JOIN dim_channel AS c
    ON
        c.channel_source = d.channel_source
        AND c.valid_from <= d.day_end_at
        AND (c.valid_to IS NULL OR d.day_end_at < c.valid_to)
