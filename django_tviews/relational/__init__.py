"""SQL text as a relational tree: blocks, joins, columns, bound to facts.

The only room that imports the parser (``postgast``, PostgreSQL's own grammar). The parser is
imported when a query is first read, never when Django starts.
"""
