"""The product as a person meets it: the whole graph, and the web UI in a real browser."""
