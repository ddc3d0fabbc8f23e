-- One row for each city.
SELECT s.town AS city, count(*) AS suppliers
FROM catalog_supplier AS s
GROUP BY s.town
