"""Plausible shop data, the same at every run, loaded with COPY."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.core.management.color import no_style
from django.db import connections, transaction

from shop.models import (
    Category,
    Customer,
    Inventory,
    Order,
    OrderLine,
    Product,
    Review,
    Supplier,
    Tag,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import Model

REVIEWS_PER_PRODUCT = 5
ROWS_PER_COPY = 5_000
LARGEST_SUPPLIER = "Northwind Trading"

_OPENING_DAY = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
_DAYS_OPEN = 700

_CATEGORIES = {
    "Home": {
        "Kitchen": ("Kettle", "Saucepan", "Chopping Board", "Teapot"),
        "Bedroom": ("Duvet", "Pillow", "Bedside Table", "Blanket"),
        "Lighting": ("Desk Lamp", "Floor Lamp", "Lantern", "Pendant Light"),
        "Garden": ("Watering Can", "Planter", "Bench", "Hose"),
    },
    "Clothing": {
        "Coats": ("Raincoat", "Parka", "Overcoat", "Vest"),
        "Shoes": ("Boots", "Sandals", "Loafers", "Slippers"),
        "Knitwear": ("Jumper", "Cardigan", "Scarf", "Beanie"),
        "Bags": ("Backpack", "Satchel", "Tote", "Suitcase"),
    },
    "Sports": {
        "Cycling": ("Helmet", "Saddle", "Pannier", "Pump"),
        "Camping": ("Tent", "Sleeping Bag", "Stove", "Headlamp"),
        "Running": ("Running Shoes", "Water Belt", "Shorts", "Windbreaker"),
        "Swimming": ("Goggles", "Swim Cap", "Fins", "Towel"),
    },
    "Office": {
        "Desks": ("Standing Desk", "Writing Desk", "Desk Mat", "Monitor Arm"),
        "Stationery": ("Notebook", "Fountain Pen", "Stapler", "Ruler"),
        "Chairs": ("Office Chair", "Stool", "Armchair", "Footrest"),
        "Storage": ("Filing Cabinet", "Bookshelf", "Document Box", "Drawer Unit"),
    },
}
_ADJECTIVES = ("Classic", "Compact", "Foldable", "Light", "Nordic", "Quiet", "Rustic", "Sturdy")
_MATERIALS = ("Ash", "Bamboo", "Canvas", "Copper", "Cork", "Felt", "Linen", "Oak", "Steel", "Wool")
_TAGS = (
    "bestseller",
    "eco",
    "fragile",
    "gift",
    "handmade",
    "heavy",
    "local",
    "new",
    "recycled",
    "sale",
    "seasonal",
    "vegan",
)
_SUPPLIER_NAMES = ("Alder", "Birch", "Cedar", "Dune", "Ember", "Fjord", "Grove", "Harbour")
_SUPPLIER_FORMS = ("& Co", "Brothers", "Imports", "Works", "Makers")
_COUNTRIES = ("DE", "DK", "ES", "FR", "IT", "JP", "NL", "PT", "SE", "US")
_FIRST_NAMES = ("Ada", "Ben", "Chloe", "David", "Emma", "Farid", "Grace", "Hugo", "Ines", "Jonas")
_LAST_NAMES = ("Alvarez", "Becker", "Costa", "Dubois", "Eriksen", "Fischer", "Garcia", "Haas")
_REVIEW_TITLES = {
    1: ("Broke after a week", "Not what I ordered"),
    2: ("Disappointing", "Smaller than it looks"),
    3: ("It does the job", "Fair for the price"),
    4: ("Very good", "Would buy again"),
    5: ("Excellent", "Better than I hoped", "My favourite"),
}


@dataclass(frozen=True)
class Rows:
    """What goes into one table."""

    model: type[Model]
    fields: tuple[str, ...]
    values: list[tuple[Any, ...]]


def generate(products: int) -> list[Rows]:
    """Make a shop's data; nothing is written.

    Args:
        products: How many products; everything else is in proportion.

    Returns:
        The rows of each table, parents before children. Keys count from 1.
    """
    chance = random.Random(products)

    def moment() -> dt.datetime:
        return _OPENING_DAY + dt.timedelta(seconds=chance.randrange(_DAYS_OPEN * 86_400))

    categories, nouns = _categories()
    suppliers = _suppliers(chance)
    customers = [_customer(key, chance, moment()) for key in range(1, max(products // 5, 1) + 1)]
    product_keys = range(1, products + 1)
    catalogue = [_product(key, chance, nouns, len(suppliers), moment()) for key in product_keys]
    prices = {key: price for key, _, _, price, *_ in catalogue}
    tagged = [
        (product, tag)
        for product in product_keys
        for tag in sorted(chance.sample(range(1, len(_TAGS) + 1), chance.randrange(4)))
    ]
    inventories = [
        (product, chance.randrange(10, 500), chance.randrange(10), moment())
        for product in product_keys
        if chance.random() < 0.95  # noqa: PLR2004 - the others have never been in stock
    ]
    orders = [_order(key, chance, len(customers), moment()) for key in range(1, products // 2 + 1)]
    lines = [
        (order, product, chance.randrange(1, 4), prices[product])
        for order, *_ in orders
        for product in chance.sample(product_keys, min(chance.randrange(1, 5), products))
    ]
    # In the order of the products, so that one COPY touches few of them.
    reviewed = sorted(chance.choices(product_keys, k=products * REVIEWS_PER_PRODUCT))
    reviews = [_review(product, chance, len(customers), moment()) for product in reviewed]
    return [
        Rows(Category, ("id", "name", "slug", "parent"), categories),
        Rows(Supplier, ("id", "name", "country"), suppliers),
        Rows(Tag, ("id", "name"), list(enumerate(_TAGS, start=1))),
        Rows(Customer, ("id", "name", "email", "country", "joined_at"), customers),
        Rows(
            Product,
            ("id", "sku", "name", "price", "status", "category", "supplier", "created_at"),
            catalogue,
        ),
        Rows(Product.tags.through, ("product", "tag"), tagged),
        Rows(Inventory, ("product", "quantity", "reserved", "restocked_at"), inventories),
        Rows(Review, ("product", "customer", "rating", "title", "created_at"), reviews),
        Rows(Order, ("id", "customer", "number", "status", "placed_at", "shipped_at"), orders),
        Rows(OrderLine, ("order", "product", "quantity", "unit_price"), lines),
    ]


def load(tables: list[Rows], using: str, advance: Callable[[int], None]) -> None:
    """Write the rows into an empty shop: all of them, or none.

    Args:
        tables: What ``generate`` made.
        using: Alias of the database.
        advance: Called with the number of rows each COPY has written.
    """
    connection = connections[using]
    quote = connection.ops.quote_name
    with transaction.atomic(using=using), connection.cursor() as cursor:
        for table in tables:
            meta = table.model._meta
            columns = ", ".join(quote(meta.get_field(name).column) for name in table.fields)
            statement = f"COPY {quote(meta.db_table)} ({columns}) FROM STDIN"
            for start in range(0, len(table.values), ROWS_PER_COPY):
                chunk = table.values[start : start + ROWS_PER_COPY]
                with cursor.copy(statement) as copy:
                    for row in chunk:
                        copy.write_row(row)
                advance(len(chunk))
        models = [table.model for table in tables]
        for statement in connection.ops.sequence_reset_sql(no_style(), models):
            cursor.execute(statement)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _categories() -> tuple[list[tuple[Any, ...]], dict[int, tuple[str, ...]]]:
    """The category rows, and for each category without children the nouns of its products."""
    rows: list[tuple[Any, ...]] = []
    nouns: dict[int, tuple[str, ...]] = {}
    for name, children in _CATEGORIES.items():
        parent = len(rows) + 1
        rows.append((parent, name, name.lower(), None))
        for child, child_nouns in children.items():
            key = len(rows) + 1
            rows.append((key, child, child.lower(), parent))
            nouns[key] = child_nouns
    return rows, nouns


def _suppliers(chance: random.Random) -> list[tuple[Any, ...]]:
    names = [f"{name} {form}" for name in _SUPPLIER_NAMES for form in _SUPPLIER_FORMS]
    return [
        (key, name, chance.choice(_COUNTRIES))
        for key, name in enumerate([LARGEST_SUPPLIER, *names], start=1)
    ]


def _customer(key: int, chance: random.Random, joined_at: dt.datetime) -> tuple[Any, ...]:
    first, last = chance.choice(_FIRST_NAMES), chance.choice(_LAST_NAMES)
    email = f"{first}.{last}.{key}@example.com".lower()
    return key, f"{first} {last}", email, chance.choice(_COUNTRIES), joined_at


def _product(
    key: int,
    chance: random.Random,
    nouns: dict[int, tuple[str, ...]],
    suppliers: int,
    created_at: dt.datetime,
) -> tuple[Any, ...]:
    category = chance.choice(list(nouns))
    name = " ".join(
        (chance.choice(_ADJECTIVES), chance.choice(_MATERIALS), chance.choice(nouns[category]))
    )
    price = Decimal(chance.randrange(300, 40_000)) / 100
    status = chance.choices(Product.Status.values, weights=(1, 17, 2))[0]
    # One supplier has exactly every tenth product, and every twentieth has none.
    match key % 20:
        case 0 | 10:
            supplier: int | None = 1
        case 7:
            supplier = None
        case _:
            supplier = chance.randrange(2, suppliers + 1)
    return key, f"P-{key:06}", name, price, status, category, supplier, created_at


def _review(
    product: int, chance: random.Random, customers: int, created_at: dt.datetime
) -> tuple[Any, ...]:
    rating = chance.choices(tuple(_REVIEW_TITLES), weights=(4, 6, 15, 35, 40))[0]
    title = chance.choice(_REVIEW_TITLES[rating])
    return product, chance.randrange(1, customers + 1), rating, title, created_at


def _order(
    key: int, chance: random.Random, customers: int, placed_at: dt.datetime
) -> tuple[Any, ...]:
    status = chance.choices(Order.Status.values, weights=(2, 7, 1))[0]
    shipped_at = placed_at + dt.timedelta(days=1) if status == Order.Status.SHIPPED else None
    customer = chance.randrange(1, customers + 1)
    return key, customer, f"O-{key:06}", status, placed_at, shipped_at
