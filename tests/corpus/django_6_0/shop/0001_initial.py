import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.text
import django_tviews.operations
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('catalog', '0001_initial'),
        ('django_tviews', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        django_tviews.operations.CreateTView(
            name='Card',
            fields=[
                ('product', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, primary_key=True, related_name='+', serialize=False, to='catalog.product')),
                ('title', models.TextField()),
                ('supplier_name', models.TextField()),
                ('label', models.TextField()),
                ('cheap', models.TextField()),
                ('document', models.JSONField()),
            ],
            query="""
                SELECT catalog_product.id AS product_id,
                       catalog_product.name AS title,
                       catalog_supplier.name AS supplier_name,
                       COALESCE(upper(catalog_product.name), '') || COALESCE(COALESCE(' / 100% ''', '') || COALESCE(catalog_supplier.town, ''), '') AS label,
                       CASE
                           WHEN catalog_product.price < 10 THEN 'yes'
                           ELSE 'no'
                       END AS cheap,
                       jsonb_build_object('name'::text, catalog_product.name, 'supplier'::text, jsonb_build_object('town'::text, catalog_supplier.town)) AS document
                FROM catalog_product
                JOIN catalog_supplier ON catalog_product.supplier_id = catalog_supplier.id
            """,
            options={
                'verbose_name': 'product card',
                'indexes': [models.Index(fields=['supplier_name'], name='card_by_supplier'), models.Index(django.db.models.functions.text.Lower('title'), name='card_by_lower_title')],
            },
            reads=[
                'catalog.Product',
                'catalog.Supplier',
            ],
        ),
        django_tviews.operations.CreateTView(
            name='City',
            fields=[
                ('city', models.TextField(primary_key=True, serialize=False)),
                ('suppliers', models.IntegerField()),
            ],
            query="""
                SELECT s.town AS city,
                       count(*) AS suppliers
                FROM catalog_supplier s
                GROUP BY s.town
            """,
            reads=[
                'catalog.Supplier',
            ],
        ),
        django_tviews.operations.CreateTView(
            name='Fan',
            fields=[
                ('pk', models.CompositePrimaryKey('customer_id', 'product_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('customer', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('product', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='catalog.product')),
                ('reviews', models.IntegerField()),
            ],
            query="""
                SELECT catalog_customer.id AS customer_id,
                       catalog_review.product_id AS of_product,
                       count(catalog_review.id) AS reviews
                FROM catalog_customer
                JOIN catalog_review ON catalog_customer.id = catalog_review.author_id
                WHERE catalog_review.id IS NOT NULL
                GROUP BY 1,
                         2
            """,
            options={
                'default_permissions': ('view', 'delete'),
                'constraints': [models.CheckConstraint(condition=models.Q(('reviews__gt', 0)), name='fan_has_reviews')],
            },
            columns={
                'product': 'of_product',
            },
            reads=[
                'catalog.Customer',
                'catalog.Review',
            ],
        ),
        django_tviews.operations.CreateTView(
            name='Ranking',
            fields=[
                ('product', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, primary_key=True, related_name='+', serialize=False, to='catalog.product')),
                ('reviewed', models.BooleanField()),
                ('tagged', models.BooleanField()),
                ('stars', models.IntegerField()),
                ('best', models.IntegerField(null=True)),
            ],
            query="""
                SELECT catalog_product.id AS product_id,
                       EXISTS
                  (SELECT 1 AS a
                   FROM catalog_review u0
                   WHERE u0.approved
                     AND u0.product_id = catalog_product.id
                   LIMIT 1) AS reviewed,
                              EXISTS
                  (SELECT 1 AS a
                   FROM "Labels" u0
                   JOIN catalog_product_tags u1 ON u0.id = u1.tag_id
                   WHERE u1.product_id = catalog_product.id
                   LIMIT 1) AS tagged,
                                     COALESCE(
                                                (SELECT sum(u0.stars) AS total
                                                 FROM catalog_review u0
                                                 WHERE u0.approved
                                                   AND u0.product_id = catalog_product.id
                                                 GROUP BY u0.product_id), 0) AS stars,
                
                  (SELECT u0.stars AS stars
                   FROM catalog_review u0
                   WHERE u0.approved
                     AND u0.product_id = catalog_product.id
                   ORDER BY 1 DESC,
                            u0.id ASC
                   LIMIT 1) AS best
                FROM catalog_product
                WHERE catalog_product.supplier_id IN
                    (SELECT u0.id AS pk
                     FROM catalog_supplier u0
                     WHERE u0.town IN ('Rome',
                                       'Oslo'))
                  OR NOT catalog_product.name = ''
            """,
            options={
                'db_table': 'shop_best',
            },
            allow_rebuild=True,
            reads=[
                'catalog.Product',
                'catalog.Review',
                'catalog.Supplier',
                'catalog.Tag',
            ],
        ),
        django_tviews.operations.CreateTView(
            name='Totals',
            fields=[
                ('supplier', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, primary_key=True, related_name='+', serialize=False, to='catalog.supplier')),
                ('product_count', models.IntegerField()),
                ('dear', models.IntegerField()),
                ('mean', models.FloatField(null=True)),
                ('names', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), null=True)),
            ],
            query="""
                SELECT catalog_supplier.id AS supplier_id,
                       count(DISTINCT catalog_product.id) AS product_count,
                       count(catalog_product.id) FILTER (
                                                         WHERE catalog_product.price > 100) AS dear,
                       avg(catalog_product.price)::double precision AS mean,
                       array_agg(catalog_product.name
                                 ORDER BY catalog_product.id, catalog_supplier.id) AS names
                FROM catalog_supplier
                LEFT JOIN catalog_product ON catalog_supplier.id = catalog_product.supplier_id
                GROUP BY 1
                HAVING count(DISTINCT catalog_product.id) > 0
            """,
            reads=[
                'catalog.Product',
                'catalog.Supplier',
            ],
        ),
        django_tviews.operations.CreateTView(
            name='Shelf',
            fields=[
                ('id', models.BigIntegerField(primary_key=True, serialize=False)),
                ('first', models.TextField(null=True)),
            ],
            query="""
                SELECT c.product_id AS id,
                       SUBSTRING(c.title
                                 FROM 1
                                 FOR 1) AS first
                FROM shop_card c
                WHERE NOT EXISTS
                    (SELECT 1
                     FROM "Labels" l
                     WHERE l.label = c.title)
            """,
            allow_rebuild=True,
            reads=[
                'catalog.Tag',
                'shop.Card',
            ],
        ),
    ]
