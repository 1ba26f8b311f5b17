"""What each page shows, as data that pages, decks and exports share."""
