-- mart_customer_profile: the 360-degree view, one row per known customer, also of those who have bought nothing yet.
-- Inputs: dim_customer (current versions), customer_month (all of it).
-- Money is net revenue before refunds. csat_score is the plain mean of the customer's scores, NULL without one.
-- last_sku is the product bought most in the last month with an order.
WITH total AS (
    SELECT
        m.customer_token,
        SUM(m.orders) AS orders,
        SUM(m.net_revenue_amount) AS net_revenue_amount,
        MIN(m.first_order_at) AS first_order_at,
        MAX(m.last_order_at) AS last_order_at,
        SUM(m.shipments) AS shipments,
        SUM(m.late_shipments) AS late_shipments,
        SUM(m.cases) AS cases,
        SUM(m.scored_cases) AS scored_cases,
        SUM(m.csat_points) AS csat_points
    FROM customer_month AS m
    GROUP BY m.customer_token
),
recent AS (
    SELECT
        m.customer_token,
        m.top_sku,
        ROW_NUMBER() OVER (PARTITION BY m.customer_token ORDER BY m.order_month DESC) AS place
    FROM customer_month AS m
    WHERE m.top_sku IS NOT NULL
)
SELECT
    CAST(c.customer_token AS VARCHAR) AS customer_token,
    CAST(c.country AS VARCHAR) AS country,
    CAST(c.region AS VARCHAR) AS region,
    CAST(c.loyalty_tier AS VARCHAR) AS loyalty_tier,
    CAST(c.segment AS VARCHAR) AS segment,
    CAST(c.lifetime_value AS DECIMAL(18, 2)) AS lifetime_value,
    CAST(c.consent_marketing AS BOOLEAN) AS consent_marketing,
    CAST(c.consent_profiling AS BOOLEAN) AS consent_profiling,
    CAST(COALESCE(t.orders, 0) AS BIGINT) AS orders,
    CAST(COALESCE(t.net_revenue_amount, 0) AS DECIMAL(18, 2)) AS net_revenue_amount,
    CAST(t.first_order_at AS TIMESTAMPTZ) AS first_order_at,
    CAST(t.last_order_at AS TIMESTAMPTZ) AS last_order_at,
    CAST(r.top_sku AS VARCHAR) AS last_sku,
    CAST(COALESCE(t.shipments, 0) AS BIGINT) AS shipments,
    CAST(COALESCE(t.late_shipments, 0) AS BIGINT) AS late_shipments,
    CAST(COALESCE(t.cases, 0) AS BIGINT) AS cases,
    CAST(ratio(t.csat_points, t.scored_cases, 2) AS DECIMAL(18, 2)) AS csat_score
FROM dim_customer AS c
LEFT JOIN total AS t ON t.customer_token = c.customer_token
LEFT JOIN recent AS r ON r.customer_token = c.customer_token AND r.place = 1
WHERE c.is_current
