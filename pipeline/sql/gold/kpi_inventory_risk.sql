-- kpi_inventory_risk: share of active products whose stock will not last until their supplier can deliver.
-- Inputs: fact_inventory (the day's stock count, with the product as it stood at the end of the day), fact_order (28 days
-- before).
-- forecast = mean daily quantity sold on the same weekday in the 28 days before (4 days, days without a sale count as 0).
-- at risk: available / forecast < lead time in days; written as available * 4 < lead time * quantity of the four days, which
-- is the same without dividing. Without a forecast (0) or a known lead time a product is not at risk.
-- Has a row for each day with a stock count; NULL when no counted product is active.
WITH stock AS (
    SELECT
        i.snapshot_date,
        i.sku,
        i.active,
        i.available_qty,
        i.lead_time_days
    FROM fact_inventory AS i
    INNER JOIN scope AS s ON s.business_date = i.snapshot_date
),
sale AS (
    SELECT
        f.order_date,
        f.sku,
        SUM(f.quantity) AS quantity
    FROM fact_order AS f
    WHERE NOT f.is_cancelled
    GROUP BY f.order_date, f.sku
),
counted_day AS (
    SELECT DISTINCT k.snapshot_date
    FROM stock AS k
),
demand AS (
    SELECT
        d.snapshot_date,
        a.sku,
        SUM(a.quantity) AS quantity_4_days
    FROM counted_day AS d
    INNER JOIN sale AS a
        ON
            a.order_date BETWEEN add_days(d.snapshot_date, -28) AND add_days(d.snapshot_date, -1)
            AND weekday(a.order_date) = weekday(d.snapshot_date)
    GROUP BY d.snapshot_date, a.sku
),
judged AS (
    SELECT
        k.snapshot_date,
        CASE WHEN k.active THEN 1 ELSE 0 END AS counted,
        CASE
            WHEN k.active AND k.available_qty * 4 < product(k.lead_time_days, COALESCE(m.quantity_4_days, 0), 0) THEN 1
            ELSE 0
        END AS at_risk
    FROM stock AS k
    LEFT JOIN demand AS m ON m.snapshot_date = k.snapshot_date AND m.sku = k.sku
)
SELECT
    CAST(j.snapshot_date AS DATE) AS business_date,
    CAST(ratio(SUM(j.at_risk), SUM(j.counted), 6) AS DECIMAL(18, 6)) AS value,
    CAST(SUM(j.at_risk) AS DECIMAL(18, 2)) AS numerator,
    CAST(SUM(j.counted) AS DECIMAL(18, 2)) AS denominator
FROM judged AS j
GROUP BY j.snapshot_date
