"""From a plan to SQL text. The text itself stands in ``templates/``, for people to read."""
