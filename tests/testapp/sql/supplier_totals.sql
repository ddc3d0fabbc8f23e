SELECT s.id AS supplier_id, count(c.product_id) AS products, coalesce(sum(c.review_count), 0) AS reviews
FROM testapp_supplier s
LEFT JOIN testapp_product p ON p.supplier_id = s.id
LEFT JOIN testapp_productcard c ON c.product_id = p.id
GROUP BY s.id
