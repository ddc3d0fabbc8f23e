"""The same tables with fields of django-computedfields, as an app of its own."""
