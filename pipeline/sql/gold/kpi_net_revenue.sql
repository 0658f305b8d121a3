-- kpi_net_revenue: EUR per business day. Gross minus discounts and taxes of the day's orders (cancelled ones left out), minus
-- the refunds granted that day. Has a row for each day with an order or a refund.
-- Inputs: mart_daily_revenue, which holds the one definition of net revenue.
-- constant: denominator
SELECT
    CAST(m.order_date AS DATE) AS business_date,
    CAST(SUM(m.net_revenue) AS DECIMAL(18, 2)) AS value,
    CAST(SUM(m.net_revenue) AS DECIMAL(18, 2)) AS numerator,
    CAST(1 AS DECIMAL(18, 2)) AS denominator
FROM mart_daily_revenue AS m
INNER JOIN scope AS s ON s.business_date = m.order_date
GROUP BY m.order_date
