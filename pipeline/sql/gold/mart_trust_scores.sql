-- mart_trust_scores: how sustainable a product is, 0 to 100, one row per product.
-- Inputs: dim_product (current versions).
-- trust score = sustainability score + 10 for bamboo, or 6 for another renewable or recycled material, + 10 when organic, at
-- most 100. So bamboo cutlery and organic beans stand above products with the same base score.
WITH scored AS (
    SELECT
        p.sku,
        p.name,
        p.brand,
        p.category,
        p.material,
        p.organic,
        p.active,
        p.sustainability_score,
        CASE
            WHEN lower_ascii(p.material) LIKE '%bamboo%' THEN 10
            WHEN lower_ascii(p.material) LIKE '%recycled%' THEN 6
            WHEN lower_ascii(p.material) IN ('cork', 'linen', 'hemp') THEN 6
            ELSE 0
        END AS material_bonus,
        CASE WHEN p.organic THEN 10 ELSE 0 END AS organic_bonus
    FROM dim_product AS p
    WHERE p.is_current
)
SELECT
    CAST(s.sku AS VARCHAR) AS sku,
    CAST(s.name AS VARCHAR) AS product_name,
    CAST(s.brand AS VARCHAR) AS brand,
    CAST(s.category AS VARCHAR) AS category,
    CAST(s.material AS VARCHAR) AS material,
    CAST(s.organic AS BOOLEAN) AS organic,
    CAST(s.active AS BOOLEAN) AS active,
    CAST(s.sustainability_score AS BIGINT) AS sustainability_score,
    CAST(s.material_bonus AS BIGINT) AS material_bonus,
    CAST(s.organic_bonus AS BIGINT) AS organic_bonus,
    CAST(
        CASE
            WHEN s.sustainability_score + s.material_bonus + s.organic_bonus > 100 THEN 100
            ELSE s.sustainability_score + s.material_bonus + s.organic_bonus
        END AS BIGINT
    ) AS trust_score
FROM scored AS s
