-- kpi_conversion_rate: orders placed (not cancelled) per session started, same business day.
-- Inputs: fact_order, fact_session. Has a row for each day with an order line or a session; without sessions the value is
-- NULL.
WITH event AS (
    SELECT
        f.order_date AS business_date,
        COUNT(DISTINCT CASE WHEN NOT f.is_cancelled THEN f.order_id END) AS orders,
        0 AS sessions
    FROM fact_order AS f
    INNER JOIN scope AS s ON s.business_date = f.order_date
    GROUP BY f.order_date
    UNION ALL
    SELECT
        v.session_date AS business_date,
        0 AS orders,
        COUNT(v.session_id) AS sessions
    FROM fact_session AS v
    INNER JOIN scope AS s ON s.business_date = v.session_date
    GROUP BY v.session_date
)
SELECT
    CAST(e.business_date AS DATE) AS business_date,
    CAST(ratio(SUM(e.orders), SUM(e.sessions), 6) AS DECIMAL(18, 6)) AS value,
    CAST(SUM(e.orders) AS DECIMAL(18, 2)) AS numerator,
    CAST(SUM(e.sessions) AS DECIMAL(18, 2)) AS denominator
FROM event AS e
GROUP BY e.business_date
