"""The shop: its base tables, and the TViews over them."""

from __future__ import annotations

from shop.models.tables import (
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
from shop.models.tviews import (
    CategoryStatistics,
    CustomerTotals,
    OrderSummary,
    ProductCard,
    SupplierBoard,
)

__all__ = [
    "Category",
    "CategoryStatistics",
    "Customer",
    "CustomerTotals",
    "Inventory",
    "Order",
    "OrderLine",
    "OrderSummary",
    "Product",
    "ProductCard",
    "Review",
    "Supplier",
    "SupplierBoard",
    "Tag",
]
