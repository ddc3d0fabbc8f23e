-- What an expert would write to keep product_document equal to its query at READ COMMITTED, for
-- the writes that the shop has: prices change, categories and suppliers are renamed, reviews come
-- and go. The other writes are refused, so that a document is never wrong.
--
-- Of a document only the part that has changed is written anew. Products never change category
-- or supplier, so the name in a document follows the parent's row alone. Whoever sums up reviews
-- holds the row of the document, and reads them after that.
-- Statements over few rows keep their plan; those over many are planned for the true number.

CREATE FUNCTION product_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM (SELECT FROM new_rows LIMIT 100) AS few) < 100 THEN
        --: ALL LEVELS
        PERFORM django_tviews_lock('product_document', ARRAY(
            SELECT DISTINCT lock
            FROM new_rows n JOIN old_rows o ON o.pk_product = n.pk_product,
                 LATERAL (VALUES (exclude(0, n.pk_product)), (share(1, n.fk_category)),
                                  (share(2, n.fk_supplier))) AS wanted (lock)
            WHERE (n.name, n.description, n.base_price, n.current_price)
               <> (o.name, o.description, o.base_price, o.current_price)
              AND lock IS NOT NULL
            ORDER BY lock));
        --: END
        UPDATE product_document d
        SET data = d.data || jsonb_build_object(
            'name', n.name, 'description', n.description,
            'price', jsonb_build_object(
                'base', n.base_price, 'current', n.current_price,
                'discount_pct', round(100 * (1 - n.current_price / n.base_price), 2)))
        FROM new_rows n JOIN old_rows o ON o.pk_product = n.pk_product
        WHERE d.pk_product = n.pk_product
          AND (n.base_price <> o.base_price OR n.current_price <> o.current_price
               OR n.name <> o.name OR n.description <> o.description);
    ELSE
        --: ALL LEVELS
        EXECUTE $bulk$SELECT django_tviews_lock('product_document', '{0}')
        FROM new_rows n JOIN old_rows o ON o.pk_product = n.pk_product
        WHERE (n.name, n.description, n.base_price, n.current_price)
               <> (o.name, o.description, o.base_price, o.current_price)
        HAVING count(*) > 0$bulk$;
        --: END
        EXECUTE $bulk$UPDATE product_document d
        SET data = d.data || jsonb_build_object(
            'name', n.name, 'description', n.description,
            'price', jsonb_build_object(
                'base', n.base_price, 'current', n.current_price,
                'discount_pct', round(100 * (1 - n.current_price / n.base_price), 2)))
        FROM new_rows n JOIN old_rows o ON o.pk_product = n.pk_product
        WHERE d.pk_product = n.pk_product
          AND (n.base_price <> o.base_price OR n.current_price <> o.current_price
               OR n.name <> o.name OR n.description <> o.description)$bulk$;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION category_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    --: ALL LEVELS
    PERFORM django_tviews_lock('product_document', ARRAY(
        SELECT exclude(1, n.pk_category) AS lock
        FROM new_rows n JOIN old_rows o ON o.pk_category = n.pk_category WHERE (n.name, n.slug) <> (o.name, o.slug)
        UNION
        SELECT exclude(0, p.pk_product)
        FROM new_rows n JOIN old_rows o ON o.pk_category = n.pk_category
        JOIN tb_product p ON p.fk_category = n.pk_category
        WHERE (n.name, n.slug) <> (o.name, o.slug)
        ORDER BY lock));
    --: END
    UPDATE product_document d
    SET data = jsonb_set(d.data, '{category}', jsonb_build_object(
        'id', n.pk_category, 'name', n.name, 'slug', n.slug))
    FROM new_rows n JOIN old_rows o ON o.pk_category = n.pk_category
    WHERE d.fk_category = n.pk_category AND (n.name <> o.name OR n.slug <> o.slug);
    RETURN NULL;
END $$;

CREATE FUNCTION supplier_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    --: ALL LEVELS
    PERFORM django_tviews_lock('product_document', ARRAY(
        SELECT exclude(2, n.pk_supplier) AS lock
        FROM new_rows n JOIN old_rows o ON o.pk_supplier = n.pk_supplier WHERE (n.name, n.country) <> (o.name, o.country)
        UNION
        SELECT exclude(0, p.pk_product)
        FROM new_rows n JOIN old_rows o ON o.pk_supplier = n.pk_supplier
        JOIN tb_product p ON p.fk_supplier = n.pk_supplier
        WHERE (n.name, n.country) <> (o.name, o.country)
        ORDER BY lock));
    --: END
    UPDATE product_document d
    SET data = jsonb_set(d.data, '{supplier}', jsonb_build_object(
        'id', n.pk_supplier, 'name', n.name, 'country', n.country))
    FROM new_rows n
    JOIN old_rows o ON o.pk_supplier = n.pk_supplier
    JOIN tb_product p ON p.fk_supplier = n.pk_supplier
    WHERE d.pk_product = p.pk_product AND (n.name <> o.name OR n.country <> o.country);
    RETURN NULL;
END $$;

CREATE FUNCTION sum_up_reviews(products bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF cardinality(products) < 100 THEN
        --: ALL LEVELS
        PERFORM django_tviews_lock('product_document', ARRAY(
            SELECT exclude(0, product) FROM unnest(products) AS product ORDER BY 1));
        --: END
        --: READ COMMITTED
        PERFORM FROM product_document WHERE pk_product = ANY (products)
        ORDER BY pk_product FOR NO KEY UPDATE;
        --: END
        UPDATE product_document d
        SET data = jsonb_set(d.data, '{reviews}', (
            SELECT jsonb_build_object(
                'count', count(*), 'average_rating', round(avg(r.rating), 2),
                'recent', coalesce(jsonb_agg(
                    jsonb_build_object('id', r.pk_review, 'rating', r.rating, 'title', r.title)
                    ORDER BY r.pk_review DESC) FILTER (WHERE r.place <= 5), '[]'))
            FROM (SELECT pk_review, rating, title,
                         row_number() OVER (ORDER BY pk_review DESC) AS place
                  FROM tb_review WHERE fk_product = d.pk_product) AS r))
        WHERE d.pk_product = ANY (products);
    ELSE
        --: ALL LEVELS
        PERFORM django_tviews_lock('product_document', '{0}');
        --: END
        --: READ COMMITTED
        EXECUTE 'SELECT FROM product_document WHERE pk_product = ANY ($1)
                 ORDER BY pk_product FOR NO KEY UPDATE'
        USING products;
        --: END
        EXECUTE $bulk$UPDATE product_document d
        SET data = jsonb_set(d.data, '{reviews}', coalesce(
            r.summary, '{"count": 0, "average_rating": null, "recent": []}'))
        FROM unnest($1) AS p (pk_product)
        LEFT JOIN (
            SELECT fk_product, jsonb_build_object(
                'count', count(*), 'average_rating', round(avg(rating), 2),
                'recent', coalesce(jsonb_agg(
                    jsonb_build_object('id', pk_review, 'rating', rating, 'title', title)
                    ORDER BY pk_review DESC) FILTER (WHERE place <= 5), '[]')) AS summary
            FROM (SELECT fk_product, pk_review, rating, title, row_number() OVER (
                         PARTITION BY fk_product ORDER BY pk_review DESC) AS place
                  FROM tb_review WHERE fk_product = ANY ($1)) AS placed
            GROUP BY fk_product) AS r ON r.fk_product = p.pk_product
        WHERE d.pk_product = p.pk_product$bulk$
        USING products;
    END IF;
END $$;

CREATE FUNCTION review_written() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM sum_up_reviews(array_agg(DISTINCT fk_product)) FROM changed_rows HAVING count(*) > 0;
    RETURN NULL;
END $$;

CREATE FUNCTION not_foreseen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE '% of % is not foreseen', TG_OP, TG_TABLE_NAME;
END $$;

CREATE TRIGGER updated AFTER UPDATE ON tb_product
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows EXECUTE FUNCTION product_updated();
CREATE TRIGGER updated AFTER UPDATE ON tb_category
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows EXECUTE FUNCTION category_updated();
CREATE TRIGGER updated AFTER UPDATE ON tb_supplier
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows EXECUTE FUNCTION supplier_updated();
CREATE TRIGGER inserted AFTER INSERT ON tb_review REFERENCING NEW TABLE AS changed_rows
    EXECUTE FUNCTION review_written();
CREATE TRIGGER deleted AFTER DELETE ON tb_review REFERENCING OLD TABLE AS changed_rows
    EXECUTE FUNCTION review_written();
CREATE TRIGGER stays BEFORE UPDATE OF pk_product, fk_category, fk_supplier ON tb_product
    FOR EACH ROW WHEN ((OLD.pk_product, OLD.fk_category, OLD.fk_supplier)
        IS DISTINCT FROM (NEW.pk_product, NEW.fk_category, NEW.fk_supplier))
    EXECUTE FUNCTION not_foreseen();
CREATE TRIGGER neither_come_nor_go BEFORE INSERT OR DELETE ON tb_product EXECUTE FUNCTION not_foreseen();
CREATE TRIGGER stays BEFORE INSERT OR UPDATE OR DELETE ON tb_inventory
    EXECUTE FUNCTION not_foreseen();
CREATE TRIGGER stays BEFORE UPDATE ON tb_review EXECUTE FUNCTION not_foreseen();
CREATE TRIGGER stays BEFORE UPDATE OF pk_category ON tb_category EXECUTE FUNCTION not_foreseen();
CREATE TRIGGER stays BEFORE UPDATE OF pk_supplier ON tb_supplier EXECUTE FUNCTION not_foreseen();
