"""The faces of django_tviews: commands of manage.py, thin over the Python API."""
