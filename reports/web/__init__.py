"""The web page: one file with the charts, the tables and a panel that recomputes the money."""
