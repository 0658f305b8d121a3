-- fact_inventory: one row per product and day of the stock count, with the product as it stood at the end of that day.
-- Inputs: inventory, dim_product.
-- The end of a day is its last second in the business zone (day_end_at); a change at that very second belongs to the day.
WITH stock AS (
    SELECT
        i.sku,
        i.snapshot_date,
        add_seconds(day_start(add_days(i.snapshot_date, 1), 'Europe/Paris'), -1) AS day_end_at,
        i.available_qty,
        i.reserved_qty
    FROM inventory AS i
    INNER JOIN scope AS s ON s.snapshot_date = i.snapshot_date
)
SELECT
    CAST(k.sku AS VARCHAR) AS sku,
    CAST(k.snapshot_date AS DATE) AS snapshot_date,
    CAST(k.day_end_at AS TIMESTAMPTZ) AS day_end_at,
    CAST(p.valid_from AS TIMESTAMPTZ) AS product_valid_from,
    CAST(p.active AS BOOLEAN) AS active,
    CAST(p.lead_time_days AS BIGINT) AS lead_time_days,
    CAST(k.available_qty AS BIGINT) AS available_qty,
    CAST(k.reserved_qty AS BIGINT) AS reserved_qty
FROM stock AS k
LEFT JOIN dim_product AS p
    ON
        p.sku = k.sku
        AND p.valid_from <= k.day_end_at
        AND (p.valid_to IS NULL OR k.day_end_at < p.valid_to)
