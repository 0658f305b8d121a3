-- kpi_return_rate: returns initiated / orders dispatched, both over the 30 business days that end with the day.
-- Inputs: fact_returns (initiated that long before), fact_order (an order leaves within 14 days, so 45 days of orders are
-- enough). An order counts on the day it was dispatched, whatever became of it. Has a row for each day on which a return was
-- initiated or an order dispatched; without an order in the window the value is NULL.
WITH event AS (
    SELECT
        r.initiated_date AS event_date,
        COUNT(r.return_id) AS returns,
        0 AS orders
    FROM fact_returns AS r
    GROUP BY r.initiated_date
    UNION ALL
    SELECT
        f.dispatched_date AS event_date,
        0 AS returns,
        COUNT(DISTINCT f.order_id) AS orders
    FROM fact_order AS f
    WHERE f.dispatched_date IS NOT NULL
    GROUP BY f.dispatched_date
),
day AS (
    SELECT DISTINCT s.business_date
    FROM scope AS s
    INNER JOIN event AS e ON e.event_date = s.business_date
)
SELECT
    CAST(d.business_date AS DATE) AS business_date,
    CAST(ratio(SUM(e.returns), SUM(e.orders), 6) AS DECIMAL(18, 6)) AS value,
    CAST(SUM(e.returns) AS DECIMAL(18, 2)) AS numerator,
    CAST(SUM(e.orders) AS DECIMAL(18, 2)) AS denominator
FROM day AS d
INNER JOIN event AS e ON e.event_date BETWEEN add_days(d.business_date, -29) AND d.business_date
GROUP BY d.business_date
