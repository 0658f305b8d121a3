-- dim_product: one row per version of a product (SCD 2), with the terms of its supplier.
-- Inputs: products (every version), suppliers (present state: terms are not versioned).
-- The first version is valid from 1970-01-01, so that a sale before the first catalogue change we heard of finds it.
WITH version AS (
    SELECT
        p.sku,
        p.name,
        p.brand,
        p.category,
        p.subcategory,
        p.supplier_id,
        p.unit_cost,
        p.list_price,
        p.sustainability_score,
        p.material,
        p.organic,
        p.active,
        p.updated_at,
        ROW_NUMBER() OVER (PARTITION BY p.sku ORDER BY p.updated_at) AS version_no,
        LEAD(p.updated_at) OVER (PARTITION BY p.sku ORDER BY p.updated_at) AS next_updated_at
    FROM products AS p
)
SELECT
    CAST(v.sku AS VARCHAR) AS sku,
    CAST(
        CASE WHEN v.version_no = 1 THEN CAST('1970-01-01 00:00:00Z' AS TIMESTAMPTZ) ELSE v.updated_at END AS TIMESTAMPTZ
    ) AS valid_from,
    CAST(v.next_updated_at AS TIMESTAMPTZ) AS valid_to,
    CAST(v.next_updated_at IS NULL AS BOOLEAN) AS is_current,
    CAST(v.name AS VARCHAR) AS name,
    CAST(v.brand AS VARCHAR) AS brand,
    CAST(v.category AS VARCHAR) AS category,
    CAST(v.subcategory AS VARCHAR) AS subcategory,
    CAST(v.supplier_id AS VARCHAR) AS supplier_id,
    CAST(u.lead_time_days AS BIGINT) AS lead_time_days,
    CAST(u.terms AS VARCHAR) AS supplier_terms,
    CAST(v.unit_cost AS DECIMAL(18, 2)) AS unit_cost,
    CAST(v.list_price AS DECIMAL(18, 2)) AS list_price,
    CAST(v.sustainability_score AS BIGINT) AS sustainability_score,
    CAST(v.material AS VARCHAR) AS material,
    CAST(v.organic AS BOOLEAN) AS organic,
    CAST(v.active AS BOOLEAN) AS active
FROM version AS v
LEFT JOIN suppliers AS u ON u.supplier_id = v.supplier_id
