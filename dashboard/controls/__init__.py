"""Controls of the pages and their names in the URL."""
