-- Products per category, with the name of the category above it.
SELECT category.id AS category_id,
       category.name,
       parent.name AS parent_name,
       count(product.id) AS product_count,
       count(product.id) FILTER (WHERE product.status = 'active') AS active_count,
       avg(product.price) AS average_price,
       max(product.price) AS highest_price,
       coalesce(string_agg(DISTINCT supplier.name, ', ' ORDER BY supplier.name), '') AS suppliers
  FROM shop_category category
       LEFT JOIN shop_category parent ON parent.id = category.parent_id
       LEFT JOIN shop_product product ON product.category_id = category.id
       LEFT JOIN shop_supplier supplier ON supplier.id = product.supplier_id
 GROUP BY category.id, category.name, parent.name
