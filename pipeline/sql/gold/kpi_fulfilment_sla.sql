-- kpi_fulfilment_sla: share of parcels delivered by their promise, of those whose promise fell due on the business day.
-- Inputs: fact_shipment. A parcel whose promise lies after $as_of is not due yet; one that is lost or still on its way after
-- its promise is a miss. Has a row for each day with a parcel due by $as_of, so the present day grows while it passes.
SELECT
    CAST(h.due_date AS DATE) AS business_date,
    CAST(
        ratio(SUM(CASE WHEN h.delivered_at <= h.promised_delivery_ts THEN 1 ELSE 0 END), COUNT(h.shipment_id), 6)
        AS DECIMAL(18, 6)
    ) AS value,
    CAST(SUM(CASE WHEN h.delivered_at <= h.promised_delivery_ts THEN 1 ELSE 0 END) AS DECIMAL(18, 2)) AS numerator,
    CAST(COUNT(h.shipment_id) AS DECIMAL(18, 2)) AS denominator
FROM fact_shipment AS h
INNER JOIN scope AS s ON s.business_date = h.due_date
WHERE h.promised_delivery_ts <= $as_of
GROUP BY h.due_date
